import { afterEach, describe, expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { HANDSHAKE_TIMEOUT_MS } from "../../../../src/io/lanes/tls-lane.ts";
import { drivenTime, turn, until } from "../../../e2e/support/until.ts";
import { closeListeners, dial, listen } from "./lane-ends.ts";

afterEach(closeListeners);

describe("a dial", () => {
  test("that is given up while the name is looked up", async () => {
    const stop = new AbortController();
    const end = dial(9, { resolve: () => new Promise(() => {}) }, stop.signal);
    for (let i = 0; i < 5; i++) await turn();
    stop.abort();
    await until("it to end", () => end.told.length > 0);
    expect(end.told).toEqual(["closed"]);
    expect(end.error?.message).toBe("Dial given up: the node is stopping");
  });

  test("that is given up before it begins", async () => {
    let asked = 0;
    const resolve = async () => {
      asked++;
      return [];
    };
    const end = dial(9, { resolve }, AbortSignal.abort());
    await until("it to end", () => end.told.length > 0);
    expect({ told: end.told, kind: end.error?.kind }).toEqual({ told: ["closed"], kind: "lane.closed" });
    expect(asked).toBeLessThanOrEqual(1);
  });

  test("that is given up during the handshake", async () => {
    await using silent = await silentServer();
    const stop = new AbortController();
    const end = dial(silent.port, {}, stop.signal);
    await until("TCP", () => silent.connections === 1);
    for (let i = 0; i < 5; i++) await turn();
    stop.abort();
    await until("it to end", () => end.told.length > 0);
    expect(end.told).toEqual(["closed"]);
    expect(end.error?.message).toBe("Dial given up: the node is stopping");
    await until("the socket to go", () => silent.connections === 0);
  });

  test("that became a lane is no longer the signal's", async () => {
    const listener = listen();
    const stop = new AbortController();
    const end = dial(listener.port, {}, stop.signal);
    await until("it", () => end.isOpen && listener.ends.length === 1);
    stop.abort();
    end.send("still here");
    await until("the bytes", () => listener.ends[0]?.bytes === 10);
    expect(end.isOpen).toBe(true);
  });

  test("without a TLS handshake ends after 10 s", async () => {
    using time = drivenTime();
    await using silent = await silentServer();
    const end = dial(silent.port);
    await until("TCP", () => silent.connections === 1);
    for (let i = 0; i < 20; i++) await turn();
    time.advance(HANDSHAKE_TIMEOUT_MS);
    await until("it to end", () => end.told.length > 0);
    expect(end.error).toMatchObject({
      kind: "tls.handshake",
      message: `No TLS handshake with 127.0.0.1:${silent.port} within 10 s; check that nothing between here and the server holds TLS up`,
    });
  });

  test("to a port where nobody listens", async () => {
    const listener = listen();
    const { port } = listener;
    listener[Symbol.dispose]();
    const end = dial(port);
    await until("it to end", () => end.told.length > 0);
    expect(end.error).toMatchObject({
      kind: "io.connect",
      message: `Cannot connect to 127.0.0.1:${port}: connection refused (ECONNREFUSED); check that the server runs and that its TCP port is reachable`,
      details: { address: "127.0.0.1", port },
    });
  });
});

/** Takes connections and says nothing. */
async function silentServer(): Promise<{ port: number; readonly connections: number } & AsyncDisposable> {
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.on("error", () => {});
    socket.on("close", () => connections--);
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
