import type { NatType } from "../../core/nat/nat-type.ts";
import { TIME_TO_DIRECT_BOUNDS_MS, type TraversalSnapshot } from "../../core/nat/traversal-stats.ts";
import type { NetworkStatus, PlaneStatus, TraversalStatus } from "../../core/nat/traversal-status.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { Route } from "../../core/pipe/path-choice.ts";
import type { Family, Sample } from "./computed-metric.ts";

/**
 * The families of the direct plane. `ut_p2p_…` are the seed's counters (net-mesh `TraversalStats`) and always there;
 * `ut_nat_…` have samples only where the node watches its network, those of paths only where it may have pipes. Addresses and types are labels of a gauge that is 1,
 * so that a dashboard shows them and an alert sees them change.
 */
export function traversalFamilies(status: () => TraversalStatus): Family[] {
  const stats = (read: (stats: TraversalSnapshot) => number) => () => [plain(read(status().stats))];
  const network = (read: (network: NetworkStatus) => Sample[]) => () => {
    const known = status().network;
    return known === null ? [] : read(known);
  };
  const plane = (read: (plane: PlaneStatus) => Sample[]) => () => {
    const known = status().plane;
    return known === null ? [] : read(known);
  };
  return [
    {
      name: "ut_p2p_punches_attempted_total",
      help: "Hole punches for which the server introduced both ends",
      type: "counter",
      samples: stats((one) => one.punches_attempted),
    },
    {
      name: "ut_p2p_punches_succeeded_total",
      help: "Those that became a direct path",
      type: "counter",
      samples: stats((one) => one.punches_succeeded),
    },
    {
      name: "ut_p2p_relay_fallbacks_total",
      help: "Pipes that stayed on the relay although a direct path was wanted",
      type: "counter",
      samples: stats((one) => one.relay_fallbacks),
    },
    {
      name: "ut_p2p_port_mapping_active",
      help: "1 while the gateway holds a port mapping of this node",
      type: "gauge",
      samples: stats((one) => (one.port_mapping_active ? 1 : 0)),
    },
    {
      name: "ut_p2p_port_mapping_external",
      help: "The mapping's address outside; always 1, absent without a mapping",
      type: "gauge",
      samples: () => {
        const external = status().stats.port_mapping_external;
        return external === undefined ? [] : [labelled({ address: formatEndpoint(external) })];
      },
    },
    {
      name: "ut_p2p_port_mapping_renewals",
      help: "Renewals since the mapping was installed; a new mapping starts at 0, so it is no counter",
      type: "gauge",
      samples: stats((one) => one.port_mapping_renewals),
    },
    ...OUTCOMES.map(
      ([key, help]): Family => ({
        name: `ut_p2p_${key}_total`,
        help,
        type: "counter",
        samples: stats((one) => one[key]),
      }),
    ),
    {
      name: "ut_p2p_time_to_direct_seconds",
      help: "How long attempts took that became a direct path",
      type: "histogram",
      samples: () => timesToDirect(status().stats.time_to_direct),
    },
    {
      name: "ut_p2p_pipes",
      help: "Open pipes by the path that their datagrams take now; both: while one of them is in doubt",
      type: "gauge",
      samples: () => {
        const open = status().pipes.filter(({ state }) => state === "open");
        return ROUTES.map((path) => ({ labels: { path }, value: open.filter(({ route }) => route === path).length }));
      },
    },
    {
      name: "ut_p2p_path_sent_packets_total",
      help: "Datagrams of pipes that were sent, by path; one that went both ways counts in each",
      type: "counter",
      samples: plane(({ paths }) => byPath(paths.sentRelay, paths.sentDirect)),
    },
    {
      name: "ut_p2p_path_received_packets_total",
      help: "Datagrams of pipes that were received, by the path that brought them first",
      type: "counter",
      samples: plane(({ paths }) => byPath(paths.receivedRelay, paths.receivedDirect)),
    },
    {
      name: "ut_p2p_tunnel_refused_total",
      help: "Datagrams of the direct plane that were not sent because they would have gone into a tunnel of this host",
      type: "counter",
      samples: plane(({ tunnelRefused }) => [plain(tunnelRefused)]),
    },
    {
      name: "ut_p2p_faults_total",
      help: "Errors of this program around pipes that it survived",
      type: "counter",
      samples: plane(({ faults }) => [plain(faults)]),
    },
    {
      name: "ut_nat_type",
      help: "1 for the kind of NAT that the last check found, 0 for the others",
      type: "gauge",
      samples: network(({ nat }) =>
        Object.keys(NAT_TYPES).map((type) => ({ labels: { type }, value: nat?.type === type ? 1 : 0 })),
      ),
    },
    {
      name: "ut_nat_reflex",
      help: "The address that this node tells others, and where it has it from; always 1, absent while unknown",
      type: "gauge",
      samples: network(({ reflex }) =>
        reflex === null ? [] : [labelled({ address: formatEndpoint(reflex.endpoint), source: reflex.source })],
      ),
    },
    {
      name: "ut_nat_checks_total",
      help: "Checks of the network that came to an end",
      type: "counter",
      samples: network(({ checks }) => [plain(checks)]),
    },
    {
      name: "ut_nat_changes_total",
      help: "Checks that found another kind of NAT than the one before",
      type: "counter",
      samples: network(({ changes }) => [plain(changes)]),
    },
  ];
}

const OUTCOMES = [
  ["ice_success", "Attempts to go direct that ICE won"],
  ["hardnat_success", "Attempts to go direct that hard-NAT punching won"],
  ["fallback_entered", "Attempts that went on with hard-NAT punching after ICE had failed"],
  ["assist_winner_ice", "Attempts with both side by side that ICE won"],
  ["assist_winner_hardnat", "Attempts with both side by side that hard-NAT punching won"],
] as const;

const ROUTES: readonly Route[] = ["relay", "direct", "both"];

function byPath(relay: number, direct: number): Sample[] {
  return [
    { labels: { path: "relay" }, value: relay },
    { labels: { path: "direct" }, value: direct },
  ];
}

function timesToDirect({ count, sumMs, buckets }: TraversalSnapshot["time_to_direct"]): Sample[] {
  let below = 0;
  const bounded = TIME_TO_DIRECT_BOUNDS_MS.map((bound, index) => {
    below += buckets[index] ?? 0;
    return { labels: { le: bound / 1_000 }, value: below, suffix: "_bucket" };
  });
  return [
    ...bounded,
    { labels: { le: "+Inf" }, value: count, suffix: "_bucket" },
    { labels: {}, value: sumMs / 1_000, suffix: "_sum" },
    { labels: {}, value: count, suffix: "_count" },
  ];
}

/** A record, so that a type that is missing here does not compile. */
const NAT_TYPES: Record<NatType, true> = { open: true, cone: true, symmetric: true, blocked: true, unknown: true };

function plain(value: number): Sample {
  return { labels: {}, value };
}

function labelled(labels: Sample["labels"]): Sample {
  return { labels, value: 1 };
}
