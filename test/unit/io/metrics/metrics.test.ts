import { expect, test } from "bun:test";
import {
  CHANNEL_DROP_REASONS,
  type ChannelDropReason,
  DROP_REASONS,
  type DropReason,
  TunnelCounters,
} from "../../../../src/core/tunnel/counters.ts";
import type { NodeStatus } from "../../../../src/core/tunnel/status.ts";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import { busyCounters, laneStatus, nodeStatus, sessionStatus, traversalStatus } from "../node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };

function metricsOf(nodes: NodeStatus[], labels: { perClientCn?: boolean; perLane?: boolean } = {}) {
  return createMetrics({
    status: () => nodes,
    traversal: () => traversalStatus(),
    build,
    perClientCn: true,
    perLane: false,
    ...labels,
  });
}

const FRAME_ERRORS = [
  "bad_magic",
  "bad_version",
  "bad_type",
  "bad_flags",
  "bad_length",
  "ctrl_too_large",
  "ctrl_flood",
  "bad_ctrl",
  "bad_hello",
  "duplicate_hello",
  "unexpected_data",
  "slow_pdu",
  "ws_text",
  "ws_reserved",
  "ws_mask",
  "ws_fragment",
  "ws_control",
  "ws_length",
  "ws_too_large",
  "ws_flood",
];

const REFUSALS = [
  "no_certificate",
  "wrong_ca",
  "expired",
  "not_yet_valid",
  "bad_cn",
  "denied_cn",
  "wrong_purpose",
  "not_tls",
  "timeout",
  "crowded_out",
  "visitor",
  "closed",
  "other",
];

function dropLines(dir: string, dropped: Partial<Record<DropReason, number>>): string {
  return DROP_REASONS.map(
    (reason) => `ut_udp_drop_total{client_cn="home",reason="${reason}",dir="${dir}"} ${dropped[reason] ?? 0}`,
  ).join("\n");
}

function channelDropLines(dir: string, dropped: Partial<Record<ChannelDropReason, number>>): string {
  return CHANNEL_DROP_REASONS.map(
    (reason) => `ut_channel_drop_total{client_cn="home",reason="${reason}",dir="${dir}"} ${dropped[reason] ?? 0}`,
  ).join("\n");
}

