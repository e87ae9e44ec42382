import type { DownLane, LaneEnd } from "../../core/tunnel/status.ts";
import type { LaneReport, RoleReport, SessionReport } from "../../io/http/status-report.ts";
import { formatSpan } from "../nat/nat-explain-time.ts";
import { formatBytes, formatRate } from "../quantity.ts";
import type { Span, StyledLine } from "../styled.ts";
import { type StyledColumn, styledTable } from "../styled-table.ts";
import { formatMs, formatNumber } from "../table.ts";

/** One session: what waits in it, its lanes, and how some of them ended. */
export function sessionLines(session: SessionReport, role: RoleReport["role"], width: number): StyledLine[] {
  const { clientCn, lanes, downLanes, queue, held, congestion, idleMs } = session;
  const rows = rowsOf(session, role);
  const facts = [
    `${lanes.length} of ${lanes.length + downLanes.length} lanes open`,
    queue.packets === 0
      ? "nothing waits"
      : `${formatNumber(queue.packets)} datagrams (${formatBytes(queue.bytes)}) wait, the oldest for ${formatMs(queue.oldestMs)} ms`,
    ...(held.packets > 0 ? [`${formatNumber(held.packets)} are held for an earlier one`] : []),
    congestion,
    `last datagram ${formatSpan(idleMs)} ago`,
  ];
  const title: StyledLine = [{ text: `Session of ${clientCn}`, tone: "strong" }, { text: `  ${facts.join(", ")}` }];
  return [title, ...styledTable(COLUMNS, rows, width), ...rows.flatMap(endLines)];
}

interface Row {
  readonly id: number;
  readonly state: Span;
  readonly open: (LaneReport & { readonly up: Way; readonly down: Way }) | undefined;
  readonly ended: LaneEnd | null;
}

interface Way {
  readonly bitsPerSecond: number;
  readonly bytes: number;
}

function rowsOf({ lanes, downLanes }: SessionReport, role: RoleReport["role"]): Row[] {
  const open = lanes.map((lane) => {
    const into = { bitsPerSecond: lane.inBitsPerSecond, bytes: lane.bytesIn };
    const out = { bitsPerSecond: lane.outBitsPerSecond, bytes: lane.bytesOut };
    const ways = role === "server" ? { up: into, down: out } : { up: out, down: into };
    return { id: lane.id, state: openState(lane), open: { ...lane, ...ways }, ended: lane.ended };
  });
  const down = downLanes.map((lane) => ({ id: lane.id, state: downState(lane), open: undefined, ended: lane.ended }));
  return [...open, ...down].sort((one, other) => one.id - other.id);
}

const COLUMNS: readonly StyledColumn<Row>[] = [
  { title: "lane", cell: ({ id }) => ({ text: `${id}` }), weight: 9 },
  { title: "state", cell: ({ state }) => state, align: "left", weight: 9 },
  column("up now", 8, ({ up }) => formatRate(up.bitsPerSecond)),
  column("down now", 8, ({ down }) => formatRate(down.bitsPerSecond)),
  column("up", 4, ({ up }) => formatBytes(up.bytes)),
  column("down", 4, ({ down }) => formatBytes(down.bytes)),
  column("RTT ms", 7, ({ tcp }) => (tcp === undefined ? "-" : formatMs(tcp.rttMs))),
  column("unsent", 6, ({ tcp }) => (tcp === undefined ? "-" : formatBytes(tcp.unsentBytes))),
  column("sent again", 5, ({ tcp }) => (tcp === undefined ? "-" : formatNumber(tcp.retransmits))),
  { ...column("control", 2, ({ tcp }) => tcp?.congestion ?? "-"), align: "left" },
  { ...column("connection", 3, ({ remote }) => remote), align: "left" },
];

function column(title: string, weight: number, text: (lane: NonNullable<Row["open"]>) => string): StyledColumn<Row> {
  return { title, weight, cell: ({ open }) => ({ text: open === undefined ? "" : text(open) }) };
}

function openState({ state, stalled, openMs }: LaneReport): Span {
  const since = formatSpan(openMs);
  if (stalled) return { text: `stalled, open for ${since}`, tone: "warn" };
  return { text: `${state} for ${since}`, tone: state === "open" ? "good" : "warn" };
}

function downState({ state, retryInMs }: DownLane): Span {
  switch (state) {
    case "idle":
      return { text: "idle", tone: "quiet" };
    case "dialing":
      return { text: "dialling", tone: "warn" };
    case "waiting":
      return { text: `down, dials in ${formatSpan(retryInMs ?? 0)}`, tone: "bad" };
    case "closed":
      return { text: "down", tone: "bad" };
    default:
      return state satisfies never;
  }
}

function endLines({ id, ended, open }: Row): StyledLine[] {
  if (ended === null || ended.isAgreed) return [];
  const times = ended.times === 1 ? "ended" : `ended ${ended.times} times, last`;
  const text = `lane ${id} ${times} ${formatSpan(ended.agoMs)} ago: ${ended.reason}`;
  return [[{ text, tone: open === undefined ? "warn" : "quiet" }]];
}
