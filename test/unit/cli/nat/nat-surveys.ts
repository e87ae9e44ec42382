import type { NatSurvey } from "../../../../src/app/nat/nat-survey.ts";
import type { ServerOutcome, ServerReport } from "../../../../src/core/nat/nat-report.ts";

export const MAPPED = { address: "198.51.100.2", port: 40_000 };

/** One of the servers 203.0.113.x, and what became of it. */
export function server(outcome: ServerOutcome, last = 10): ServerReport {
  const endpoint = { address: `203.0.113.${last}`, port: 3_478 };
  return { name: `${endpoint.address}:3478`, endpoint, outcome, otherAddress: null };
}

/** Seen at the outside address under this port. */
export const answered = (port: number, rttMs = 12.3) =>
  ({ kind: "answered", mapped: { ...MAPPED, port }, rttMs }) as const;
export const SILENT = { kind: "timeout", waitedMs: 4_480 } as const;

/** What a survey finds behind a home router that maps ports. */
export const HOME: NatSurvey = {
  type: "cone",
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  mapped: MAPPED,
  translated: true,
  ports: { kind: "preserved" },
  pooling: "paired",
  hairpin: false,
  layers: "one",
  reasons: [],
  servers: [server(answered(40_000))],
  elapsedMs: 700,
  local: { address: "10.1.0.11", port: 40_000 },
  gateway: { address: "10.1.0.1", protocols: ["pcp", "nat-pmp", "upnp"], externalAddress: "198.51.100.2" },
};
export const NOTHING: NatSurvey = {
  ...HOME,
  type: "unknown",
  mapping: null,
  filtering: null,
  mapped: null,
  translated: null,
  ports: null,
  pooling: null,
  hairpin: null,
  layers: null,
};
export const BLOCKED: NatSurvey = {
  ...NOTHING,
  type: "blocked",
  reasons: ["nothing-answered"],
  servers: [server(SILENT)],
};
export const SYMMETRIC: NatSurvey = {
  ...HOME,
  type: "symmetric",
  mapping: "address-and-port-dependent",
  ports: { kind: "random" },
  hairpin: null,
};
