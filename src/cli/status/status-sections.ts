import type { SignalStatus } from "../../core/signal/signal-status.ts";
import type { StatusReport, TraversalReport } from "../../io/http/status-report.ts";
import { formatSpan } from "../nat/nat-explain-time.ts";
import { natName, verdictWords } from "../nat/nat-explain-words.ts";
import { formatBytes } from "../quantity.ts";
import type { Span, StyledLine, Tone } from "../styled.ts";
import { styledTable } from "../styled-table.ts";
import { formatMs, formatNumber } from "../table.ts";

interface DropRow {
  readonly reason: string;
  readonly up: number;
  readonly down: number;
}

/** What was dropped, by reason, of all clients together; nothing where nothing was. */
export function dropLines({ roles }: StatusReport, width: number): StyledLine[] {
  const rows = new Map<string, DropRow>();
  for (const { up, down, channels } of roles.flatMap(({ clients }) => Object.values(clients)))
    for (const [counts, note] of [
      [{ up: up.drops, down: down.drops }, ""],
      [{ up: channels.up.drops, down: channels.down.drops }, " (pipes)"],
    ] as const)
      for (const way of ["up", "down"] as const)
        for (const [name, count] of Object.entries(counts[way])) {
          const reason = `${name}${note}`;
          const before = rows.get(reason) ?? { reason, up: 0, down: 0 };
          if (count > 0) rows.set(reason, { ...before, [way]: before[way] + count });
        }
  if (rows.size === 0) return [];
  return [
    [{ text: "Dropped since the start", tone: "strong" }],
    ...styledTable<DropRow>(
      [
        { title: "reason", cell: ({ reason }) => ({ text: reason }), align: "left", weight: 2 },
        { title: "up", cell: ({ up }) => ({ text: formatNumber(up) }), weight: 1 },
        { title: "down", cell: ({ down }) => ({ text: formatNumber(down) }), weight: 1 },
      ],
      [...rows.values()],
      width,
    ),
  ];
}

type Pipe = TraversalReport["pipes"][number];

/** Peers and which way their datagrams go; `ut nat explain` tells more. */
export function pipeLines({ traversal: { pipes } }: StatusReport, width: number): StyledLine[] {
  if (pipes.length === 0) return [];
  return [
    [{ text: "Peers", tone: "strong" }],
    ...styledTable<Pipe>(
      [
        { title: "peer", cell: ({ peer }) => ({ text: peer }), align: "left", weight: 9 },
        { title: "service", cell: ({ service }) => ({ text: service }), align: "left", weight: 3 },
        { title: "path", cell: pathSpan, align: "left", weight: 9 },
        { title: "direct ms", cell: (pipe) => rtt(pipe.directRttMs ?? pipe.direct?.rttMs ?? null), weight: 6 },
        { title: "server ms", cell: ({ relayRttMs }) => rtt(relayRttMs), weight: 5 },
        { title: "why", cell: (pipe) => ({ text: whyOf(pipe) }), align: "left", weight: 4 },
      ],
      pipes,
      width,
    ),
  ];
}

function pathSpan({ state, route, direct }: Pipe): Span {
  if (state !== "open") return { text: state, tone: "warn" };
  if (route === "relay") return { text: "over the server" };
  const text = `${route} ${direct?.remote ?? ""}`.trimEnd();
  return { text, tone: route === "direct" ? "good" : "warn" };
}

function whyOf({ direct, verdict, peer }: Pipe): string {
  if (direct === null) return verdictWords(verdict, peer);
  const { winner, elapsedMs } = direct.meta;
  if (winner === "peer") return "the peer moved there";
  return `${winner === "ice" ? "ICE" : "hard-NAT"} won within ${formatMs(elapsedMs)} ms`;
}

function rtt(ms: number | null): Span {
  return ms === null ? { text: "-", tone: "quiet" } : { text: formatMs(ms) };
}

type Member = SignalStatus["members"][number];

