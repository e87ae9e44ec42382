import { describe, expect, test } from "bun:test";
import { CLASSIFY_ROWS, classifyRow, mapOf, startServers } from "../contract/classify.ts";
import { expectedVerdict, verdictOf } from "../contract/verdicts.ts";
import { openSimWorld } from "./sim-world.ts";

const SEED = 1;

describe("classification in the simulation", () => {
  for (const row of CLASSIFY_ROWS)
    test([row.nat, row.carrier && `behind ${row.carrier}`, row.servers].filter(Boolean).join(", "), async () => {
      await using world = openSimWorld(mapOf(row), { seed: SEED });
      using servers = await startServers(world, row.servers);
      const report = await classifyRow(world, row, servers.list);
      expect(verdictOf(report)).toEqual(expectedVerdict(row.nat, row.carrier, row.servers));
      // Round trips of 40 ms, and what it takes to believe silence; nothing is waited out but a dead network.
      expect(report.elapsedMs).toBeLessThanOrEqual(report.type === "blocked" ? 5_000 : 800);
    });
});
