import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { identity, serverIdentity } from "./support/identities.ts";
import type { LogLine } from "./support/logbook.ts";
import { type PeerProcess, peerProcess, serverProcess } from "./support/peers.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** Agents and relays as processes on loopback: through the server first, then straight. */

// Each test starts up to five processes, beside other stages of the run.
setDefaultTimeout(20_000);

const office = await identity({ cn: "office" });
const home = await identity({ cn: "home" });
const cafe = await identity({ cn: "cafe" });
afterAll(() => expectNoSecretsInLogs(office, home, cafe, serverIdentity));

type Server = Awaited<ReturnType<typeof serverProcess>>;

/** An agent that offers the UDP echo behind it to `allow`. */
function agentOf(server: Server, target: number, allow: readonly string[], more: Record<string, unknown> = {}) {
  const services = { udp: [{ name: "echo", target: `127.0.0.1:${target}`, allow }] };
  return peerProcess(office, server, { role: "agent", services, ...more });
}

function relayOf(server: Server, who = home, more: Record<string, unknown> = {}, args: readonly string[] = []) {
  const relay = [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }];
  return peerProcess(who, server, { role: "relay", relay, ...more }, args);
}

const viaServer = { p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, direct: false } };

/** The very first datagram comes back: what is sent while the pipe is being opened waits. */
async function echoed(end: UdpEnd, port: number): Promise<void> {
  const before = end.received.length;
  end.sendTo(port, marked(before));
  await end.count(before + 1);
}

function lines(peer: PeerProcess, event: string): LogLine[] {
  return peer.ut.lines.filter((line) => line.event === event) as LogLine[];
}

test("datagrams reach a service by its name through the server, of any size, each back to who sent it", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"], viaServer);
  await using relay = await relayOf(server, home, viaServer);
  using one = await udpEnd();
  using two = await udpEnd();
  const [port = 0] = relay.ports;
  await echoed(one, port);
  await echoed(two, port);
  const [ones, twos] = [one.received.length, two.received.length];
  const sizes = [0, 1, 148, 1_280, 1_452, 9_000, 65_000];
  one.sendTo(port, ...sizes.map((size) => new Uint8Array(size).fill(size % 251)));
  await one.count(ones + sizes.length);
  expect(one.received.slice(ones).map((bytes) => [bytes.length, bytes.at(-1)])).toEqual(
    sizes.map((size) => [size, size === 0 ? undefined : size % 251]),
  );
  expect(two.received).toHaveLength(twos);
  expect(new Set(echo.fromPorts).size).toBe(2);
  expect(lines(relay, "pipe_direct")).toEqual([]);
  const { pipes } = (await relay.status()).traversal;
  expect(pipes).toMatchObject([{ peer: "office", service: "echo", state: "open", route: "relay" }]);
  expect(lines(agent, "pipe_open")).toMatchObject([{ peer: "home", service: "echo", side: "responder" }]);
});

test("two ends that can reach each other go direct, and nothing is lost or doubled on the way there", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"]);
  await using relay = await relayOf(server);
  using end = await udpEnd();
  const [port = 0] = relay.ports;
  await echoed(end, port);
  await until("direct", () => lines(relay, "pipe_direct").length > 0 && lines(agent, "pipe_direct").length > 0);
  expect(lines(relay, "pipe_direct")[0]).toMatchObject({ winner: "ice", mode: "off", peer: "office" });
  expect([lines(relay, "relay_hardnat_diag"), lines(agent, "agent_hardnat_diag")]).toEqual([[], []]);
  const before = end.received.length;
  for (let i = 0; i < 200; i++) {
    end.sendTo(port, marked(i));
    await end.count(before + i + 1);
  }
  const { stats, pipes, plane } = (await relay.status()).traversal;
  expect(plane).toMatchObject({ tunnelRefused: 0, faults: 0 });
  expect(plane?.paths.sentDirect).toBe(Number(pipes[0]?.counters?.sentDirect));
  expect(stats).toMatchObject({ ice_success: 1, hardnat_success: 0, relay_fallbacks: 0 });
  expect(pipes).toMatchObject([{ route: "direct" }]);
  expect(pipes[0]?.counters?.sentDirect).toBeGreaterThan(100);
});

test("an agent serves nobody who is not allowed, nothing that it does not have, and says so at both ends", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"]);
  const relay = (service: string) => [{ listen_addr: "127.0.0.1:0", to: "office", service }];
  await using denied = await relayOf(server, cafe);
  await using lost = await relayOf(server, home, { relay: relay("nothing") });
  expect(await denied.ut.logged("pipe_waiting")).toMatchObject({ peer: "office", reason: "not-authorised" });
  expect(await lost.ut.logged("pipe_waiting")).toMatchObject({ peer: "office", reason: "not-authorised" });
  await until("both refusals", () => lines(agent, "service_denied").length >= 2);
  expect(lines(agent, "service_denied")).toMatchObject([
    { peer: "cafe", service: "echo", reason: "not-authorised" },
    { peer: "home", service: "nothing", reason: "not-authorised" },
  ]);
  using end = await udpEnd();
  end.sendTo(denied.ports[0] ?? 0, marked(1));
  end.sendTo(lost.ports[0] ?? 0, marked(2));
  await using allowed = await relayOf(server);
  await echoed(end, allowed.ports[0] ?? 0);
  expect([echo.received.length, end.received.length]).toEqual([1, 1]);
});

