import { expect, test } from "bun:test";
import type { NodeStatus } from "../../../../src/core/tunnel/status.ts";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import { nodeStatus, traversalStatus } from "../node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };

async function page(nodes: NodeStatus[]): Promise<string> {
  const metrics = createMetrics({
    status: () => nodes,
    traversal: () => traversalStatus(),
    build,
    perClientCn: true,
    perLane: false,
  });
  const text = await metrics.scrape();
  return text.slice(text.indexOf("# HELP ut_stun_"), text.indexOf("# HELP ut_p2p_control_"));
}

const HEAD = `\
# HELP ut_stun_requests_total Datagrams that came to the STUN sockets, by what became of them
# TYPE ut_stun_requests_total counter
`;

test("every datagram is in one series", async () => {
  const counters = { answered: 6, unknownAttributes: 5, unauthorized: 4, rateLimited: 3, malformed: 2, ignored: 1 };
  expect(await page([nodeStatus({ stun: { listen: ["0.0.0.0:3478"], counters } })])).toBe(`${HEAD}\
ut_stun_requests_total{result="answered"} 6
ut_stun_requests_total{result="unknown_attributes"} 5
ut_stun_requests_total{result="unauthorized"} 4
ut_stun_requests_total{result="rate_limited"} 3
ut_stun_requests_total{result="malformed"} 2
ut_stun_requests_total{result="ignored"} 1

`);
});

test("a node without STUN has none", async () => {
  expect(await page([nodeStatus({ role: "client" })])).toBe(`${HEAD}\n`);
});
