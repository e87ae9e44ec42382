import type { NodeStatus, ServersStatus } from "../../core/tunnel/status.ts";
import type { Family, Sample } from "./computed-metric.ts";

/** The servers of a client (`tcp.server_addr`); no samples at a server. */
export function serverFamilies(nodes: () => readonly NodeStatus[]): Family[] {
  const samples = (read: (servers: ServersStatus) => Sample[]) => () =>
    nodes().flatMap(({ servers }) => (servers === undefined ? [] : read(servers)));
  return [
    {
      name: "ut_server_in_use",
      help: "Place in tcp.server_addr of the server in use; 0 is the first",
      type: "gauge",
      samples: samples(({ current }) => [{ labels: {}, value: current }]),
    },
    {
      name: "ut_server_moves_total",
      help: "Times that another server was moved to: the one in use had failed, or a better one answered again",
      type: "counter",
      samples: samples(({ moves }) => Object.entries(moves).map(([reason, value]) => ({ labels: { reason }, value }))),
    },
  ];
}
