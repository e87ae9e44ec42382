import type { LoadSample } from "../../core/tunnel/load-history.ts";
import type { RoleReport, StatusReport } from "../../io/http/status-report.ts";
import { formatSpan } from "../nat/nat-explain-time.ts";
import { formatRate, sparkline } from "../quantity.ts";
import type { Span, StyledLine } from "../styled.ts";
import { formatMs, formatNumber } from "../table.ts";
import { certificateLines, dropLines, memberLines, networkLines, pipeLines, socksLines } from "./status-sections.ts";
import { sessionLines } from "./status-sessions.ts";

/** What is known of a node. `samples` is its last 15 minutes, oldest first; undefined when it was asked only once. */
export interface ShownStatus {
  readonly status: StatusReport;
  readonly samples: readonly LoadSample[] | undefined;
}

/** The whole state of a node for a terminal that is so wide; `Infinity` for a file. */
export function statusLines({ status, samples }: ShownStatus, width: number): StyledLine[] {
  const paragraphs = [
    headLines(status),
    trafficLines(status, samples, width),
    ...status.roles.flatMap((role) => role.sessions.map((session) => sessionLines(session, role.role, width))),
    pipeLines(status, width),
    socksLines(status),
    memberLines(status, width),
    dropLines(status, width),
    networkLines(status),
    certificateLines(status, width),
  ];
  return paragraphs
    .filter((lines) => lines.length > 0)
    .flatMap((lines, index) => (index === 0 ? lines : [[], ...lines]));
}

function headLines({ roles, build, pid, uptimeSeconds, ready, notReady }: StatusReport): StyledLine[] {
  const about = [
    roles.map(({ role, listen }) => (listen === "" ? role : `${role} on ${listen}`)).join(", "),
    serverWords(roles),
    `ut ${build.version} (${build.commit}, ${build.platform})`,
    `pid ${pid}`,
    `up for ${formatSpan(uptimeSeconds * 1_000)}`,
  ];
  const state: Span = ready ? { text: "ready", tone: "good" } : { text: "not ready", tone: "bad" };
  return [
    [{ text: roles[0]?.cn ?? "starting", tone: "strong" }, { text: "  " }, state],
    [{ text: about.filter((word) => word !== "").join(" · "), tone: "quiet" }],
    ...notReady.map((reason): StyledLine => [{ text: reason, tone: "bad" }]),
  ];
}

/** Which server of several is in use. */
function serverWords(roles: readonly RoleReport[]): string {
  const { addresses = [], current = 0 } = roles.find(({ servers }) => servers !== undefined)?.servers ?? {};
  return addresses.length < 2 ? "" : `over ${addresses[current]}, server ${current + 1} of ${addresses.length}`;
}

function trafficLines(
  { roles }: StatusReport,
  samples: readonly LoadSample[] | undefined,
  width: number,
): StyledLine[] {
  const latest = samples?.at(-1);
  const up = latest?.upBitsPerSecond ?? laneRate(roles, true);
  const down = latest?.downBitsPerSecond ?? laneRate(roles, false);
  const plot = (key: "upBitsPerSecond" | "downBitsPerSecond", tone: "up" | "down"): Span[] => {
    if (samples === undefined || samples.length < 2) return [];
    const values = samples.map((sample) => sample[key]);
    const top = Math.max(...values);
    const peak = `  peak ${formatRate(top)} of ${formatSpan((samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0))}`;
    const room = Math.max(0, Math.min(120, width - RATE_WIDTH - peak.length));
    return [
      { text: sparkline(values, room, top), tone },
      { text: peak, tone: "quiet" },
    ];
  };
  return [
    [{ text: "up    ", tone: "up" }, { text: formatRate(up).padEnd(14) }, ...plot("upBitsPerSecond", "up")],
    [{ text: "down  ", tone: "down" }, { text: formatRate(down).padEnd(14) }, ...plot("downBitsPerSecond", "down")],
    ...(latest === undefined ? [] : [latencyLine(latest)]),
  ];
}

const RATE_WIDTH = "down  ".length + 14;

function latencyLine({ rttMs, slowestRttMs, waitMs, queuedPackets }: LoadSample): StyledLine {
  const ms = (value: number | null) => (value === null ? "-" : `${formatMs(value)} ms`);
  return [
    { text: `round trip ${ms(rttMs)}, slowest lane ${ms(slowestRttMs)}; ` },
    { text: `${formatNumber(queuedPackets)} datagrams wait, on average for ${ms(waitMs)}` },
  ];
}

/** What all lanes carry now; at a server what comes in goes up. */
function laneRate(roles: readonly RoleReport[], isUp: boolean): number {
  return roles.reduce((sum, { role, sessions }) => {
    const isIn = (role === "server") === isUp;
    const lanes = sessions.flatMap((session) => session.lanes);
    return sum + lanes.reduce((all, lane) => all + (isIn ? lane.inBitsPerSecond : lane.outBitsPerSecond), 0);
  }, 0);
}
