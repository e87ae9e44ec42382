import { expect, test } from "bun:test";
import { type FilteringTrial, filteringIsSettled, judgeFiltering } from "../../../../src/core/nat/filtering-test.ts";

type Row = readonly [
  address: FilteringTrial["address"],
  port: FilteringTrial["port"],
  control: FilteringTrial["control"],
];

function judged(rows: readonly Row[], dependent: boolean) {
  const trials = rows.map(([address, port, control]) => ({ address, port, control }));
  const { filtering, portPasses } = judgeFiltering(trials, dependent);
  return { filtering, portPasses, settled: filteringIsSettled(trials, dependent) };
}

const OPEN = { filtering: "endpoint-independent", portPasses: true, settled: true } as const;
const BY_ADDRESS = { filtering: "address-dependent", portPasses: true, settled: true } as const;
const BY_PORT = { filtering: "address-and-port-dependent", portPasses: false, settled: true } as const;
const UNTOLD = { filtering: null, portPasses: false, settled: true } as const;

test.each<[string, readonly Row[], ReturnType<typeof judged>]>([
  ["nobody can test it", [], UNTOLD],
  ["another address came through", [["yes", "open", null]], OPEN],
  ["another port came through, no other address", [["no", "yes", "yes"]], BY_ADDRESS],
  ["nothing came through", [["no", "no", "yes"]], BY_PORT],
  ["silence of a server that never did it", [["no", "no", "no"]], UNTOLD],
  ["silence of a server whose other address is dead", [["no", "no", null]], UNTOLD],
  ["a server that answers from the wrong place", [["ignored", "ignored", "ignored"]], UNTOLD],
  ["one address: another port came through", [[null, "yes", "yes"]], { ...UNTOLD, portPasses: true }],
  ["one address: another port did not", [[null, "no", "yes"]], BY_PORT],
  [
    "a second server proves what the first denied",
    [
      ["no", "no", "yes"],
      ["yes", "yes", "yes"],
    ],
    OPEN,
  ],
  [
    "the deaf one does not matter beside another",
    [
      ["no", "no", "no"],
      ["no", "yes", "yes"],
    ],
    BY_ADDRESS,
  ],
  ["still waiting for an address", [["open", "yes", "yes"]], { ...UNTOLD, portPasses: true, settled: false }],
  ["still waiting for the control", [["no", "no", "open"]], { ...UNTOLD, settled: false }],
])("one outside address: %s", (_, rows, expected) => expect(judged(rows, false)).toEqual(expected));

test.each<[string, readonly Row[], ReturnType<typeof judged>]>([
  ["silence needs no control, there can be none", [["no", "no", null]], BY_PORT],
  ["and none is waited for", [["no", "no", "open"]], BY_PORT],
  ["another address came through", [["yes", "yes", null]], OPEN],
])("dependent mapping: %s", (_, rows, expected) => expect(judged(rows, true)).toEqual(expected));
