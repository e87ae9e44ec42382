import { expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import type { TcpConnection } from "../../../../src/io/tcp/tcp-connection.ts";
import { dialTcp } from "../../../../src/io/tcp/tcp-dial.ts";
import { listenTcp } from "../../../../src/io/tcp/tcp-listen.ts";
import { until } from "../../../e2e/support/until.ts";

/** Everything one end hears, in order; data as text. */
interface Heard {
  readonly connection: TcpConnection;
  readonly told: string[];
}

function hear(connection: TcpConnection, told: string[]): Heard {
  connection.start({
    data: (chunk) => told.push(Buffer.from(chunk).toString()),
    ended: () => told.push("FIN"),
    drained: () => {},
    closed: (failure) => told.push(failure === undefined ? "closed" : "broken"),
  });
  return { connection, told };
}

/** Both ends of a connection over loopback. */
async function pair() {
  const accepted = Promise.withResolvers<Heard>();
  const listener = listenTcp({ host: "127.0.0.1", port: 0, key: "socks.listen_addr" }, (connection) =>
    accepted.resolve(hear(connection, [])),
  );
  const dialled = hear(await dialTcp("127.0.0.1", listener.port, new AbortController().signal), []);
  const one = await accepted.promise;
  return { one, other: dialled, [Symbol.dispose]: () => listener[Symbol.dispose]() };
}

const text = (value: string) => new TextEncoder().encode(value);

test("each end knows both addresses", async () => {
  using ends = await pair();
  const { one, other } = ends;
  expect(one.connection.remoteAddress).toBe("127.0.0.1");
  expect(one.connection.remotePort).toBe(other.connection.localPort);
  expect(other.connection.remotePort).toBe(one.connection.localPort);
});

test("an end in one direction leaves the other one open; both are a close", async () => {
  using ends = await pair();
  const { one, other } = ends;
  one.connection.write(text("a"));
  one.connection.end();
  await until("FIN", () => other.told.includes("FIN"));
  expect(one.connection.write(text("late"))).toBe(0);
  other.connection.write(text("b"));
  await until("the answer", () => one.told.length > 0);
  other.connection.end();
  await until("both closed", () => one.told.includes("closed") && other.told.includes("closed"));
  expect([one.told, other.told]).toEqual([
    ["b", "closed"],
    ["a", "FIN", "closed"],
  ]);
});

test.each([
  ["at once", () => {}],
  ["after its own FIN", ({ one }: Ends) => one.connection.end()],
  ["after the peer's FIN", ({ other }: Ends) => other.connection.end()],
])("a reset %s is no end: the peer hears that it broke", async (_when, before) => {
  using ends = await pair();
  before(ends);
  await Bun.sleep(20);
  ends.one.connection.reset();
  await until("the other one's end", () => ends.other.told.some((told) => /broken|closed/.test(told)));
  expect(ends.other.told.at(-1)).toBe("broken");
  expect(ends.one.told.at(-1)).toBe("broken");
});
type Ends = Awaited<ReturnType<typeof pair>>;

test("what comes in waits while it is paused, the end too", async () => {
  using ends = await pair();
  const { one, other } = ends;
  one.connection.pause();
  other.connection.write(text("x"));
  other.connection.end();
  await Bun.sleep(50);
  expect(one.told).toEqual([]);
  one.connection.resume();
  await until("the end", () => one.told.includes("FIN"));
  expect(one.told).toEqual(["x", "FIN"]);
});

test("what is not taken is told by `drained`, and everything arrives", async () => {
  const whole = Buffer.alloc(20_000_000, "0123456789");
  let received = 0;
  const listener = listenTcp({ host: "127.0.0.1", port: 0, key: "k" }, (connection) => {
    let at = 0;
    const write = () => {
      while (at < whole.length) {
        const chunk = whole.subarray(at, at + 100_000);
        const taken = connection.write(chunk);
        at += taken;
        if (taken < chunk.length) return;
      }
      connection.end();
    };
    connection.start({ data() {}, ended() {}, drained: write, closed() {} });
    write();
  });
  using _ = listener;
  const client: Socket = connect(listener.port, "127.0.0.1");
  for await (const chunk of client) received += (chunk as Buffer).length;
  expect(received).toBe(whole.length);
});

test("what happened before anybody listened is told then", async () => {
  const early = Promise.withResolvers<TcpConnection>();
  const listener = listenTcp({ host: "127.0.0.1", port: 0, key: "k" }, (connection) => early.resolve(connection));
  using _ = listener;
  const client = connect(listener.port, "127.0.0.1");
  client.write("hello");
  const connection = await early.promise;
  await Bun.sleep(20);
  client.resetAndDestroy();
  await Bun.sleep(20);
  const { told } = hear(connection, []);
  await until("the end", () => told.includes("broken"));
});

test("a process that is killed leaves broken connections behind, not ended ones", async () => {
  const script = `
    import { listenTcp } from "${import.meta.dir}/../../../../src/io/tcp/tcp-listen.ts";
    const listener = listenTcp({ host: "127.0.0.1", port: 0, key: "k" }, (connection) => {
      connection.start({ data() {}, ended() {}, drained() {}, closed() {} });
      connection.write(new TextEncoder().encode("half of it"));
    });
    console.log(listener.port);
  `;
  await using child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  const told: string[] = [];
  const { connection } = hear(
    await dialTcp("127.0.0.1", Number(Buffer.from(value ?? []).toString()), new AbortController().signal),
    told,
  );
  await until("data", () => told.length > 0);
  child.kill("SIGKILL");
  await until("the end", () => told.includes("broken"));
  expect(told).toEqual(["half of it", "broken"]);
  connection.reset();
});

test("a dial that fails says why", async () => {
  const failure = async (address: string, signal = new AbortController().signal) =>
    dialTcp(address, 1, signal).catch((error) => [error.kind, error.details.failure]);
  expect(await failure("127.0.0.1")).toEqual(["io.connect", "refused"]);
  expect(await failure("127.0.0.1", AbortSignal.abort())).toEqual(["io.connect", "timed-out"]);
});
