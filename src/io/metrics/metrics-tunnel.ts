import { DELAY_BUCKETS_MS, type Direction, DROP_REASONS, type TunnelCounters } from "../../core/tunnel/counters.ts";
import type { LaneStatus, NodeStatus, SessionStatus } from "../../core/tunnel/status.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import type { HandshakeFailure } from "../lanes/tls-verdict.ts";
import type { Family, Sample } from "./computed-metric.ts";
import { CHANNEL_FAMILIES } from "./metrics-channels.ts";
import { dropsPerDirection, perDirection, sum } from "./metrics-directions.ts";

export interface TunnelFamiliesOptions {
  /** Every role of this process, asked once per family. */
  readonly nodes: () => readonly NodeStatus[];
  readonly perClientCn: boolean;
  readonly perLane: boolean;
}

/**
 * The tunnel's metric families, computed from the counters of all roles of the process; samples with the same labels
 * are added up. Source of names: seed `ut-agents.txt` "Metrics", DESIGN "Observability".
 *
 * A CN has its series from the first time it is seen to the end of the process, whether it has a session or not: an
 * alert on `ut_sessions_active == 0` must be able to fire. Only lane series go with their lane.
 */
export function tunnelFamilies(options: TunnelFamiliesOptions): Family[] {
  const families = [...CLIENT_FAMILIES, ...CHANNEL_FAMILIES].map(({ read, ...family }) => ({
    ...family,
    samples: () => groupByClient(options).flatMap((group) => labelled(read(group), group.labels)),
  }));
  const lanes = LANE_FAMILIES.map(({ read, combine, ...family }) => ({
    ...family,
    samples: () => laneSamples(options, read, combine),
  }));
  return [...families, ...nodeFamilies(options.nodes), ...(options.perLane ? lanes : [])];
}

/** All that this process knows of one client CN, or of all of them when series carry no CN. */
export interface ClientGroup {
  readonly labels: Readonly<Record<string, string>>;
  readonly counters: TunnelCounters[];
  readonly sessions: SessionStatus[];
}

function groupByClient(options: TunnelFamiliesOptions): ClientGroup[] {
  const groups = new Map<string, ClientGroup>();
  function group(cn: string): ClientGroup {
    const key = options.perClientCn ? cn : "";
    let found = groups.get(key);
    if (found === undefined) {
      found = { labels: options.perClientCn ? { client_cn: cn } : {}, counters: [], sessions: [] };
      groups.set(key, found);
    }
    return found;
  }

  if (!options.perClientCn) group("");
  for (const node of options.nodes()) {
    if (node.role === "client") group(node.cn);
    for (const [cn, counters] of node.clients) group(cn).counters.push(counters);
    for (const session of node.sessions) group(session.clientCn).sessions.push(session);
  }
  return [...groups.values()];
}

export type Reading = Omit<Sample, "labels"> & { readonly labels?: Readonly<Record<string, string>> };

function labelled(readings: readonly Reading[], labels: ClientGroup["labels"]): Sample[] {
  return readings.map((reading) => ({ ...reading, labels: { ...labels, ...reading.labels } }));
}

/** A record, so that a kind that is missing here does not compile. */
const FRAME_ERROR_KINDS: Record<FrameErrorKind, true> = {
  bad_magic: true,
  bad_version: true,
  bad_type: true,
  bad_flags: true,
  bad_length: true,
  ctrl_too_large: true,
  ctrl_flood: true,
  bad_ctrl: true,
  bad_hello: true,
  duplicate_hello: true,
  unexpected_data: true,
  slow_pdu: true,
  ws_text: true,
  ws_reserved: true,
  ws_mask: true,
  ws_fragment: true,
  ws_control: true,
  ws_length: true,
  ws_too_large: true,
  ws_flood: true,
};

export interface ClientFamily extends Omit<Family, "samples"> {
  read(group: ClientGroup): Reading[];
}

const tunnelled = (counters: TunnelCounters, dir: Direction) => counters[dir];

const CLIENT_FAMILIES: readonly ClientFamily[] = [
  gauge("ut_sessions_active", "Sessions that exist now", (group) => group.sessions.length),
  gauge("ut_lanes_active_total", "Lanes that are open now", (group) =>
    sum(group.sessions, (session) => session.lanes.filter((lane) => lane.state === "open").length),
  ),
  perDirection("ut_udp_in_bytes_total", "Payload bytes of datagrams that entered this process", "inBytes", tunnelled),
  perDirection("ut_udp_in_packets_total", "Datagrams that entered this process", "inPackets", tunnelled),
  perDirection("ut_udp_out_bytes_total", "Payload bytes of datagrams that left this process", "outBytes", tunnelled),
  perDirection("ut_udp_out_packets_total", "Datagrams that left this process", "outPackets", tunnelled),
  dropsPerDirection("ut_udp_drop_total", "Datagrams that were dropped, by reason", DROP_REASONS, tunnelled),
  counter("ut_lane_reconnect_total", "Lanes dialled again after one broke or failed", (one) => one.laneReconnects),
  gauge("ut_queue_len", "Datagrams that wait in the session queue", (group) =>
    sum(group.sessions, (session) => session.queue.packets),
  ),
  {
    name: "ut_queue_delay_seconds",
    help: "Time that datagrams waited in the session queue",
    type: "histogram",
    read: queueDelay,
  },
  {
    name: "ut_frame_err_total",
    help: "Frames that broke the protocol, by kind; each closes its lane",
    type: "counter",
    read: (group) =>
      Object.keys(FRAME_ERROR_KINDS).map((kind) => ({
        labels: { kind },
        value: sum(group.counters, (counters) => counters.frameErrors.get(kind as FrameErrorKind) ?? 0),
      })),
  },
  gauge("ut_resequencer_held", "Datagrams that wait for an earlier one", (group) =>
    sum(group.sessions, (session) => session.held.packets),
  ),
  counter(
    "ut_reorder_timeouts_total",
    "Datagrams released because tcp.reorder_ms was over",
    (one) => one.reorderTimeouts,
  ),
  counter(
    "ut_congestion_switches_total",
    "Times the lanes were moved to another congestion control",
    (one) => one.congestionSwitches,
  ),
];

