import type { SignalStatus } from "../../core/signal/signal-status.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Family, Sample } from "./computed-metric.ts";

/** The server's part in pipes between peers; no samples elsewhere, nor with `server.peers: false`. */
export function signalFamilies(nodes: () => readonly NodeStatus[]): Family[] {
  const samples = (read: (signals: SignalStatus) => Sample[]) => () =>
    nodes().flatMap(({ signals }) => (signals === undefined ? [] : read(signals)));
  const plain = (read: (signals: SignalStatus) => number) => samples((one) => [{ labels: {}, value: read(one) }]);
  const by = (label: string, read: (signals: SignalStatus) => Readonly<Record<string, number>>) =>
    samples((one) => Object.entries(read(one)).map(([name, value]) => ({ labels: { [label]: name }, value })));
  return [
    {
      name: "ut_p2p_control_connections",
      help: "Control connections of peers",
      type: "gauge",
      samples: plain((one) => one.connections),
    },
    {
      name: "ut_p2p_registered_peers",
      help: "Peers that are found under their CN",
      type: "gauge",
      samples: plain((one) => one.members.filter(({ isRegistered }) => isRegistered).length),
    },
    {
      name: "ut_p2p_server_pipes",
      help: "Pipes between two peers over this server, offered and open",
      type: "gauge",
      samples: plain((one) => one.pipes),
    },
    {
      name: "ut_p2p_opens_total",
      help: "Requests for a pipe that have ended, by how",
      type: "counter",
      samples: by("result", ({ counters }) => ({ opened: counters.opened, ...counters.failed })),
    },
    {
      name: "ut_p2p_introductions_total",
      help: "Common starts that both ends of a pipe were told",
      type: "counter",
      samples: by("way", ({ counters }) => ({ ice: counters.starts, hardnat: counters.introductions })),
    },
    {
      name: "ut_p2p_punch_rejects_total",
      help: "Requests to punch that were refused",
      type: "counter",
      samples: by("reason", ({ counters }) => counters.punchRejects),
    },
    {
      name: "ut_p2p_results_total",
      help: "How going direct ended, in the words of each end",
      type: "counter",
      samples: by("winner", ({ results }) => results),
    },
    {
      name: "ut_p2p_signals_total",
      help: "Messages that came on control connections",
      type: "counter",
      samples: plain(({ counters }) => counters.signals),
    },
    {
      name: "ut_p2p_signal_drops_total",
      help: "Those that led nowhere",
      type: "counter",
      samples: by("reason", ({ counters }) => counters.dropped),
    },
    {
      name: "ut_p2p_evictions_total",
      help: "Control connections that the server ended",
      type: "counter",
      samples: by("reason", ({ counters }) => counters.evicted),
    },
  ];
}
