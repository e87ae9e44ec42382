import { expect, test } from "bun:test";
import { Trace } from "../../../../src/core/peer/trace.ts";

test("a trace holds its first 64 steps and counts the rest", () => {
  const trace = new Trace(1_000, 3);
  for (let number = 0; number < 70; number++) trace.step(1_000 + number + 0.4, "hit", String(number));
  const { steps, ...rest } = trace.snapshot();
  expect(rest).toEqual({ attempt: 3, startedAt: 1_000, omitted: 6, report: null });
  expect(steps).toHaveLength(64);
  expect(steps.at(-1)).toEqual({ atMs: 63, what: "hit", detail: "63" });
});
