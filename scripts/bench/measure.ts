import { Lab } from "../../test/lab/lab.ts";
import type { Namespace } from "../../test/lab/namespace.ts";
import { Pulse } from "../../test/lab/pulse.ts";
import { streamStats } from "../../test/lab/stream-stats.ts";
import { straightUdp, type Tunnel, type TunnelReading } from "../../test/lab/tunnel.ts";
import { UtTunnel } from "../../test/lab/ut-tunnel.ts";
import { type WanLink, type WanStats, wanDelta } from "../../test/lab/wan-link.ts";
import { openWireGuardPair } from "../../test/lab/wireguard.ts";
import { type IperfEnd, iperf } from "./iperf.ts";
import type { DatagramScenario, Direction, Scenario, TcpScenario } from "./scenarios.ts";
import type { Variant } from "./variants.ts";

/** One measurement: numbers by name, so that repeats can be reduced to medians without knowing what they mean. */
export type Measured = Record<string, number>;

export interface MeasureOptions {
  binary: string;
  seconds: number;
  seed: number;
}

interface Bench {
  lab: Lab;
  client: Namespace;
  server: Namespace;
  wan: WanLink;
  tunnel: Tunnel;
}

/**
 * One run in a lab of its own: nothing is left over from the run before, neither kernel state (Linux remembers slow
 * start thresholds by destination) nor anything in `ut`. The link loses nothing until the tunnel stands.
 */
export async function measure(
  scenario: Scenario,
  direction: Direction,
  variant: Variant,
  options: MeasureOptions,
): Promise<Measured> {
  await using lab = await Lab.open();
  const client = await lab.namespace("client");
  const server = await lab.namespace("server");
  const wan = await lab.wan(client, server, { ...scenario.link, lossPercent: 0, seed: options.seed });
  await using tunnel = await openTunnel(lab, client, server, wan, variant, options.binary);
  const bench = { lab, client, server, wan, tunnel };
  return scenario.kind === "datagrams"
    ? await measureDatagrams(bench, scenario, direction, options.seconds)
    : await measureTcp(bench, scenario, direction, options.seconds);
}

async function openTunnel(
  lab: Lab,
  client: Namespace,
  server: Namespace,
  wan: WanLink,
  variant: Variant,
  binary: string,
): Promise<Tunnel> {
  if (variant.tunnel === "straight") return straightUdp({ host: wan.addresses.b, port: 51_820 });
  return await UtTunnel.open(lab, {
    binary,
    client,
    server,
    serverAddress: wan.addresses.b,
    clientConfig: variant.client,
    serverConfig: variant.server,
  });
}

async function measureDatagrams(
  bench: Bench,
  scenario: DatagramScenario,
  direction: Direction,
  seconds: number,
): Promise<Measured> {
  const { lab, client, server, tunnel } = bench;
  const far = await Pulse.bind(lab, server, tunnel.exit);
  const near = await Pulse.connect(lab, client, tunnel.entry);
  await near.greet();
  await Bun.sleep(LANES_MS);
  const [sender, receiver] = direction === "up" ? [near, far] : [far, near];
  const before = await readAround(bench, scenario);
  const { run } = await sender.send({ perSecond: scenario.perSecond, bytes: scenario.bytes, seconds });
  const sent = await sender.sent(seconds * 1_000 + 10_000);
  // What is still in queues may come late, and late is what the percentiles are for.
  await receiver.settle(sent.count, 1_000, 5_000);
  const explained = explain(before, await readAround(bench, scenario), direction);
  const { delivered, duplicates, reordered, p50Ms, p95Ms, p99Ms, maxMs } = streamStats(await receiver.take(run));
  return {
    sent: sent.count,
    delivered,
    deliveredPercent: (100 * delivered) / sent.count,
    duplicates,
    reordered,
    p50Ms,
    p95Ms,
    p99Ms,
    maxMs,
    refused: sent.refused,
    senderLateMs: sent.lateMs,
    ...explained,
  };
}

async function measureTcp(
  bench: Bench,
  scenario: TcpScenario,
  direction: Direction,
  seconds: number,
): Promise<Measured> {
  const { lab, client, server, tunnel } = bench;
  await using pair = await openWireGuardPair(lab, {
    client,
    server,
    clientEndpoint: tunnel.entry,
    serverPort: tunnel.exit.port,
  });
  // One ping a second until an answer: the handshake, and with it the lanes.
  await client.run(["ping", "-c", "1", "-w", "15", pair.server], { timeoutMs: 20_000 });
  await Bun.sleep(LANES_MS);
  const near: IperfEnd = { namespace: client, address: pair.client };
  const far: IperfEnd = { namespace: server, address: pair.server };
  const [sender, receiver] = direction === "up" ? [near, far] : [far, near];
  const wireGuardBefore = await pair.cpuSeconds();
  const before = await readAround(bench, scenario);
  const result = await iperf(sender, receiver, { ...scenario, seconds });
  const explained = explain(before, await readAround(bench, scenario), direction);
  return { ...result, wireGuardCpu: (await pair.cpuSeconds()) - wireGuardBefore, ...explained };
}

/** The time the other lanes have to come up after the first datagram: three round trips of the link and the TLS work. */
const LANES_MS = 500;

interface Around {
  tunnel: TunnelReading;
  link: WanStats;
  machine: { busy: number; all: number };
}

/** Readings before (and then the loss begins) and after (and then it ends) what is measured. */
async function readAround(bench: Bench, scenario: Scenario): Promise<Around> {
  const tunnel = await bench.tunnel.observe();
  await bench.wan.set("loss", scenario.link.lossPercent);
  return { tunnel, link: await bench.wan.stats(), machine: await machineTicks() };
}

/** Why a number is what it is: CPU, what the link dropped in both directions, and every counter of both `ut` that moved. */
function explain(before: Around, after: Around, direction: Direction): Measured {
  const link = wanDelta(before.link, after.link);
  const [data, other] = direction === "up" ? [link.a_to_b, link.b_to_a] : [link.b_to_a, link.a_to_b];
  const measured: Measured = {
    clientCpu: after.tunnel.client.cpuSeconds - before.tunnel.client.cpuSeconds,
    serverCpu: after.tunnel.server.cpuSeconds - before.tunnel.server.cpuSeconds,
    clientRssMiB: after.tunnel.client.rssMiB,
    serverRssMiB: after.tunnel.server.rssMiB,
    machineBusyPercent: (100 * (after.machine.busy - before.machine.busy)) / (after.machine.all - before.machine.all),
    linkPackets: data.in,
    linkLost: data.lost,
    linkTailDropped: data.tail_dropped,
    linkPeakQueue: data.peak_queue,
    returnLost: other.lost,
    returnTailDropped: other.tail_dropped,
  };
  for (const end of ["client", "server"] as const)
    for (const [series, value] of Object.entries(after.tunnel[end].metrics)) {
      const change = value - (before.tunnel[end].metrics[series] ?? 0);
      if (change !== 0) measured[`${end} ${series}`] = change;
    }
  return measured;
}

async function machineTicks(): Promise<{ busy: number; all: number }> {
  const [first = ""] = (await Bun.file("/proc/stat").text()).split("\n", 1);
  const ticks = first.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, value) => sum + value, 0);
  // Fields 4 and 5 are idle and iowait (proc(5)).
  return { busy: all - (ticks[3] ?? 0) - (ticks[4] ?? 0), all };
}
