import { expect, test } from "bun:test";
import { judgePooling, judgePorts, type PortSample } from "../../../../src/core/nat/port-pattern.ts";

/** Inside ports 5000, 5001, …, each seen at one of these outside ports. */
function samples(ports: readonly number[], addresses: readonly string[] = []): PortSample[] {
  return ports.map((outsidePort, socket) => ({
    socket,
    insidePort: 5_000 + socket,
    outsideAddress: addresses[socket] ?? "198.51.100.2",
    outsidePort,
  }));
}

test.each([
  ["none", [], null],
  ["one that is kept", [5_000], { kind: "preserved" }],
  ["two that are not", [40_000, 40_001], null],
  ["all kept", [5_000, 5_001, 5_002, 5_003], { kind: "preserved" }],
  ["one of four taken by somebody else", [5_000, 31_337, 5_002, 5_003], { kind: "preserved" }],
  ["one after the other", [40_000, 40_001, 40_002, 40_003], { kind: "sequential", delta: 1 }],
  ["downwards by two", [40_006, 40_004, 40_002, 40_000], { kind: "sequential", delta: -2 }],
  ["by four, others took some between", [40_000, 40_004, 40_016, 40_020], { kind: "sequential", delta: 4 }],
  ["others took some between at random", [40_000, 40_002, 40_005, 40_006], { kind: "sequential", delta: 1 }],
  ["overtaken on the way", [40_001, 40_000, 40_002, 40_003], { kind: "sequential", delta: 1 }],
  ["over the end of all ports", [65_534, 65_535, 0, 1], { kind: "sequential", delta: 1 }],
  ["over the end, beginning further on", [65_534, 65_535, 1_024, 1_025, 1_026], { kind: "sequential", delta: 1 }],
  ["a third of them lies", [40_000, 7, 40_001, 40_002, 60_000, 40_003], { kind: "sequential", delta: 1 }],
  ["anything", [40_000, 2_000, 61_003, 17_777], { kind: "random" }],
  ["anything, two of them close", [40_000, 40_001, 61_003, 17_777], { kind: "random" }],
  // Seen in the lab: with 256 ports on either side one check in 3,000 took a random NAT for a sequential one.
  ["anything, most of them near each other", [40_000, 40_070, 40_190, 2_000, 61_003], { kind: "random" }],
] as const)("outside ports: %s", (_, ports, expected) => expect(judgePorts(samples(ports))).toEqual(expected));

test("a first port that is kept says nothing of a symmetric NAT's next one", () => {
  const [tested, ...others] = samples([5_000, 5_001, 5_002, 5_003]);
  const next = [30_001, 50_002, 12_003].map((outsidePort) => ({ ...(tested as PortSample), outsidePort }));
  expect(judgePorts([tested as PortSample, ...next, ...others], [tested as PortSample, ...next])).toEqual({
    kind: "random",
  });
});

test.each([
  ["one socket", ["198.51.100.2"], null],
  ["one address", ["198.51.100.2", "198.51.100.2"], "paired"],
  ["several addresses", ["198.51.100.2", "198.51.100.3", "198.51.100.2"], "arbitrary"],
] as const)("pooling: %s", (_, addresses, expected) => {
  expect(
    judgePooling(
      samples(
        addresses.map((_address, i) => 40_000 + i),
        addresses,
      ),
    ),
  ).toBe(expected);
});
