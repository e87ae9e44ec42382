import { expect, test } from "bun:test";
import type { FilteringVerdict } from "../../../../src/core/nat/filtering-test.ts";
import type { MappingVerdict } from "../../../../src/core/nat/mapping-test.ts";
import { type Findings, reachVerdict } from "../../../../src/core/nat/verdict.ts";

const OWN = "203.0.113.20";
const CONE: MappingVerdict = {
  mapping: "endpoint-independent",
  dependent: false,
  mapped: { address: "198.51.100.2", port: 5_000 },
  trusted: new Set([0]),
  contradicting: new Set(),
  settled: true,
};
const NOBODY: MappingVerdict = { ...CONE, mapping: null, dependent: null, mapped: null, trusted: new Set() };
const ANYBODY: FilteringVerdict = { filtering: "endpoint-independent", portPasses: true };
const BY_PORT: FilteringVerdict = { filtering: "address-and-port-dependent", portPasses: false };
const UNTESTED: FilteringVerdict = { filtering: null, portPasses: false };
const BY_ADDRESS_PERHAPS: FilteringVerdict = { filtering: null, portPasses: true };

const FINDINGS: Findings = {
  servers: { given: 1, asked: 1, heard: 1 },
  mapping: CONE,
  filtering: BY_PORT,
  hairpin: false,
  samples: [],
  tested: { socket: 0, port: 5_000 },
  interfaceAddresses: [OWN],
};

function said(found: Partial<Findings>): string {
  const { type, mapping, filtering, translated, reasons } = reachVerdict({ ...FINDINGS, ...found });
  return `${type}, ${mapping} / ${filtering}, translated ${translated}, ${reasons.join(" ") || "no reasons"}`;
}

const [EIM, APDF] = ["endpoint-independent", "address-and-port-dependent"];
const own = (port: number): MappingVerdict => ({ ...CONE, mapped: { address: OWN, port } });

test.each<[string, Partial<Findings>, string]>([
  ["a cone", {}, `cone, ${EIM} / ${APDF}, translated true, no reasons`],
  ["a cone nobody could test", { filtering: UNTESTED }, `cone, ${EIM} / null, translated true, filtering-untested`],
  [
    "one address with two ports",
    { mapping: { ...CONE, mapping: null }, filtering: BY_ADDRESS_PERHAPS },
    "cone, null / null, translated true, one-address",
  ],
  [
    "one answer from one address",
    { mapping: { ...CONE, mapping: null, dependent: null }, filtering: UNTESTED },
    "unknown, null / null, translated true, one-answer filtering-untested",
  ],
  [
    "symmetric",
    { mapping: { ...CONE, mapping: "address-and-port-dependent", dependent: true } },
    `symmetric, ${APDF} / ${APDF}, translated true, no reasons`,
  ],
  [
    "symmetric, by what is unknown",
    { mapping: { ...CONE, mapping: null, dependent: true }, filtering: UNTESTED },
    "symmetric, null / null, translated true, filtering-untested",
  ],
  [
    "its own address, and anybody gets in",
    { mapping: own(5_000), filtering: ANYBODY },
    `open, ${EIM} / ${EIM}, translated false, no reasons`,
  ],
  ["its own address behind a firewall", { mapping: own(5_000) }, `cone, ${EIM} / ${APDF}, translated false, firewall`],
  [
    "its own address, one answer, nobody tried to get in",
    { mapping: { ...own(5_000), mapping: null, dependent: null }, filtering: UNTESTED },
    `cone, ${EIM} / null, translated false, filtering-untested`,
  ],
  [
    "its own address, another port: somebody translates all the same",
    { mapping: own(6_000), filtering: ANYBODY },
    `cone, ${EIM} / ${EIM}, translated true, no reasons`,
  ],
  [
    "no interface known, as of a socket bound to any address",
    { mapping: own(5_000), filtering: ANYBODY, interfaceAddresses: ["0.0.0.0"] },
    `cone, ${EIM} / ${EIM}, translated true, no reasons`,
  ],
  [
    "silence",
    { mapping: NOBODY, servers: { given: 3, asked: 2, heard: 0 } },
    "blocked, null / null, translated null, nothing-answered",
  ],
  [
    "no names",
    { mapping: NOBODY, servers: { given: 3, asked: 0, heard: 0 } },
    "unknown, null / null, translated null, nothing-resolved",
  ],
  [
    "no servers",
    { mapping: NOBODY, servers: { given: 0, asked: 0, heard: 0 } },
    "unknown, null / null, translated null, no-server",
  ],
  [
    "errors only",
    { mapping: NOBODY, servers: { given: 3, asked: 3, heard: 1 } },
    "unknown, null / null, translated null, only-errors",
  ],
  [
    "two that contradict each other",
    { mapping: { ...NOBODY, contradicting: new Set([0, 1]) }, servers: { given: 2, asked: 2, heard: 2 } },
    "unknown, null / null, translated null, servers-contradict",
  ],
])("%s", (_, found, expected) => expect(said(found)).toBe(expected));
