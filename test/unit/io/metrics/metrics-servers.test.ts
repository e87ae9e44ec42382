import { expect, test } from "bun:test";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import { nodeStatus, traversalStatus } from "../node-status.ts";

test("which server of its list a client uses, and how often it moved to another one and back", async () => {
  const addresses = ["a.example:5443", "b.example:5443"];
  const client = nodeStatus({ role: "client", servers: { addresses, current: 1, moves: { failed: 3, returned: 2 } } });
  const page = await createMetrics({
    status: () => [client, nodeStatus()],
    traversal: () => traversalStatus(),
    build: { version: "0", commit: "0", bun: "0", platform: "linux-x64" },
    perClientCn: true,
    perLane: false,
  }).scrape();
  expect(page.split("\n").filter((line) => line.startsWith("ut_server_"))).toEqual([
    "ut_server_in_use 1",
    'ut_server_moves_total{reason="failed"} 3',
    'ut_server_moves_total{reason="returned"} 2',
  ]);
});
