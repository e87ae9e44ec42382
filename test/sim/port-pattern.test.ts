import { expect, test } from "bun:test";
import { describePorts } from "../contract/port-pattern.ts";

const OWN = 5_000;

test.each<[(number | undefined)[][], string]>([
  [[[OWN, OWN, OWN]], "own own own"],
  [[[41_000, 41_000]], "A A"],
  [[[41_000, 9_000, 41_000, 12_345]], "A B A C"],
  [[[undefined, undefined]], "- -"],
  [[[OWN, undefined, 7_000]], "own - A"],
  [[[7_000, 7_001, 7_002, 7_003]], "A A+1 A+2 A+3"],
  [[[7_000, 6_998, 6_996]], "A A-2 A-4"],
  [[[7_000, 7_000, 7_003, 7_006]], "A A A+3 A+6"],
  // Two ports alone may be neighbours by chance, and a sequence with a gap is none.
  [[[7_000, 7_001]], "A B"],
  [[[7_000, 7_001, 7_003]], "A B C"],
  [
    [
      [OWN, OWN],
      [7_000, 7_000],
    ],
    "own own, A A",
  ],
  [
    [
      [7_000, 7_001],
      [7_002, 7_003],
    ],
    "A A+1, A+2 A+3",
  ],
])("ports %j are written %s", (ports, expected) => {
  expect(describePorts(ports, OWN)).toBe(expected);
});