test("a scrape, whole: every family of a server with one busy client, but for the process and the direct plane", async () => {
  const metrics = metricsOf([
    nodeStatus({
      clients: new Map([["home", busyCounters()]]),
      sessions: [sessionStatus()],
      tlsHandshakeFailures: new Map([["expired", 2]]),
    }),
  ]);
  metrics.observeHandshake("home", 0.03);
  metrics.observeHandshake("home", 2);

  const text = await metrics.scrape();
  expect(metrics.contentType).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(text.slice(0, text.indexOf("# HELP ut_p2p_"))).toBe(`\
# HELP ut_sessions_active Sessions that exist now
# TYPE ut_sessions_active gauge
ut_sessions_active{client_cn="home"} 1

# HELP ut_lanes_active_total Lanes that are open now
# TYPE ut_lanes_active_total gauge
ut_lanes_active_total{client_cn="home"} 1

# HELP ut_udp_in_bytes_total Payload bytes of datagrams that entered this process (up: client to server)
# TYPE ut_udp_in_bytes_total counter
ut_udp_in_bytes_total{client_cn="home",dir="up"} 1010
ut_udp_in_bytes_total{client_cn="home",dir="down"} 2010

# HELP ut_udp_in_packets_total Datagrams that entered this process (up: client to server)
# TYPE ut_udp_in_packets_total counter
ut_udp_in_packets_total{client_cn="home",dir="up"} 101
ut_udp_in_packets_total{client_cn="home",dir="down"} 201

# HELP ut_udp_out_bytes_total Payload bytes of datagrams that left this process (up: client to server)
# TYPE ut_udp_out_bytes_total counter
ut_udp_out_bytes_total{client_cn="home",dir="up"} 1020
ut_udp_out_bytes_total{client_cn="home",dir="down"} 2020

# HELP ut_udp_out_packets_total Datagrams that left this process (up: client to server)
# TYPE ut_udp_out_packets_total counter
ut_udp_out_packets_total{client_cn="home",dir="up"} 102
ut_udp_out_packets_total{client_cn="home",dir="down"} 202

# HELP ut_udp_drop_total Datagrams that were dropped, by reason
# TYPE ut_udp_drop_total counter
${dropLines("up", { oldest: 3 })}
${dropLines("down", { lane_lost: 4 })}

# HELP ut_lane_reconnect_total Lanes dialled again after one broke or failed
# TYPE ut_lane_reconnect_total counter
ut_lane_reconnect_total{client_cn="home"} 5

# HELP ut_queue_len Datagrams that wait in the session queue
# TYPE ut_queue_len gauge
ut_queue_len{client_cn="home"} 7

# HELP ut_queue_delay_seconds Time that datagrams waited in the session queue
# TYPE ut_queue_delay_seconds histogram
ut_queue_delay_seconds_bucket{client_cn="home",le="0.0005"} 2
ut_queue_delay_seconds_bucket{client_cn="home",le="0.001"} 2
ut_queue_delay_seconds_bucket{client_cn="home",le="0.0025"} 2
ut_queue_delay_seconds_bucket{client_cn="home",le="0.005"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.01"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.025"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.05"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.1"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.25"} 3
ut_queue_delay_seconds_bucket{client_cn="home",le="0.5"} 4
ut_queue_delay_seconds_bucket{client_cn="home",le="1"} 4
ut_queue_delay_seconds_bucket{client_cn="home",le="5"} 4
ut_queue_delay_seconds_bucket{client_cn="home",le="+Inf"} 5
ut_queue_delay_seconds_sum{client_cn="home"} 10.40375
ut_queue_delay_seconds_count{client_cn="home"} 5

# HELP ut_frame_err_total Frames that broke the protocol, by kind; each closes its lane
# TYPE ut_frame_err_total counter
${FRAME_ERRORS.map(
  (kind) => `ut_frame_err_total{client_cn="home",kind="${kind}"} ${kind === "bad_magic" ? 2 : 0}`,
).join("\n")}

# HELP ut_resequencer_held Datagrams that wait for an earlier one
# TYPE ut_resequencer_held gauge
ut_resequencer_held{client_cn="home"} 2

# HELP ut_reorder_timeouts_total Datagrams released because tcp.reorder_ms was over
# TYPE ut_reorder_timeouts_total counter
ut_reorder_timeouts_total{client_cn="home"} 7

# HELP ut_congestion_switches_total Times the lanes were moved to another congestion control
# TYPE ut_congestion_switches_total counter
ut_congestion_switches_total{client_cn="home"} 6

# HELP ut_channel_in_bytes_total Bytes of channel datagrams that entered this process (up: client to server)
# TYPE ut_channel_in_bytes_total counter
ut_channel_in_bytes_total{client_cn="home",dir="up"} 3010
ut_channel_in_bytes_total{client_cn="home",dir="down"} 4010

# HELP ut_channel_in_packets_total Channel datagrams that entered this process (up: client to server)
# TYPE ut_channel_in_packets_total counter
ut_channel_in_packets_total{client_cn="home",dir="up"} 301
ut_channel_in_packets_total{client_cn="home",dir="down"} 401

# HELP ut_channel_out_bytes_total Bytes of channel datagrams that left this process (up: client to server)
# TYPE ut_channel_out_bytes_total counter
ut_channel_out_bytes_total{client_cn="home",dir="up"} 3020
ut_channel_out_bytes_total{client_cn="home",dir="down"} 4020

# HELP ut_channel_out_packets_total Channel datagrams that left this process (up: client to server)
# TYPE ut_channel_out_packets_total counter
ut_channel_out_packets_total{client_cn="home",dir="up"} 302
ut_channel_out_packets_total{client_cn="home",dir="down"} 402

# HELP ut_channel_drop_total Channel datagrams that were dropped, by reason
# TYPE ut_channel_drop_total counter
${channelDropLines("up", { unknown: 9 })}
${channelDropLines("down", { stale: 10 })}

# HELP ut_channel_queue_len Channel datagrams that wait for a lane
# TYPE ut_channel_queue_len gauge
ut_channel_queue_len{client_cn="home"} 3

# HELP ut_tls_handshake_fail_total TLS handshakes that failed or were refused, by reason
# TYPE ut_tls_handshake_fail_total counter
${REFUSALS.map((reason) => `ut_tls_handshake_fail_total{reason="${reason}"} ${reason === "expired" ? 2 : 0}`).join("\n")}

# HELP ut_certificate_not_after_seconds When this node's own certificate ends, as Unix time
# TYPE ut_certificate_not_after_seconds gauge
ut_certificate_not_after_seconds{role="server"} 1893456000

# HELP ut_tls_handshake_seconds Time that successful TLS handshakes took
# TYPE ut_tls_handshake_seconds histogram
ut_tls_handshake_seconds_bucket{le="0.005",client_cn="home"} 0
ut_tls_handshake_seconds_bucket{le="0.01",client_cn="home"} 0
ut_tls_handshake_seconds_bucket{le="0.025",client_cn="home"} 0
ut_tls_handshake_seconds_bucket{le="0.05",client_cn="home"} 1
ut_tls_handshake_seconds_bucket{le="0.1",client_cn="home"} 1
ut_tls_handshake_seconds_bucket{le="0.25",client_cn="home"} 1
ut_tls_handshake_seconds_bucket{le="0.5",client_cn="home"} 1
ut_tls_handshake_seconds_bucket{le="1",client_cn="home"} 1
ut_tls_handshake_seconds_bucket{le="2",client_cn="home"} 2
ut_tls_handshake_seconds_bucket{le="5",client_cn="home"} 2
ut_tls_handshake_seconds_bucket{le="10",client_cn="home"} 2
ut_tls_handshake_seconds_bucket{le="+Inf",client_cn="home"} 2
ut_tls_handshake_seconds_sum{client_cn="home"} 2.03
ut_tls_handshake_seconds_count{client_cn="home"} 2

# HELP ut_build_info What this binary was built from; always 1
# TYPE ut_build_info gauge
ut_build_info{version="1.2.3",commit="abc",bun="1.4.5",platform="linux-x64"} 1

`);
  expect(text.endsWith("\n")).toBe(true);
});

