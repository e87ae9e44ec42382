import { expect, test } from "bun:test";
import type { TraversalStatus } from "../../../../src/core/nat/traversal-status.ts";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import { networkStatus, nodeStatus, pipeExplanation, traversalStatus } from "../node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };
const external = { address: "2001:db8::7", port: 40_000 };

/** The families of the direct plane as they stand on the page. */
async function page(traversal: () => TraversalStatus): Promise<string> {
  const status = () => [nodeStatus()];
  const text = await createMetrics({ status, traversal, build, perClientCn: true, perLane: false }).scrape();
  return text.slice(text.indexOf("# HELP ut_p2p_"), text.indexOf("# HELP ut_stun_"));
}

function lines(text: string): string[] {
  return text.split("\n").filter((line) => line.startsWith("ut_"));
}

test("a page, whole: everything that there is to say", async () => {
  const stats = {
    punches_attempted: 5,
    punches_succeeded: 3,
    relay_fallbacks: 2,
    port_mapping_active: true,
    port_mapping_external: external,
    port_mapping_renewals: 4,
    ice_success: 6,
    hardnat_success: 7,
    fallback_entered: 8,
    assist_winner_ice: 9,
    assist_winner_hardnat: 10,
    time_to_direct: { count: 5, sumMs: 65_500, buckets: [1, 0, 2, 0, 0, 0, 1, 0, 0, 1] },
  };
  const pipes = (["direct", "relay", "direct"] as const).map((route) => pipeExplanation({ route }));
  pipes.push(pipeExplanation({ state: "waiting" }));
  const paths = { sentRelay: 11, sentDirect: 12, receivedRelay: 13, receivedDirect: 14 };
  const plane = { paths, tunnelRefused: 15, faults: 16 };
  expect(await page(() => ({ stats, network: networkStatus(), pipes, plane }))).toBe(`\
# HELP ut_p2p_punches_attempted_total Hole punches for which the server introduced both ends
# TYPE ut_p2p_punches_attempted_total counter
ut_p2p_punches_attempted_total 5

# HELP ut_p2p_punches_succeeded_total Those that became a direct path
# TYPE ut_p2p_punches_succeeded_total counter
ut_p2p_punches_succeeded_total 3

# HELP ut_p2p_relay_fallbacks_total Pipes that stayed on the relay although a direct path was wanted
# TYPE ut_p2p_relay_fallbacks_total counter
ut_p2p_relay_fallbacks_total 2

# HELP ut_p2p_port_mapping_active 1 while the gateway holds a port mapping of this node
# TYPE ut_p2p_port_mapping_active gauge
ut_p2p_port_mapping_active 1

# HELP ut_p2p_port_mapping_external The mapping's address outside; always 1, absent without a mapping
# TYPE ut_p2p_port_mapping_external gauge
ut_p2p_port_mapping_external{address="[2001:db8::7]:40000"} 1

# HELP ut_p2p_port_mapping_renewals Renewals since the mapping was installed; a new mapping starts at 0, so it is no counter
# TYPE ut_p2p_port_mapping_renewals gauge
ut_p2p_port_mapping_renewals 4

# HELP ut_p2p_ice_success_total Attempts to go direct that ICE won
# TYPE ut_p2p_ice_success_total counter
ut_p2p_ice_success_total 6

# HELP ut_p2p_hardnat_success_total Attempts to go direct that hard-NAT punching won
# TYPE ut_p2p_hardnat_success_total counter
ut_p2p_hardnat_success_total 7

# HELP ut_p2p_fallback_entered_total Attempts that went on with hard-NAT punching after ICE had failed
# TYPE ut_p2p_fallback_entered_total counter
ut_p2p_fallback_entered_total 8

# HELP ut_p2p_assist_winner_ice_total Attempts with both side by side that ICE won
# TYPE ut_p2p_assist_winner_ice_total counter
ut_p2p_assist_winner_ice_total 9

# HELP ut_p2p_assist_winner_hardnat_total Attempts with both side by side that hard-NAT punching won
# TYPE ut_p2p_assist_winner_hardnat_total counter
ut_p2p_assist_winner_hardnat_total 10

# HELP ut_p2p_time_to_direct_seconds How long attempts took that became a direct path
# TYPE ut_p2p_time_to_direct_seconds histogram
ut_p2p_time_to_direct_seconds_bucket{le="0.05"} 1
ut_p2p_time_to_direct_seconds_bucket{le="0.1"} 1
ut_p2p_time_to_direct_seconds_bucket{le="0.25"} 3
ut_p2p_time_to_direct_seconds_bucket{le="0.5"} 3
ut_p2p_time_to_direct_seconds_bucket{le="1"} 3
ut_p2p_time_to_direct_seconds_bucket{le="2.5"} 3
ut_p2p_time_to_direct_seconds_bucket{le="5"} 4
ut_p2p_time_to_direct_seconds_bucket{le="10"} 4
ut_p2p_time_to_direct_seconds_bucket{le="30"} 4
ut_p2p_time_to_direct_seconds_bucket{le="+Inf"} 5
ut_p2p_time_to_direct_seconds_sum 65.5
ut_p2p_time_to_direct_seconds_count 5

# HELP ut_p2p_pipes Open pipes by the path that their datagrams take now; both: while one of them is in doubt
# TYPE ut_p2p_pipes gauge
ut_p2p_pipes{path="relay"} 1
ut_p2p_pipes{path="direct"} 2
ut_p2p_pipes{path="both"} 0

# HELP ut_p2p_path_sent_packets_total Datagrams of pipes that were sent, by path; one that went both ways counts in each
# TYPE ut_p2p_path_sent_packets_total counter
ut_p2p_path_sent_packets_total{path="relay"} 11
ut_p2p_path_sent_packets_total{path="direct"} 12

# HELP ut_p2p_path_received_packets_total Datagrams of pipes that were received, by the path that brought them first
# TYPE ut_p2p_path_received_packets_total counter
ut_p2p_path_received_packets_total{path="relay"} 13
ut_p2p_path_received_packets_total{path="direct"} 14

# HELP ut_p2p_tunnel_refused_total Datagrams of the direct plane that were not sent because they would have gone into a tunnel of this host
# TYPE ut_p2p_tunnel_refused_total counter
ut_p2p_tunnel_refused_total 15

# HELP ut_p2p_faults_total Errors of this program around pipes that it survived
# TYPE ut_p2p_faults_total counter
ut_p2p_faults_total 16

# HELP ut_nat_type 1 for the kind of NAT that the last check found, 0 for the others
# TYPE ut_nat_type gauge
ut_nat_type{type="open"} 0
ut_nat_type{type="cone"} 1
ut_nat_type{type="symmetric"} 0
ut_nat_type{type="blocked"} 0
ut_nat_type{type="unknown"} 0

# HELP ut_nat_reflex The address that this node tells others, and where it has it from; always 1, absent while unknown
# TYPE ut_nat_reflex gauge
ut_nat_reflex{address="203.0.113.7:40000",source="port-mapping"} 1

# HELP ut_nat_checks_total Checks of the network that came to an end
# TYPE ut_nat_checks_total counter
ut_nat_checks_total 9

# HELP ut_nat_changes_total Checks that found another kind of NAT than the one before
# TYPE ut_nat_changes_total counter
ut_nat_changes_total 2

`);
});