test("two relays to one agent: each gets its own answers", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home", "cafe"]);
  await using first = await relayOf(server, home);
  await using second = await relayOf(server, cafe);
  using one = await udpEnd();
  using two = await udpEnd();
  const text = (end: UdpEnd) => end.received.map((bytes) => new TextDecoder().decode(bytes));
  for (let i = 0; i < 20; i++) {
    one.sendTo(first.ports[0] ?? 0, new TextEncoder().encode(`one ${i}`));
    two.sendTo(second.ports[0] ?? 0, new TextEncoder().encode(`two ${i}`));
    await Promise.all([one.count(i + 1), two.count(i + 1)]);
  }
  expect(text(one)).toEqual(Array.from({ length: 20 }, (_, i) => `one ${i}`));
  expect(text(two)).toEqual(Array.from({ length: 20 }, (_, i) => `two ${i}`));
  expect(lines(agent, "pipe_open").map(({ peer }) => peer)).toEqual(["home", "cafe"]);
});

test("an agent that comes back is found again, and the same local program goes on", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  const gone = await agentOf(server, echo.port, ["home"]);
  await using relay = await relayOf(server);
  using end = await udpEnd();
  const [port = 0] = relay.ports;
  await echoed(end, port);
  gone.ut.child.kill("SIGTERM");
  expect(await gone.ut.child.exited).toBe(0);
  await gone[Symbol.asyncDispose]();
  await using _ = await agentOf(server, echo.port, ["home"]);
  await resumed(end, port);
});

test("a server that comes back is found again by both, and datagrams go through it as before", async () => {
  using echo = await udpEnd({ echo: true });
  const gone = await serverProcess();
  await using agent = await agentOf(gone, echo.port, ["home"], viaServer);
  await using relay = await relayOf(gone, home, viaServer);
  using end = await udpEnd();
  const [port = 0] = relay.ports;
  await echoed(end, port);
  gone.ut.child.kill("SIGKILL");
  await gone[Symbol.asyncDispose]();
  await agent.ut.logged("control_close");
  await using _ = await serverProcess(gone.ports[0]);
  await resumed(end, port);
});

test("a client, an agent and a relay in one process share its lanes and its control connection", async () => {
  using wireGuard = await udpEnd({ echo: true });
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess(0, 0, wireGuard.port);
  const services = { udp: [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["home"] }] };
  await using both = await peerProcess(office, server, {
    roles: ["client", "agent", "relay"],
    udp: { listen_addr: "127.0.0.1:0" },
    services,
    relay: [{ listen_addr: "127.0.0.1:0", to: "home", service: "echo" }],
  });
  await using other = await peerProcess(home, server, {
    roles: ["agent", "relay"],
    services: { udp: [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["office"] }] },
    relay: [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }],
  });
  const [tunnel = 0, toHome = 0] = both.ports;
  using end = await udpEnd();
  for (const port of [tunnel, toHome, other.ports[0] ?? 0]) await echoed(end, port);
  expect([wireGuard.received.length, echo.received.length]).toEqual([1, 2]);
  const { roles } = await both.status();
  expect(roles.map(({ role, ready, sessions }) => [role, ready, sessions.length])).toEqual([
    ["client", true, 1],
    ["agent", true, 0],
    ["relay", true, 0],
  ]);
  expect(lines(both, "control_open")).toHaveLength(1);
  expect(
    lines(server, "session_open")
      .map((line) => line.client_cn)
      .sort(),
  ).toEqual(["home", "office"]);
});

test("hard-NAT modes come from the command line, each attempt is told of once at both ends", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"], { hard_nat: { mode: "fallback" } });
  await using relay = await relayOf(server, home, {}, ["relay", "--p2p-hardnat", "fallback"]);
  using end = await udpEnd();
  await echoed(end, relay.ports[0] ?? 0);
  expect(await relay.ut.logged("relay_hardnat_diag")).toMatchObject({
    mode: "fallback",
    winner: "ice",
    verdict: "direct",
    peer: "office",
  });
  expect(await agent.ut.logged("agent_hardnat_diag")).toMatchObject({ mode: "fallback", winner: "ice", peer: "home" });
  expect([lines(relay, "relay_hardnat_diag").length, lines(agent, "agent_hardnat_diag").length]).toEqual([1, 1]);
});

test("without a socket to go direct from, everything goes through the server", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"]);
  const p2p = { listen_addr: `127.0.0.1:${echo.port}`, port_mapping: false };
  await using relay = await relayOf(server, home, { p2p });
  using end = await udpEnd();
  await echoed(end, relay.ports[0] ?? 0);
  expect(lines(relay, "nat_watch_fail")).toMatchObject([{ err_kind: "io.bind" }]);
  expect((await relay.status()).traversal.pipes).toMatchObject([{ route: "relay", verdict: "off" }]);
  expect(lines(agent, "pipe_open")).toHaveLength(1);
});

test("SIGTERM tells the other end, and ends the process within the drain", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  await using agent = await agentOf(server, echo.port, ["home"]);
  await using relay = await relayOf(server);
  using end = await udpEnd();
  await echoed(end, relay.ports[0] ?? 0);
  await agent.ut.logged("pipe_open");
  relay.ut.child.kill("SIGTERM");
  expect(await agent.ut.logged("pipe_close")).toMatchObject({ peer: "home", service: "echo", reason: "shutdown" });
  expect(await relay.ut.child.exited).toBe(0);
  expect(await relay.ut.logged("stopped")).toMatchObject({ drained: true });
  expect((await agent.status()).traversal.pipes).toEqual([]);
});

/** What is sent while nothing can carry it is lost; then datagrams come back again. */
async function resumed(end: UdpEnd, port: number): Promise<void> {
  const before = end.received.length;
  const sending = setInterval(() => end.sendTo(port, marked(0)), 50);
  try {
    await end.count(before + 1, 15_000);
  } finally {
    clearInterval(sending);
  }
}
