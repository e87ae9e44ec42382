import { afterAll, describe, expect, test } from "bun:test";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { numberOf } from "../bytes.ts";
import { identity, serverIdentity } from "./support/identities.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";
import { configFolder, listenPort, startUt, type UtProcess } from "./support/ut-process.ts";

/** The whole program as a process: what signals do, which code it ends with. */

const home = await identity({ cn: "home" });

afterAll(() => expectNoSecretsInLogs(home, serverIdentity));

/** A server that accepts TCP and says nothing: a dial that takes its time. */
async function silentServer(): Promise<{ port: number } & Disposable> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    sockets.push(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function ended(ut: UtProcess): Promise<{ code: number; ms: number }> {
  const startedAt = performance.now();
  const code = await ut.child.exited;
  return { code, ms: performance.now() - startedAt };
}

test("server and client carry datagrams; SIGTERM drains each and ends it with 0", async () => {
  using wg = await udpEnd({ echo: true });
  await using serverConfig = await configFolder(serverIdentity, {
    role: "server",
    tcp: { listen_addr: "127.0.0.1:0" },
    udp: { wg_udp_addr: `127.0.0.1:${wg.port}` },
  });
  await using server = startUt("-config", serverConfig.path);
  const serverPort = listenPort(await server.logged("start"));
  await using clientConfig = await configFolder(home, {
    role: "client",
    tcp: { server_addr: `127.0.0.1:${serverPort}` },
    udp: { listen_addr: "127.0.0.1:0" },
  });
  await using client = startUt("client", "--config", clientConfig.path);
  const clientPort = listenPort(await client.logged("start"));
  using end = await udpEnd();
  for (let i = 0; i < 200; i++) end.sendTo(clientPort, marked(i));
  await end.count(200);
  expect(end.received.map(numberOf).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, i) => i));

  for (const node of [client, server]) {
    node.child.kill("SIGTERM");
    const { code, ms } = await ended(node);
    expect({ code, stderr: await node.stderr() }).toEqual({ code: 0, stderr: "" });
    expect(ms).toBeLessThan(1_500);
    expect(await node.logged("stopped")).toMatchObject({ drained: true });
  }
  expect(client.lines.filter((line) => line.event === "lane_close")).toHaveLength(5);
  expect(client.lines.filter((line) => line.level === "warn" || line.level === "error")).toEqual([]);
});

describe("while a dial is under way", () => {
  for (const [first, second] of [
    ["SIGTERM", "SIGTERM"],
    ["SIGINT", "SIGTERM"],
  ] as const) {
    test(`${first} waits for it, and a second signal (${second}) ends at once with 130`, async () => {
      using server = await silentServer();
      using end = await udpEnd();
      await using config = await configFolder(home, {
        role: "client",
        tcp: { server_addr: `127.0.0.1:${server.port}` },
        udp: { listen_addr: "127.0.0.1:0" },
      });
      await using client = startUt("-c", config.path);
      end.sendTo(listenPort(await client.logged("start")), marked(1));
      await client.logged("local_peer");
      client.child.kill(first);
      await client.logged("draining");
      client.child.kill(second);
      const { code, ms } = await ended(client);
      expect(code).toBe(130);
      expect(ms).toBeLessThan(1_000);
      expect(client.lines.some((line) => line.event === "stopped")).toBe(false);
    });
  }

  test("a single SIGTERM ends it within the two seconds of a drain", async () => {
    using server = await silentServer();
    using end = await udpEnd();
    await using config = await configFolder(home, {
      role: "client",
      tcp: { server_addr: `127.0.0.1:${server.port}` },
      udp: { listen_addr: "127.0.0.1:0" },
    });
    await using client = startUt("-c", config.path);
    end.sendTo(listenPort(await client.logged("start")), marked(1));
    await client.logged("local_peer");
    client.child.kill("SIGTERM");
    const { code, ms } = await ended(client);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(3_000);
    expect(await client.logged("stopped")).toMatchObject({ drained: false });
  });

  test("with nothing that waits, SIGTERM does not wait either", async () => {
    using server = await silentServer();
    await using config = await configFolder(home, {
      role: "client",
      tcp: { server_addr: `127.0.0.1:${server.port}`, prewarm: true },
      udp: { listen_addr: "127.0.0.1:0" },
    });
    await using client = startUt("-c", config.path);
    await client.logged("start");
    client.child.kill("SIGTERM");
    const { code, ms } = await ended(client);
    expect(code).toBe(0);
    expect(ms).toBeLessThan(1_500);
  });
});

describe("what cannot start says why", () => {
  test("a UDP port that is taken: 1", async () => {
    using taken = await udpEnd();
    await using config = await configFolder(home, {
      role: "client",
      tcp: { server_addr: "127.0.0.1:9" },
      udp: { listen_addr: `127.0.0.1:${taken.port}` },
    });
    await using client = startUt("-config", config.path);
    expect(await client.child.exited).toBe(1);
    expect(await client.stderr()).toBe(
      `ut: Cannot bind UDP 127.0.0.1:${taken.port}: address in use; set udp.listen_addr\n`,
    );
  });

  test("a TCP port that is taken: 1", async () => {
    using taken = await silentServer();
    await using config = await configFolder(serverIdentity, {
      role: "server",
      tcp: { listen_addr: `127.0.0.1:${taken.port}` },
    });
    await using server = startUt("-config", config.path);
    expect(await server.child.exited).toBe(1);
    expect(await server.stderr()).toMatch(
      new RegExp(
        `^ut: Cannot listen on TCP 127\\.0\\.0\\.1:${taken.port}: address in use; set tcp.listen_addr to a free address\n$`,
      ),
    );
  });

  test("a client's certificate for a server: 1", async () => {
    await using config = await configFolder(home, { role: "server", tcp: { listen_addr: "127.0.0.1:0" } });
    await using server = startUt("server", "-config", config.path);
    expect(await server.child.exited).toBe(1);
    expect(await server.stderr()).toStartWith("ut: ");
    expect(server.lines.some((line) => line.event === "start")).toBe(false);
  });
});

test("a client with prewarm gets by without its server, and comes up when that does", async () => {
  using wg = await udpEnd({ echo: true });
  // A port that is free now and the server's later.
  const placeholder = await silentServer();
  const { port } = placeholder;
  placeholder[Symbol.dispose]();
  await using clientConfig = await configFolder(home, {
    role: "client",
    tcp: { server_addr: `127.0.0.1:${port}`, prewarm: true, lanes: 2 },
    udp: { listen_addr: "127.0.0.1:0" },
  });
  await using client = startUt("-config", clientConfig.path);
  const clientPort = listenPort(await client.logged("start"));
  await client.logged("lane_dial_fail");
  await using serverConfig = await configFolder(serverIdentity, {
    role: "server",
    tcp: { listen_addr: `127.0.0.1:${port}` },
    udp: { wg_udp_addr: `127.0.0.1:${wg.port}` },
  });
  await using server = startUt("-config", serverConfig.path);
  await server.logged("start");
  await until("both lanes", () => client.lines.filter((line) => line.event === "lane_open").length === 2);
  using end = await udpEnd();
  end.sendTo(clientPort, marked(1));
  await end.count(1);
}, 15_000);
