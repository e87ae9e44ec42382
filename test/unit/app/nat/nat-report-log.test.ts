import { expect, test } from "bun:test";
import { isOtherNat, reportFields } from "../../../../src/app/nat/nat-report-log.ts";
import type { NatReport, ServerOutcome } from "../../../../src/core/nat/nat-report.ts";
import { networkStatus } from "../../io/node-status.ts";

const MAPPED = { address: "203.0.113.7", port: 40_000 };
const CONE = networkStatus().nat as NatReport;

function withServers(...outcomes: readonly ServerOutcome[]): NatReport {
  const servers = outcomes.map((outcome, index) => ({
    name: `stun${index}.example:3478`,
    endpoint: outcome.kind === "unresolved" ? null : { address: "192.0.2.1", port: 3478 },
    outcome,
    otherAddress: null,
  }));
  return { ...CONE, servers };
}

test("a line has the verdict and every server that did not help, with its reason", () => {
  const report = withServers(
    { kind: "answered", mapped: MAPPED, rttMs: 12 },
    { kind: "contradicts", mapped: { address: "192.0.2.99", port: 1 }, rttMs: 3 },
    { kind: "timeout", waitedMs: 1_500.4 },
    { kind: "error", code: 420, message: "Unknown Attribute" },
    { kind: "error", code: null, message: "the answer has no address in it" },
    { kind: "unresolved", message: "could not be resolved: no such name" },
  );
  expect(reportFields({ ...report, reasons: ["filtering-untested"] })).toEqual({
    type: "cone",
    mapping: "endpoint-independent",
    filtering: "address-and-port-dependent",
    mapped: "203.0.113.7:40000",
    ports: "preserved",
    layers: "one",
    reasons: ["filtering-untested"],
    servers_answered: 1,
    servers_failed: [
      "stun1.example:3478: saw 192.0.2.99:1, unlike most others",
      "stun2.example:3478: no answer in 1500 ms",
      "stun3.example:3478: 420 Unknown Attribute",
      "stun4.example:3478: the answer has no address in it",
      "stun5.example:3478: could not be resolved: no such name",
    ],
    elapsed_ms: 640,
    err: undefined,
  });
});

test("where nobody answered the line carries the error kind for it", () => {
  const report = withServers({ kind: "timeout", waitedMs: 5_000 }, { kind: "unresolved", message: "no such name" });
  const { err } = reportFields({ ...report, type: "blocked", reasons: ["nothing-answered"] });
  expect(err).toMatchObject({
    kind: "reflex-timeout",
    message: "Cannot learn the address outside: none of 1 STUN servers answered",
  });
});

test("another type, mapping or filtering makes another NAT; another address does not", () => {
  expect(isOtherNat(CONE, { ...CONE, mapped: { address: "192.0.2.1", port: 1 }, elapsedMs: 1 })).toBe(false);
  expect(isOtherNat(CONE, { ...CONE, type: "symmetric" })).toBe(true);
  expect(isOtherNat(CONE, { ...CONE, mapping: null })).toBe(true);
  expect(isOtherNat(CONE, { ...CONE, filtering: "endpoint-independent" })).toBe(true);
});
