import { expect, test } from "bun:test";
import { socksFamilies } from "../../../../src/io/metrics/metrics-socks.ts";
import { nodeStatus, socksStatusOf } from "../node-status.ts";

test("each end of ut socks has its series, and no other role has any", () => {
  const nodes = [nodeStatus(), nodeStatus({ role: "socks", socks: socksStatusOf(["timeout", "crowded"]) })];
  const lines = socksFamilies(() => nodes).flatMap(({ name, type, samples }) =>
    samples().map(({ labels, value }) => `${type} ${name}${JSON.stringify(labels)} ${value}`),
  );
  expect(lines).toEqual([
    'gauge ut_socks_connections{"role":"socks","kind":"connect"} 2',
    'gauge ut_socks_connections{"role":"socks","kind":"udp"} 1',
    'counter ut_socks_connections_total{"role":"socks","kind":"connect"} 20',
    'counter ut_socks_connections_total{"role":"socks","kind":"udp"} 3',
    'counter ut_socks_bytes_total{"role":"socks","dir":"up"} 1000',
    'counter ut_socks_bytes_total{"role":"socks","dir":"down"} 50000',
    'counter ut_socks_datagrams_total{"role":"socks","dir":"up"} 7',
    'counter ut_socks_datagrams_total{"role":"socks","dir":"down"} 6',
    'counter ut_socks_refused_total{"role":"socks","reason":"timeout"} 1',
    'counter ut_socks_refused_total{"role":"socks","reason":"crowded"} 1',
    'gauge ut_socks_links{"role":"socks"} 2',
    'counter ut_socks_links_lost_total{"role":"socks"} 1',
    'counter ut_socks_links_refused_total{"role":"socks","reason":"wrong_cn"} 1',
    'counter ut_socks_streams_ended_total{"role":"socks","how":"finished"} 5',
    'counter ut_socks_streams_ended_total{"role":"socks","how":"reset"} 2',
    'counter ut_socks_streams_ended_total{"role":"socks","how":"lost"} 1',
    'counter ut_socks_stream_faults_total{"role":"socks","kind":"over_credit"} 1',
    'gauge ut_socks_buffered_bytes{"role":"socks"} 4096',
  ]);
});