/** Lines of the families named, without comments, as `name{labels}` → value. */
async function series(metrics: { scrape(): Promise<string> }, ...names: string[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const line of (await metrics.scrape()).split("\n")) {
    const [, key = "", name = "", value] = /^((\w+)(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (!names.includes(name)) continue;
    expect(found).not.toHaveProperty([key]);
    found[key] = Number(value);
  }
  return found;
}

test("process_* tell about this process", async () => {
  const found = await series(
    metricsOf([]),
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    ...(process.platform === "linux" ? ["process_open_fds", "process_max_fds"] : []),
  );
  expect(Object.keys(found).length).toBe(process.platform === "linux" ? 5 : 3);
  const { process_cpu_seconds_total: cpu = 0, process_start_time_seconds: started = 0 } = found;
  expect(cpu).toBeGreaterThan(0);
  expect(Math.abs(Date.now() / 1000 - process.uptime() - started)).toBeLessThan(2);
  expect(found.process_resident_memory_bytes).toBeGreaterThan(10 << 20);
});

test("a CN without a session keeps its series, at zero; a client has its own from the start", async () => {
  const nodes = [nodeStatus({ clients: new Map([["home", new TunnelCounters()]]), sessions: [sessionStatus()] })];
  const metrics = metricsOf(nodes);
  const names = ["ut_sessions_active", "ut_lanes_active_total", "ut_queue_len", "ut_tls_handshake_seconds_count"];
  expect(await series(metrics, ...names)).toEqual({
    'ut_sessions_active{client_cn="home"}': 1,
    'ut_lanes_active_total{client_cn="home"}': 1,
    'ut_queue_len{client_cn="home"}': 7,
    'ut_tls_handshake_seconds_count{client_cn="home"}': 0,
  });
  nodes[0] = nodeStatus({ clients: nodes[0]!.clients });
  expect(await series(metrics, ...names)).toEqual({
    'ut_sessions_active{client_cn="home"}': 0,
    'ut_lanes_active_total{client_cn="home"}': 0,
    'ut_queue_len{client_cn="home"}': 0,
    'ut_tls_handshake_seconds_count{client_cn="home"}': 0,
  });
  expect(await series(metricsOf([nodeStatus({ role: "client", cn: "laptop" })]), ...names)).toEqual({
    'ut_sessions_active{client_cn="laptop"}': 0,
    'ut_lanes_active_total{client_cn="laptop"}': 0,
    'ut_queue_len{client_cn="laptop"}': 0,
    'ut_tls_handshake_seconds_count{client_cn="laptop"}': 0,
  });
});

test("roles of one process, and clients without client_cn, are added up", async () => {
  const nodes = [
    nodeStatus({
      clients: new Map([
        ["home", busyCounters()],
        ["office", busyCounters()],
      ]),
      sessions: [sessionStatus(), sessionStatus({ clientCn: "office" })],
      tlsHandshakeFailures: new Map([["expired", 1]]),
    }),
    nodeStatus({
      role: "client",
      cn: "home",
      clients: new Map([["home", busyCounters()]]),
      sessions: [sessionStatus()],
      tlsHandshakeFailures: new Map([["expired", 2]]),
    }),
  ];
  const names = ["ut_sessions_active", "ut_lane_reconnect_total", "ut_queue_delay_seconds_count"];
  const failures = await series(metricsOf(nodes), "ut_tls_handshake_fail_total");
  expect(failures['ut_tls_handshake_fail_total{reason="expired"}']).toBe(3);
  expect(await series(metricsOf(nodes), ...names)).toEqual({
    'ut_sessions_active{client_cn="home"}': 2,
    'ut_sessions_active{client_cn="office"}': 1,
    'ut_lane_reconnect_total{client_cn="home"}': 10,
    'ut_lane_reconnect_total{client_cn="office"}': 5,
    'ut_queue_delay_seconds_count{client_cn="home"}': 10,
    'ut_queue_delay_seconds_count{client_cn="office"}': 5,
  });

  const summed = metricsOf(nodes, { perClientCn: false });
  summed.observeHandshake("home", 1);
  expect(await series(summed, ...names, "ut_tls_handshake_seconds_count")).toEqual({
    ut_sessions_active: 3,
    ut_lane_reconnect_total: 15,
    ut_queue_delay_seconds_count: 15,
    ut_tls_handshake_seconds_count: 1,
  });
  expect(await series(metricsOf([], { perClientCn: false }), ...names)).toEqual({
    ut_sessions_active: 0,
    ut_lane_reconnect_total: 0,
    ut_queue_delay_seconds_count: 0,
  });
});

test("lane series: off by default, one per number, gone with their lane", async () => {
  const second = sessionStatus({ lanes: [laneStatus({ id: 0, tcp: { ...laneStatus().tcp!, rttMs: 30 } })] });
  const nodes = [nodeStatus({ sessions: [sessionStatus(), second] })];
  const names = ["in_bytes_total", "in_packets_total", "out_bytes_total", "out_packets_total"].map(
    (x) => `ut_lane_${x}`,
  );
  names.push("ut_lane_retransmits_total", "ut_lane_rtt_seconds");
  expect(await series(metricsOf(nodes), ...names)).toEqual({});
  const metrics = metricsOf(nodes, { perLane: true });
  expect(await series(metrics, ...names)).toEqual({
    'ut_lane_in_bytes_total{client_cn="home",lane_id="0"}': 2000,
    'ut_lane_in_bytes_total{client_cn="home",lane_id="1"}': 1000,
    'ut_lane_in_packets_total{client_cn="home",lane_id="0"}': 20,
    'ut_lane_in_packets_total{client_cn="home",lane_id="1"}': 10,
    'ut_lane_out_bytes_total{client_cn="home",lane_id="0"}': 4000,
    'ut_lane_out_bytes_total{client_cn="home",lane_id="1"}': 2000,
    'ut_lane_out_packets_total{client_cn="home",lane_id="0"}': 40,
    'ut_lane_out_packets_total{client_cn="home",lane_id="1"}': 20,
    'ut_lane_retransmits_total{client_cn="home",lane_id="0"}': 6,
    'ut_lane_rtt_seconds{client_cn="home",lane_id="0"}': 0.03,
  });
  nodes[0] = nodeStatus({ sessions: [sessionStatus({ lanes: [] })] });
  expect(await series(metrics, ...names)).toEqual({});
});

test("a label is escaped, so that no name can forge a line", async () => {
  const cn = 'a"\\\nut_sessions_active 9';
  expect(
    await series(metricsOf([nodeStatus({ clients: new Map([[cn, new TunnelCounters()]]) })]), "ut_queue_len"),
  ).toEqual({ 'ut_queue_len{client_cn="a\\"\\\\\\nut_sessions_active 9"}': 0 });
});

test("200 clients: one snapshot a scrape, shared by scrapes at the same time, and the event loop goes on", async () => {
  const clients = new Map(Array.from({ length: 200 }, (_, index) => [`client-${index}`, busyCounters()]));
  let snapshots = 0;
  const metrics = createMetrics({
    status() {
      snapshots += 1;
      return [nodeStatus({ clients, sessions: [...clients.keys()].map((clientCn) => sessionStatus({ clientCn })) })];
    },
    traversal: () => traversalStatus(),
    build,
    perClientCn: true,
    perLane: false,
  });
  let turns = 0;
  let under = true;
  (function turn() {
    turns += 1;
    if (under) setImmediate(turn);
  })();
  const [first, second] = await Promise.all([metrics.scrape(), metrics.scrape()]);
  under = false;
  expect(first).toBe(second);
  expect(snapshots).toBe(1);
  expect(first.split("\n").filter((line) => line.startsWith("ut_")).length).toBeGreaterThan(200 * 60);
  expect(turns).toBeGreaterThanOrEqual(20);
  await metrics.scrape();
  expect(snapshots).toBe(2);
});
