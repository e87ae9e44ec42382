import { expect, test } from "bun:test";
import { type EpochRule, EpochWatch, natPmpEpochRule, pcpEpochRule } from "../../../../src/core/portmap/epoch.ts";

/** Whether the gateway lost its state, with each of the answers `[our second, its second]`. */
function watch(rule: EpochRule, ...answers: [number, number][]): boolean[] {
  const epoch = new EpochWatch(rule);
  return answers.map(([at, seconds]) => epoch.observe(at * 1_000, seconds));
}

test.each([
  ["in step", [100, 1_100], false],
  ["a second back: answers overtook each other", [0, 999], false],
  ["two seconds back", [0, 998], true],
  ["stood still for less than two seconds", [1.9, 1_000], false],
  ["stood still for five seconds", [5, 1_000], true],
  ["a sixteenth and two seconds slow", [160, 1_000 + 160 - 10 - 2], false],
  ["slower still", [160, 1_000 + 160 - 10 - 3], true],
  ["a sixteenth and two seconds fast", [150, 1_000 + 162], false],
  ["faster still", [150, 1_000 + 163], true],
  ["began anew", [100, 3], true],
] as const)("PCP: %s", (_name, [at, seconds], lost) =>
  expect(watch(pcpEpochRule, [0, 1_000], [at, seconds])).toEqual([false, lost]),
);

test.each([
  ["in step", [80, 1_080], false],
  ["an eighth and two seconds slow", [80, 1_068], false],
  ["slower still", [80, 1_067], true],
  ["much faster", [80, 9_000], false],
  ["began anew", [80, 3], true],
] as const)("NAT-PMP: %s", (_name, [at, seconds], lost) =>
  expect(watch(natPmpEpochRule, [0, 1_000], [at, seconds])).toEqual([false, lost]),
);

test("each loss is told once: the next answer is compared with the one that told it", () =>
  expect(watch(pcpEpochRule, [0, 1_000], [60, 2], [70, 12], [80, 1])).toEqual([false, true, false, true]));