test("a node that does not look at its network has the seed's counters, at zero, and says nothing of a NAT", async () => {
  expect(lines(await page(() => traversalStatus()))).toEqual([
    "ut_p2p_punches_attempted_total 0",
    "ut_p2p_punches_succeeded_total 0",
    "ut_p2p_relay_fallbacks_total 0",
    "ut_p2p_port_mapping_active 0",
    "ut_p2p_port_mapping_renewals 0",
    "ut_p2p_ice_success_total 0",
    "ut_p2p_hardnat_success_total 0",
    "ut_p2p_fallback_entered_total 0",
    "ut_p2p_assist_winner_ice_total 0",
    "ut_p2p_assist_winner_hardnat_total 0",
    ...[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, "+Inf"].map(
      (le) => `ut_p2p_time_to_direct_seconds_bucket{le="${le}"} 0`,
    ),
    "ut_p2p_time_to_direct_seconds_sum 0",
    "ut_p2p_time_to_direct_seconds_count 0",
    'ut_p2p_pipes{path="relay"} 0',
    'ut_p2p_pipes{path="direct"} 0',
    'ut_p2p_pipes{path="both"} 0',
  ]);
});

test("while the first check runs no type is claimed", async () => {
  const network = networkStatus({ nat: null, checkedAt: null, checks: 0, changes: 0, reflex: null, portMapping: null });
  const text = await page(() => traversalStatus({ network }));
  expect(lines(text).filter((line) => line.startsWith("ut_nat_"))).toEqual([
    'ut_nat_type{type="open"} 0',
    'ut_nat_type{type="cone"} 0',
    'ut_nat_type{type="symmetric"} 0',
    'ut_nat_type{type="blocked"} 0',
    'ut_nat_type{type="unknown"} 0',
    "ut_nat_checks_total 0",
    "ut_nat_changes_total 0",
  ]);
});

test("all numbers of a page are of one moment", async () => {
  let calls = 0;
  await page(() => {
    calls += 1;
    return traversalStatus();
  });
  // One when the registry is made, one for the page.
  expect(calls).toBe(2);
});
