import type { DownLane, LaneEnd } from "../core/tunnel/status.ts";
import type { LaneReport, SessionReport } from "../io/http/status-report.ts";
import { formatBytes, formatCount, formatMs, formatRate, formatSpan, formatThings } from "./format.ts";
import type { Cell, Column } from "./table.ts";

/** A lane number of a session, with the connection that stands for it or without. */
export type ShownLane = OpenLane | { readonly id: number; readonly open: undefined; readonly down: DownLane };

interface OpenLane {
  readonly id: number;
  readonly open: LaneReport;
  /** From client to server, and back. */
  readonly ways: { readonly up: Way; readonly down: Way };
  /** Of the lane of its session that carries most, either way. */
  readonly most: number;
}

interface Way {
  readonly bitsPerSecond: number;
  readonly bytes: number;
  readonly packets: number;
}

/** By number. `isServer`: what comes in goes up. */
export function lanesOf({ lanes, downLanes }: SessionReport, isServer: boolean): ShownLane[] {
  const most = Math.max(1, ...lanes.flatMap((lane) => [lane.inBitsPerSecond, lane.outBitsPerSecond]));
  return [
    ...lanes.map((open) => ({ id: open.id, open, ways: waysOf(open, isServer), most })),
    ...downLanes.map((down) => ({ id: down.id, open: undefined, down })),
  ].sort((one, other) => one.id - other.id);
}

function waysOf(lane: LaneReport, isServer: boolean): OpenLane["ways"] {
  const into = { bitsPerSecond: lane.inBitsPerSecond, bytes: lane.bytesIn, packets: lane.packetsIn };
  const out = { bitsPerSecond: lane.outBitsPerSecond, bytes: lane.bytesOut, packets: lane.packetsOut };
  return isServer ? { up: into, down: out } : { up: out, down: into };
}

export const LANE_COLUMNS: readonly Column<ShownLane>[] = [
  { title: "Lane", cell: ({ id }) => ({ text: `${id}`, value: id }) },
  { title: "State", cell: (lane) => (lane.open === undefined ? downState(lane.down) : openState(lane.open)) },
  column("Up now", (lane) => rate(lane, "up")),
  column("Down now", (lane) => rate(lane, "down")),
  column("Up in all", ({ ways }) => carried(ways.up)),
  column("Down in all", ({ ways }) => carried(ways.down)),
  column("Round trip", ({ open: { tcp } }) =>
    tcp === undefined
      ? UNKNOWN
      : { text: formatMs(tcp.rttMs), value: tcp.rttMs, note: `least ${formatMs(tcp.minRttMs)}` },
  ),
  column("Unsent", ({ open: { tcp } }) =>
    tcp === undefined ? UNKNOWN : { text: formatBytes(tcp.unsentBytes), value: tcp.unsentBytes },
  ),
  column("Sent again", ({ open: { tcp } }) =>
    tcp === undefined
      ? UNKNOWN
      : {
          text: formatCount(tcp.retransmits),
          value: tcp.retransmits,
          note: tcp.retransmits === 1 ? "segment" : "segments",
        },
  ),
  {
    title: "Connection",
    cell: ({ open }) => (open === undefined ? NOTHING : { text: open.remote, note: open.tcp?.congestion ?? "" }),
  },
];

/** Where the system does not tell. */
const UNKNOWN: Cell = { text: "–", tone: "quiet" };
const NOTHING: Cell = { text: "", tone: "quiet", bars: [] };

function column(title: string, cell: (lane: OpenLane) => Cell): Column<ShownLane> {
  return { title, isNumber: true, cell: (lane) => (lane.open === undefined ? NOTHING : cell(lane)) };
}

function rate({ ways, most }: OpenLane, kind: "up" | "down"): Cell {
  const { bitsPerSecond } = ways[kind];
  return { text: formatRate(bitsPerSecond), value: bitsPerSecond, bars: [{ kind, share: bitsPerSecond / most }] };
}

function carried({ bytes, packets }: Way): Cell {
  return { text: formatBytes(bytes), value: bytes, note: formatThings(packets, "datagram") };
}

function openState({ state, stalled, openMs, ended }: LaneReport): Cell {
  const since = `for ${formatSpan(openMs)}`;
  const note = ended === null || ended.isAgreed ? since : `${since}; before that ${endOf(ended)}`;
  if (stalled) return { text: "stalled", tone: "warn", note };
  return { text: state, tone: state === "open" ? "good" : "warn", note };
}

function downState({ state, retryInMs, ended }: DownLane): Cell {
  const note = ended === null ? "" : endOf(ended);
  switch (state) {
    case "idle":
      return { text: "idle", tone: "quiet", note: note === "" ? "opens when something is to be sent" : note };
    case "dialing":
      return { text: "dialling", tone: "warn", note };
    case "waiting":
      return { text: `down, dials in ${formatSpan(retryInMs ?? 0)}`, tone: "bad", note };
    case "closed":
      return { text: "down", tone: "bad", note };
    default:
      return state satisfies never;
  }
}

function endOf({ times, agoMs, reason }: LaneEnd): string {
  return `${times === 1 ? "ended" : `ended ${times} times, last`} ${formatSpan(agoMs)} ago: ${reason}`;
}