function gauge(name: string, help: string, read: (group: ClientGroup) => number): ClientFamily {
  return { name, help, type: "gauge", read: (group) => [{ value: read(group) }] };
}

function counter(name: string, help: string, read: (counters: TunnelCounters) => number): ClientFamily {
  return { name, help, type: "counter", read: (group) => [{ value: sum(group.counters, read) }] };
}

function queueDelay(group: ClientGroup): Reading[] {
  let below = 0;
  const buckets = [...DELAY_BUCKETS_MS, Number.POSITIVE_INFINITY].map((boundMs, index) => {
    below += sum(group.counters, (counters) => counters.queueDelay.buckets[index] ?? 0);
    const le = Number.isFinite(boundMs) ? String(boundMs / 1000) : "+Inf";
    return { suffix: "_bucket", labels: { le }, value: below };
  });
  const sumMs = sum(group.counters, (counters) => counters.queueDelay.sumMs);
  return [...buckets, { suffix: "_sum", value: sumMs / 1000 }, { suffix: "_count", value: below }];
}

/** Why a server refuses. A client's reasons are OpenSSL's codes and appear as they happen. */
const REFUSALS: Record<HandshakeFailure, true> = {
  no_certificate: true,
  wrong_ca: true,
  expired: true,
  not_yet_valid: true,
  bad_cn: true,
  denied_cn: true,
  wrong_purpose: true,
  not_tls: true,
  timeout: true,
  crowded_out: true,
  visitor: true,
  closed: true,
  other: true,
};

/** Families of the node itself, without `client_cn`: who failed a handshake has shown no name to go by. */
function nodeFamilies(nodes: () => readonly NodeStatus[]): Family[] {
  return [
    {
      name: "ut_tls_handshake_fail_total",
      help: "TLS handshakes that failed or were refused, by reason",
      type: "counter",
      samples() {
        const isServer = nodes().some((node) => node.role === "server");
        const failures = new Map<string, number>(isServer ? Object.keys(REFUSALS).map((reason) => [reason, 0]) : []);
        for (const node of nodes())
          for (const [reason, count] of node.tlsHandshakeFailures)
            failures.set(reason, (failures.get(reason) ?? 0) + count);
        return [...failures].map(([reason, value]) => ({ labels: { reason }, value }));
      },
    },
    {
      name: "ut_certificate_not_after_seconds",
      help: "When this node's own certificate ends, as Unix time",
      type: "gauge",
      samples: () =>
        nodes().map(({ role, certificateNotAfter }) => ({
          labels: { role },
          value: Date.parse(certificateNotAfter) / 1000,
        })),
    },
  ];
}

interface LaneFamily extends Omit<Family, "samples"> {
  /** `undefined` where the system does not tell. */
  read(lane: LaneStatus): number | undefined;
  /** How lanes of one number in several sessions become one sample. */
  combine(left: number, right: number): number;
}

const add = (left: number, right: number) => left + right;

const LANE_FAMILIES: readonly LaneFamily[] = [
  lane("ut_lane_in_bytes_total", "Bytes that arrived on the lane", (one) => one.bytesIn),
  lane("ut_lane_in_packets_total", "Datagrams that arrived on the lane", (one) => one.packetsIn),
  lane("ut_lane_out_bytes_total", "Bytes that were handed to the lane", (one) => one.bytesOut),
  lane("ut_lane_out_packets_total", "Datagrams that were handed to the lane", (one) => one.packetsOut),
  lane("ut_lane_retransmits_total", "TCP segments sent again on the lane", (one) => one.tcp?.retransmits),
  {
    name: "ut_lane_rtt_seconds",
    help: "Smoothed round trip time of the lane's TCP connection",
    type: "gauge",
    read: (one) => (one.tcp === undefined ? undefined : one.tcp.rttMs / 1000),
    combine: Math.max,
  },
];

function lane(name: string, help: string, read: (lane: LaneStatus) => number | undefined): LaneFamily {
  return { name, help, type: "counter", read, combine: add };
}

function laneSamples(
  options: TunnelFamiliesOptions,
  read: LaneFamily["read"],
  combine: LaneFamily["combine"],
): Sample[] {
  return groupByClient(options).flatMap((group) => {
    const values = new Map<number, number>();
    for (const one of group.sessions.flatMap((session) => session.lanes)) {
      const value = read(one);
      if (value === undefined) continue;
      const before = values.get(one.id);
      values.set(one.id, before === undefined ? value : combine(before, value));
    }
    return [...values].map(([id, value]) => ({ labels: { ...group.labels, lane_id: id }, value }));
  });
}
