import type { SocksKind } from "../../core/socks/socks-counters.ts";
import type { SocksStatus } from "../../core/socks/socks-status.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Family, Sample } from "./computed-metric.ts";

type Labels = Readonly<Record<string, string>>;

const KINDS: readonly SocksKind[] = ["connect", "udp"];
const DIRECTIONS = ["up", "down"] as const;

/** The two ends of `ut socks`: `role` is `socks` for the proxy and `agent` for the exit. */
export function socksFamilies(nodes: () => readonly NodeStatus[]): Family[] {
  const ofEach = (samples: (status: SocksStatus, labels: Labels) => Sample[]) => () =>
    nodes().flatMap(({ role, socks }) => (socks === undefined ? [] : samples(socks, { role })));
  const byKind = (pick: (status: SocksStatus) => Readonly<Record<SocksKind, number>>) =>
    ofEach((status, labels) => KINDS.map((kind) => ({ labels: { ...labels, kind }, value: pick(status)[kind] })));
  const byDirection = (pick: (status: SocksStatus) => { readonly up: number; readonly down: number }) =>
    ofEach((status, labels) => DIRECTIONS.map((dir) => ({ labels: { ...labels, dir }, value: pick(status)[dir] })));
  const byName = (label: string, pick: (status: SocksStatus) => Readonly<Record<string, number>>) =>
    ofEach((status, labels) =>
      Object.entries(pick(status)).map(([name, value]) => ({ labels: { ...labels, [label]: name }, value })),
    );
  const one = (pick: (status: SocksStatus) => number) => ofEach((status, labels) => [{ labels, value: pick(status) }]);
  return [
    {
      name: "ut_socks_connections",
      help: "TCP connections and UDP associations through ut socks now",
      type: "gauge",
      samples: byKind(({ open }) => open),
    },
    {
      name: "ut_socks_connections_total",
      help: "TCP connections and UDP associations that were asked for",
      type: "counter",
      samples: byKind(({ opened }) => opened),
    },
    {
      name: "ut_socks_bytes_total",
      help: "Payload of TCP connections; up is from the program to the destination",
      type: "counter",
      samples: byDirection(({ bytes }) => bytes),
    },
    {
      name: "ut_socks_datagrams_total",
      help: "Datagrams of UDP associations; up is from the program to the destination",
      type: "counter",
      samples: byDirection(({ datagrams }) => datagrams),
    },
    {
      name: "ut_socks_refused_total",
      help: "Requests that came to nothing, and datagrams that were dropped, by why",
      type: "counter",
      samples: byName("reason", ({ refused }) => refused),
    },
    {
      name: "ut_socks_links",
      help: "QUIC connections between proxy and agent",
      type: "gauge",
      samples: one(({ link }) => link.connections),
    },
    {
      name: "ut_socks_links_lost_total",
      help: "QUIC connections that ended although neither side wanted it",
      type: "counter",
      samples: one(({ link }) => link.connectionsLost),
    },
    {
      name: "ut_socks_links_refused_total",
      help: "QUIC connections that did not come about, by why",
      type: "counter",
      samples: byName("reason", ({ link }) => link.refused),
    },
    {
      name: "ut_socks_streams_ended_total",
      help: "Streams that are over: finished, reset by one end, or lost",
      type: "counter",
      samples: byName("how", ({ link }) => link.streamsEnded),
    },
    {
      name: "ut_socks_stream_faults_total",
      help: "Streams that the other end lost as it did not keep to the protocol",
      type: "counter",
      samples: byName("kind", ({ link }) => link.faults),
    },
    {
      name: "ut_socks_buffered_bytes",
      help: "Bytes that came from the other end and wait for whoever reads them",
      type: "gauge",
      samples: one(({ link }) => link.bufferedBytes),
    },
  ];
}
