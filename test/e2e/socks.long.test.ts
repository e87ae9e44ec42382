import { expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import type { SocksStatus } from "../../src/core/socks/socks-status.ts";
import { decodeUdp, encodeUdp } from "../../src/core/socks/udp-header.ts";
import { type Program, tcpServer } from "../unit/app/socks/socks-bed.ts";
import { type PeerProcess, peerProcess, serverProcess } from "./support/peers.ts";
import { asking, connected, exitOf, officeAgent, proxyOf } from "./support/socks.ts";
import { udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

setDefaultTimeout(120_000);

const viaServer = { p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, direct: false } };

async function report(peer: PeerProcess): Promise<SocksStatus> {
  const { roles } = (await peer.status()) as unknown as { roles: { socks: SocksStatus }[] };
  return roles[0]?.socks as SocksStatus;
}

async function residentBytes(peer: PeerProcess): Promise<number> {
  const statm = await Bun.file(`/proc/${peer.ut.child.pid}/statm`).text();
  return Number(statm.split(" ")[1]) * 4_096;
}

async function nothingOpen(...peers: PeerProcess[]): Promise<void> {
  for (const peer of peers)
    for (
      let { open, link } = await report(peer);
      open.connect + open.udp + link.streams > 0;
      { open, link } = await report(peer)
    )
      await Bun.sleep(50);
}

/** SHA-256 of all that it hears until the end. */
async function sumOf(program: Program): Promise<string> {
  const hash = createHash("sha256").update(program.received);
  program.socket.on("data", (chunk: Buffer) => hash.update(chunk));
  await until("the end", () => program.hasEnded || program.closed !== undefined, 60_000);
  return hash.digest("hex");
}

/** A connection on which nothing is said while the other tests run. */
async function openResting() {
  await using opening = new AsyncDisposableStack();
  const web = opening.use(await tcpServer((program) => program.socket.pipe(program.socket)));
  const server = opening.use(await serverProcess());
  const agent = opening.use(await exitOf(server));
  const proxy = opening.use(await proxyOf(server));
  const program = await connected(proxy.port, web.port);
  const open = opening.move();
  return { agent, program, since: performance.now(), [Symbol.asyncDispose]: () => open.disposeAsync() };
}
const resting = openResting();

test("2,000 connections, 500 at a time: each its own answer, and memory as before", async () => {
  using web = await tcpServer((program) => program.socket.pipe(program.socket));
  await using server = await serverProcess();
  await using agent = await exitOf(server);
  await using proxy = await proxyOf(server);
  const round = async (name: number) => {
    const programs = await Promise.all(Array.from({ length: 500 }, () => connected(proxy.port, web.port)));
    for (const [index, program] of programs.entries()) program.socket.end(`${name}.${index}`.padEnd(2_000, "."));
    const heard = await Promise.all(programs.map((program) => program.ended()));
    expect(heard.map((bytes) => bytes.toString())).toEqual(heard.map((_, i) => `${name}.${i}`.padEnd(2_000, ".")));
    expect(await Promise.all(programs.map((program) => program.over()))).toEqual(heard.map(() => "cleanly"));
    await nothingOpen(proxy, agent);
  };
  await round(0);
  const before = await Promise.all([proxy, agent].map(residentBytes));
  for (let name = 1; name < 4; name++) await round(name);
  const after = await Promise.all([proxy, agent].map(residentBytes));
  const [grownProxy = 0, grownAgent = 0] = after.map((bytes, index) => (bytes - (before[index] ?? 0)) / 1e6);
  const sizes = after.map((bytes) => (bytes / 1e6).toFixed(0));
  console.log(
    `2,000 connections: proxy ${sizes[0]} MB (+${grownProxy.toFixed(1)}), agent ${sizes[1]} MB (+${grownAgent.toFixed(1)})`,
  );
  // The heap has its own ups and downs: over 20,000 connections both stayed between 120 and 215 MB.
  expect(Math.max(grownProxy, grownAgent)).toBeLessThan(100);
  expect((await report(proxy)).opened.connect).toBe(2_000);
});

test("a reader that does not read holds up only itself, and costs 4 MiB and a little", async () => {
  const whole = Buffer.alloc(100_000_000, "0123456789abcdef");
  const sum = createHash("sha256").update(whole).digest("hex");
  using web = await tcpServer((program) => program.socket.end(whole));
  await using server = await serverProcess();
  await using agent = await exitOf(server);
  await using proxy = await proxyOf(server);
  const before = await residentBytes(proxy);
  const slow = await connected(proxy.port, web.port, false);
  slow.socket.pause();
  const slowSum = sumOf(slow);
  const fast = await connected(proxy.port, web.port, false);
  expect(await sumOf(fast)).toBe(sum);
  const { link, bytes } = await report(proxy);
  const grownMb = ((await residentBytes(proxy)) - before) / 1e6;
  console.log(`slow reader: ${(link.bufferedBytes / 1e6).toFixed(1)} MB wait, proxy +${grownMb.toFixed(0)} MB`);
  expect(link.bufferedBytes).toBeLessThanOrEqual(4 * 1024 * 1024);
  expect(bytes.down).toBeLessThan(1.2 * whole.length);
  slow.socket.resume();
  expect(await slowSum).toBe(sum);
  expect((await report(agent)).open.connect).toBe(2);
});

test("the server killed: on the relay path a transfer breaks and looks broken, and later ones work", async () => {
  const others: Program[] = [];
  using web = await tcpServer((program) => {
    program.send("half of it");
    others.push(program);
  });
  const gone = await serverProcess();
  await using agent = await exitOf(gone, viaServer);
  await using proxy = await proxyOf(gone, viaServer);
  const program = await connected(proxy.port, web.port);
  await program.has(10);
  gone.ut.child.kill("SIGKILL");
  await gone[Symbol.asyncDispose]();
  // QUIC gives up after 15 s without a word.
  await until("the program hears", () => program.closed !== undefined, 30_000);
  await until("the destination hears", () => others[0]?.closed !== undefined, 30_000);
  expect([program.closed, program.hasEnded, others[0]?.closed, others[0]?.hasEnded]).toEqual([
    "broken",
    false,
    "broken",
    false,
  ]);
  await using _ = await serverProcess(gone.ports[0]);
  await until(
    "it is reached again",
    () => proxy.ut.lines.filter(({ event }) => event === "streams_up").length > 2,
    60_000,
  );
  expect((await (await connected(proxy.port, web.port)).has(10)).toString()).toBe("half of it");
  expect((await report(agent)).open.connect).toBe(1);
});

test("datagrams of any size, those that no QUIC datagram takes as well", async () => {
  using echo = await udpEnd({ echo: true });
  using end = await udpEnd();
  await using server = await serverProcess();
  await using agent = await exitOf(server);
  await using proxy = await proxyOf(server);
  const program = asking(proxy.port, Buffer.from("05010005030001000000000000", "hex"));
  const port = (await program.has(12)).readUInt16BE(10);
  const destination = { host: "127.0.0.1", port: echo.port };
  const sizes = [0, 1, 512, 1_100, 1_200, 1_500, 9_000, 65_000];
  for (const [index, size] of sizes.entries()) {
    end.sendTo(port, encodeUdp(destination, new Uint8Array(size).fill(index)));
    await end.count(index + 1);
  }
  expect(end.received.map((bytes) => decodeUdp(bytes))).toEqual(
    sizes.map((size, index) => ({ ok: true, destination, payload: new Uint8Array(size).fill(index) })),
  );
  expect((await report(agent)).datagrams).toEqual({ up: sizes.length, down: sizes.length });
});

test("who is not allowed gets no further than the agent's door", async () => {
  await using server = await serverProcess();
  await using _ = await peerProcess(officeAgent, server, { role: "agent", services: { socks: { allow: ["cafe"] } } });
  await using denied = await proxyOf(server);
  expect(await denied.ut.logged("pipe_waiting")).toMatchObject({ service: "socks", reason: "not-authorised" });
  const program = asking(denied.port, Buffer.from("05010005010001080808080050", "hex"));
  await until("the answer", () => program.hasEnded, 20_000);
  expect(program.received.toString("hex")).toBe("050005010001000000000000");
  expect((await report(denied)).refused).toMatchObject({ agent_unreachable: 1 });
  const told = denied.ut.lines.filter(({ event }) => event === "socks_agent_unreachable");
  expect(told).toMatchObject([{ level: "error", peer: "office" }]);
});

test("who rests for more than a minute is not cut off", async () => {
  await using bed = await resting;
  // lsquic ends a connection on which no stream has moved for 60 s.
  await Bun.sleep(Math.max(0, bed.since + 62_000 - performance.now()));
  bed.program.send("still here");
  expect((await bed.program.has(10)).toString()).toBe("still here");
  expect((await report(bed.agent)).link.connectionsLost).toBe(0);
});
