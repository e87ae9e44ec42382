import { expect, test } from "bun:test";
import { HubCounters } from "../../../../src/core/signal/hub-counters.ts";
import type { NodeStatus } from "../../../../src/core/tunnel/status.ts";
import { signalFamilies } from "../../../../src/io/metrics/metrics-signals.ts";
import { nodeStatus } from "../node-status.ts";

/** Every sample as a line of text. */
function lines(node: NodeStatus): string[] {
  return signalFamilies(() => [node]).flatMap(({ name, samples }) =>
    samples().map(({ labels, value }) => `${[name, ...Object.values(labels)].join(" ")} ${value}`),
  );
}

test("what a server did for its peers, each number in its series", () => {
  const counters = new HubCounters();
  Object.assign(counters, { signals: 1, opened: 2, starts: 3, introductions: 4 });
  for (const group of [counters.failed, counters.punchRejects, counters.dropped, counters.evicted])
    for (const [index, key] of Object.keys(group).entries()) Object.assign(group, { [key]: 10 + index });
  const member = { cn: "a", sessionId: "s", isConnected: true, rttMs: null, nat: "unknown", pipes: 0 };
  const members = [true, false, true].map((isRegistered) => ({ ...member, isRegistered }));
  const results = { ice: 5, hardnat: 6, none: 7 };
  const signals = { connections: 3, pipes: 8, pendingOpens: 1, members, counters, results };
  expect(lines(nodeStatus({ signals }))).toEqual([
    "ut_p2p_control_connections 3",
    "ut_p2p_registered_peers 2",
    "ut_p2p_server_pipes 8",
    "ut_p2p_opens_total opened 2",
    "ut_p2p_opens_total peer-not-reachable 10",
    "ut_p2p_opens_total no-answer 11",
    "ut_p2p_opens_total self 12",
    "ut_p2p_opens_total target-busy 13",
    "ut_p2p_opens_total too-many-channels 14",
    "ut_p2p_opens_total too-many-pending 15",
    "ut_p2p_opens_total rate-limited 16",
    "ut_p2p_opens_total too-large 17",
    "ut_p2p_opens_total rejected 18",
    "ut_p2p_introductions_total ice 3",
    "ut_p2p_introductions_total hardnat 4",
    "ut_p2p_punch_rejects_total rate-limited 10",
    "ut_p2p_punch_rejects_total unknown-target 11",
    "ut_p2p_punch_rejects_total no-session 12",
    "ut_p2p_punch_rejects_total reflex-mismatch 13",
    "ut_p2p_results_total ice 5",
    "ut_p2p_results_total hardnat 6",
    "ut_p2p_results_total none 7",
    "ut_p2p_signals_total 1",
    "ut_p2p_signal_drops_total unexpected 10",
    "ut_p2p_signal_drops_total unknown-channel 11",
    "ut_p2p_signal_drops_total absent 12",
    "ut_p2p_signal_drops_total rate 13",
    "ut_p2p_evictions_total replaced 10",
    "ut_p2p_evictions_total reconnected 11",
    "ut_p2p_evictions_total too-many 12",
    "ut_p2p_evictions_total dead 13",
    "ut_p2p_evictions_total slow-reader 14",
    "ut_p2p_evictions_total flood 15",
  ]);
});

test("a node that brings nobody together has none", () => {
  expect(lines(nodeStatus())).toEqual([]);
});
