import type { Instant } from "../time.ts";
import type { TunnelCounters } from "./counters.ts";
import type { NodeStatus } from "./status.ts";

/** What the lanes of a process did in the time before `at`, since the sample before. */
export interface LoadSample {
  readonly at: Instant;
  /** Payload that left this process, of the tunnel and of pipes over the server: client to server, and back. */
  readonly upBitsPerSecond: number;
  readonly downBitsPerSecond: number;
  /** Datagrams dropped for whatever reason. */
  readonly drops: number;
  /** Smoothed round trip of the open lanes: the median one's and the slowest one's; null where nobody knows. */
  readonly rttMs: number | null;
  readonly slowestRttMs: number | null;
  /** What datagrams waited in the queue on average; null when none left it. */
  readonly waitMs: number | null;
  readonly queuedPackets: number;
  readonly openLanes: number;
}

/** The same by column, which is a third of the size as JSON. */
export type LoadColumns = { readonly [Key in keyof LoadSample]: readonly LoadSample[Key][] };

/** How far back it goes. */
export const HISTORY_MS = 900_000;
/** At one sample a second; fewer reach as far back. */
const MAX_SAMPLES = HISTORY_MS / 1_000;

/** The last 15 minutes of a process, of any number of roles and sessions, in at most 900 samples. */
export class LoadHistory {
  readonly #samples: LoadSample[] = [];
  #last: Totals | undefined;

  /** Look at the counters now. Undefined is the first time, as there is nothing to compare with. */
  record(at: Instant, nodes: readonly NodeStatus[]): LoadSample | undefined {
    const before = this.#last;
    const totals = totalsOf(at, nodes);
    this.#last = totals;
    if (before === undefined || at <= before.at) return undefined;
    const sample = sampleOf(before, totals, nodes);
    this.#samples.push(sample);
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    return sample;
  }

  /** Oldest first. */
  columns(): LoadColumns {
    const column = <Key extends keyof LoadSample>(key: Key) => this.#samples.map((sample) => sample[key]);
    return {
      at: column("at"),
      upBitsPerSecond: column("upBitsPerSecond"),
      downBitsPerSecond: column("downBitsPerSecond"),
      drops: column("drops"),
      rttMs: column("rttMs"),
      slowestRttMs: column("slowestRttMs"),
      waitMs: column("waitMs"),
      queuedPackets: column("queuedPackets"),
      openLanes: column("openLanes"),
    };
  }
}

/** Row by row again. */
export function samplesOf(columns: LoadColumns): LoadSample[] {
  const keys = Object.keys(columns) as (keyof LoadSample)[];
  return columns.at.map((_, row) => Object.fromEntries(keys.map((key) => [key, columns[key][row]])) as never);
}

interface Totals {
  readonly at: Instant;
  upBytes: number;
  downBytes: number;
  drops: number;
  waited: number;
  waitedMs: number;
}

function totalsOf(at: Instant, nodes: readonly NodeStatus[]): Totals {
  const totals: Totals = { at, upBytes: 0, downBytes: 0, drops: 0, waited: 0, waitedMs: 0 };
  for (const { clients } of nodes) for (const counters of clients.values()) add(totals, counters);
  return totals;
}

function add(totals: Totals, { up, down, channels, queueDelay }: TunnelCounters): void {
  totals.upBytes += up.outBytes + channels.up.outBytes;
  totals.downBytes += down.outBytes + channels.down.outBytes;
  totals.waited += queueDelay.count;
  totals.waitedMs += queueDelay.sumMs;
  for (const { drops } of [up, down, channels.up, channels.down])
    for (const count of Object.values(drops)) totals.drops += count;
}

function sampleOf(before: Totals, after: Totals, nodes: readonly NodeStatus[]): LoadSample {
  const seconds = (after.at - before.at) / 1_000;
  const bitsPerSecond = (bytes: number) => Math.round((bytes * 8) / seconds);
  const sessions = nodes.flatMap((node) => node.sessions);
  const lanes = sessions.flatMap((session) => session.lanes);
  const rtts = lanes.flatMap(({ tcp }) => tcp?.rttMs ?? []).sort((one, other) => one - other);
  const waited = after.waited - before.waited;
  return {
    at: Math.round(after.at),
    upBitsPerSecond: bitsPerSecond(after.upBytes - before.upBytes),
    downBitsPerSecond: bitsPerSecond(after.downBytes - before.downBytes),
    drops: after.drops - before.drops,
    rttMs: rounded(rtts[rtts.length >> 1]),
    slowestRttMs: rounded(rtts.at(-1)),
    waitMs: waited > 0 ? rounded((after.waitedMs - before.waitedMs) / waited) : null,
    queuedPackets: sessions.reduce((sum, { queue }) => sum + queue.packets, 0),
    openLanes: lanes.length,
  };
}

/** To a microsecond. */
function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms * 1_000) / 1_000;
}
