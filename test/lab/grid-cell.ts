import type { PipeExplanation } from "../../src/core/peer/trace.ts";
import { expectedWay, type GridCell, type GridMode, type GridNat, type Way } from "../contract/grid.ts";
import type { LogLine } from "../e2e/support/logbook.ts";
import type { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { NumberedStream } from "./numbered-stream.ts";
import { Peers, type UtNode } from "./peers.ts";

/** Two attempts and the pause between them; where nothing can be found, one is enough. */
const DIRECT_LIMIT_MS = 45_000;
const RELAY_LIMIT_MS = 20_000;
/** The stream goes on for so long after everything is decided. */
const AFTER_MS = 1_000;
const LOOK_MS = 20;

/** One pair of NATs, made of nftables, with real binaries behind them and a stream that flows from the start. */
export async function labCell(lab: Lab, binary: string, a: GridNat, b: GridNat, mode: GridMode): Promise<GridCell> {
  const expected = expectedWay(a, b, mode);
  await using world = await openNatWorld(lab, { a, b });
  await using peers = await Peers.open(lab, world, { binary, peer: { hard_nat: { mode } } });
  using stream = await NumberedStream.start(peers.entry, peers.exit);
  await untilDecided(peers, expected);
  await Bun.sleep(AFTER_MS);
  const { sent, firstBackMs, lost, doubled } = await stream.finish();
  const ends = await Promise.all([peers.relay, peers.agent].map(pipeOf));
  const [home, office] = ends.map(wayOf);
  return {
    ...{ a, b, mode, expected, sent, firstBackMs, lost: lost.length, doubled: doubled.length },
    way: home === office ? (home ?? "none") : `${home} | ${office}`,
    attempts: ends[0]?.attempts.length ?? 0,
    directMs: directMs(peers.relay),
    probes: ends.flatMap((end) => end?.attempts ?? []).reduce((sum, { report }) => sum + (report?.packets ?? 0), 0),
  };
}

/** Both ends say that they go direct, or have tried and know of no way. */
async function untilDecided({ relay, agent }: Peers, expected: Way): Promise<void> {
  const isDecided = (node: UtNode) =>
    node.logs("pipe_direct").length > 0 ||
    (expected === "relay" && node.logs("pipe_stays_on_relay").length > 0 && node.logs("nat_type").length > 0);
  const deadline = performance.now() + (expected === "relay" ? RELAY_LIMIT_MS : DIRECT_LIMIT_MS);
  while (!(isDecided(relay) && isDecided(agent)) && performance.now() < deadline) await Bun.sleep(LOOK_MS);
}

async function pipeOf(node: UtNode): Promise<PipeExplanation | undefined> {
  return (await node.status()).traversal.pipes[0];
}

function wayOf(pipe: PipeExplanation | undefined): Way | "peer" | "none" {
  if (pipe === undefined) return "none";
  return pipe.route === "direct" ? (pipe.direct?.meta.winner ?? "none") : "relay";
}

/** Since the pipe was open and carried datagrams over the server. */
function directMs(relay: UtNode): number | null {
  const [open, direct] = [relay.logs("pipe_open")[0], relay.logs("pipe_direct")[0]];
  return open === undefined || direct === undefined ? null : timeOf(direct) - timeOf(open);
}

function timeOf({ time }: LogLine): number {
  return Date.parse(String(time));
}
