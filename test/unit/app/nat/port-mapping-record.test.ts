import { expect, test } from "bun:test";
import type { PortMappingEvent } from "../../../../src/app/nat/port-mapping.ts";
import { PortMappingRecord } from "../../../../src/app/nat/port-mapping-record.ts";
import { TraversalStats } from "../../../../src/core/nat/traversal-stats.ts";
import type { Log, LogFields } from "../../../../src/io/log/log.ts";

const EXTERNAL = { address: "203.0.113.7", port: 40_000 };
const MOVED = { address: "203.0.113.8", port: 40_000 };
const PRIVATE = { address: "100.64.0.7", port: 40_000 };
const held = (external = EXTERNAL) => ({ protocol: "pcp" as const, external, leaseSeconds: 3_600 });
const pcp = (external: string) => ({ protocol: "pcp", external, lease_seconds: 3_600 });

/** A record with what it logs, as `level event` and fields. */
function bench() {
  const lines: unknown[] = [];
  const write = (level: string) => (event: string, fields?: LogFields) => {
    // As JSON has it: what is undefined is not there.
    const { err, ...plain } = { ...fields };
    const text = err instanceof Error ? { err: err.message } : {};
    lines.push([`${level} ${event}`, JSON.parse(JSON.stringify({ ...plain, ...text }))]);
  };
  const log: Log = {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    child: () => log,
  };
  const stats = new TraversalStats();
  const record = new PortMappingRecord(stats, log);
  return {
    record,
    said: () => lines.splice(0),
    handle: (event: PortMappingEvent) => record.handle(event),
    stats: () => {
      const { port_mapping_active, port_mapping_external, port_mapping_renewals } = stats.snapshot();
      return [port_mapping_active, port_mapping_external, port_mapping_renewals];
    },
  };
}

test("a mapping's life: looked at, installed, renewed, moved, given back", () => {
  const { record, said, handle, stats } = bench();
  handle({ type: "asking", protocol: "pcp" });
  record.verified(EXTERNAL, "reached");
  handle({ type: "installed", ...held() });
  expect(record.status()).toEqual({ protocol: "pcp", external: EXTERNAL, verified: true });
  expect([record.advertised, record.outside, stats()]).toEqual([EXTERNAL, EXTERNAL.address, [true, EXTERNAL, 0]]);
  handle({ type: "renewed", ...held() });
  handle({ type: "renewal-failed", failures: 1, protocol: "pcp", kind: "no-answer", message: "no answer" });
  handle({ type: "replaced", ...held(MOVED) });
  expect(record.status()).toEqual({ protocol: "pcp", external: MOVED, verified: null });
  expect([record.advertised, stats()]).toEqual([MOVED, [true, MOVED, 2]]);
  handle({ type: "revoked", external: MOVED, reason: "stopped" });
  handle({ type: "stopped", left: [] });
  expect([record.status(), record.advertised, record.outside]).toEqual([null, undefined, undefined]);
  expect(stats()).toEqual([false, undefined, 2]);
  expect(said()).toEqual([
    ["info port_mapping_installed", { ...pcp("203.0.113.7:40000"), verified: true }],
    ["debug port_mapping_renewed", pcp("203.0.113.7:40000")],
    ["warn port_mapping_renewal_fail", { failures: 1, reason: "pcp: no answer" }],
    ["info port_mapping_changed", { ...pcp("203.0.113.8:40000"), before: "203.0.113.7:40000" }],
    ["info port_mapping_revoked", { external: "203.0.113.8:40000", reason: "stopped" }],
  ]);
});

test("one that was lost is a warning, and a new one starts its renewals at 0", () => {
  const { said, handle, stats } = bench();
  handle({ type: "installed", ...held() });
  handle({ type: "renewed", ...held() });
  said();
  handle({ type: "revoked", external: EXTERNAL, reason: "gateway-restarted" });
  handle({ type: "installed", ...held() });
  expect(said()).toEqual([
    ["warn port_mapping_revoked", { external: "203.0.113.7:40000", reason: "gateway-restarted" }],
    ["info port_mapping_installed", pcp("203.0.113.7:40000")],
  ]);
  expect(stats()).toEqual([true, EXTERNAL, 0]);
});

test("behind another NAT nothing is advertised, but the address says something about the network", () => {
  const { record, said, handle, stats } = bench();
  handle({ type: "behind-nat", ...held(PRIVATE) });
  expect([record.advertised, record.outside, stats()]).toEqual([undefined, PRIVATE.address, [false, undefined, 0]]);
  expect(record.status()).toEqual({ protocol: "pcp", external: PRIVATE, verified: null });
  expect(said()).toEqual([["info port_mapping_behind_nat", pcp("100.64.0.7:40000")]]);
});

test("a gateway that maps nothing is told once, until something else happens", () => {
  const { said, handle } = bench();
  const failures = [
    { protocol: "pcp", kind: "no-answer", message: "no answer" },
    { protocol: "upnp", kind: "not-authorized", message: "refused with 606" },
  ] as const;
  for (let i = 0; i < 3; i++) handle({ type: "unavailable", failures, retryMs: 30_000.4 });
  handle({ type: "unavailable", failures: failures.slice(0, 1), retryMs: 60_000 });
  expect(said()).toEqual([
    [
      "info port_mapping_unavailable",
      { err: "Cannot map a port: pcp: no answer; upnp: refused with 606", retry_ms: 30_000 },
    ],
    ["info port_mapping_unavailable", { err: "Cannot map a port: pcp: no answer", retry_ms: 60_000 }],
  ]);
});

test("what the gateway may still hold at the end is told; a lease without end has no number", () => {
  const { said, handle } = bench();
  handle({ type: "installed", ...held(), leaseSeconds: Number.POSITIVE_INFINITY });
  handle({ type: "revoked", external: EXTERNAL, reason: "stopped" });
  handle({ type: "stopped", left: ["pcp"] });
  expect(said()).toEqual([
    ["info port_mapping_installed", { protocol: "pcp", external: "203.0.113.7:40000" }],
    ["info port_mapping_revoked", { external: "203.0.113.7:40000", reason: "stopped" }],
    ["warn port_mapping_left", { protocols: ["pcp"] }],
  ]);
});

test("what a gateway may still hold that this host has left is told", () => {
  const { said, handle } = bench();
  handle({ type: "abandoned", gateway: "10.1.0.1", protocols: ["nat-pmp"] });
  expect(said()).toEqual([["warn port_mapping_left", { gateway: "10.1.0.1", protocols: ["nat-pmp"] }]]);
});

test("the first attempt's end is known, whichever it was", async () => {
  for (const end of [
    { type: "installed", ...held() },
    { type: "behind-nat", ...held(PRIVATE) },
    { type: "unavailable", failures: [], retryMs: 1 },
  ] as const) {
    const { record, handle } = bench();
    handle({ type: "asking", protocol: "pcp" });
    handle(end);
    await record.settled;
  }
});