/** At a server: the peers that it brings together. */
export function memberLines({ roles }: StatusReport, width: number): StyledLine[] {
  const members = roles.flatMap(({ signals }) => signals?.members ?? []);
  if (members.length === 0) return [];
  return [
    [{ text: "Peers at this server", tone: "strong" }],
    ...styledTable<Member>(
      [
        { title: "peer", cell: ({ cn }) => ({ text: cn }), align: "left", weight: 9 },
        { title: "control", cell: connectionSpan, align: "left", weight: 8 },
        { title: "RTT ms", cell: ({ rttMs }) => rtt(rttMs), weight: 5 },
        { title: "NAT", cell: ({ nat }) => ({ text: nat === "" ? "-" : nat }), align: "left", weight: 4 },
        { title: "pipes", cell: ({ pipes }) => ({ text: formatNumber(pipes) }), weight: 6 },
      ],
      members,
      width,
    ),
  ];
}

function connectionSpan({ isConnected, isRegistered }: Member): Span {
  if (!isConnected) return { text: "lost", tone: "warn" };
  return { text: isRegistered ? "open, can be called" : "open", tone: "good" };
}

/** What goes through the SOCKS proxy of this node, or leaves it as somebody else's. */
export function socksLines({ roles }: StatusReport): StyledLine[] {
  return roles.flatMap(({ role, socks }): StyledLine[] => {
    if (socks == null) return [];
    const { open, bytes, refused, link } = socks;
    const denied = Object.values(refused).reduce((sum, count) => sum + count, 0);
    const counts = Object.entries(open).map(([kind, count]) => `${formatNumber(count)} ${kind}`);
    const text = `${counts.join(", ")} open; ${formatBytes(bytes.up)} up, ${formatBytes(bytes.down)} down; ${formatNumber(denied)} refused`;
    return [
      [{ text: role === "socks" ? "SOCKS proxy" : "SOCKS exit", tone: "strong" }, { text: `  ${text}` }],
      ...(link.problem === null ? [] : [[{ text: link.problem, tone: "warn" } as const]]),
    ];
  });
}

/** What `nat.watch` found out; nothing where it does not look. */
export function networkLines({ traversal: { network } }: StatusReport): StyledLine[] {
  if (network === null) return [];
  const { nat, reflex, portMapping, listen } = network;
  const verdict = nat === null ? "being found out" : natName(nat);
  const outside = reflex === null ? "outside address not known" : `outside ${reflex.endpoint} (${reflex.source})`;
  const mapping = portMapping === null ? "no port mapping" : `${portMapping.protocol} maps ${portMapping.external}`;
  return [
    [{ text: "Network", tone: "strong" }],
    [{ text: `${verdict}, ${outside}, ${mapping}; own socket ${listen}` }],
  ];
}

interface CertificateRow {
  readonly whose: string;
  readonly notAfter: string;
}

const SOON_MS = 30 * 86_400_000;

/** What ends first stands first. */
export function certificateLines(status: StatusReport, width: number): StyledLine[] {
  const { own, authority, peers } = status.certificates;
  const nowMs = Date.parse(status.startedAt) + status.uptimeSeconds * 1_000;
  const rows = [
    { whose: `${own.cn} (this node)`, notAfter: own.notAfter },
    { whose: "the CA", notAfter: authority.notAfter },
    ...peers.map(({ cn, notAfter }) => ({ whose: cn, notAfter })),
  ].sort((one, other) => Date.parse(one.notAfter) - Date.parse(other.notAfter));
  return [
    [{ text: "Certificates", tone: "strong" }],
    ...styledTable<CertificateRow>(
      [
        { title: "of", cell: ({ whose }) => ({ text: whose }), align: "left", weight: 2 },
        { title: "ends", cell: ({ notAfter }) => endSpan(notAfter, nowMs), align: "left", weight: 2 },
      ],
      rows,
      width,
    ),
  ];
}

function endSpan(notAfter: string, nowMs: number): Span {
  const leftMs = Date.parse(notAfter) - nowMs;
  const distance = leftMs < 0 ? `${formatSpan(-leftMs)} ago` : `in ${formatSpan(leftMs)}`;
  const tone: Tone = leftMs < 0 ? "bad" : leftMs < SOON_MS ? "warn" : "plain";
  return { text: `${notAfter.slice(0, 10)}, ${distance}`, tone };
}
