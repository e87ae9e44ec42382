import { UtError } from "../../core/error.ts";
import type { NatReport, ServerReport } from "../../core/nat/nat-report.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { LogFields } from "../../io/log/log.ts";

/** The fields of a `nat_type` line: the verdict, what it rests on, and each server that did not help, with its reason. */
export function reportFields(report: NatReport): LogFields {
  const { type, mapping, filtering, mapped, ports, layers, reasons, servers, elapsedMs } = report;
  const problems = servers.flatMap((server) => problemOf(server) ?? []);
  return {
    type,
    mapping: mapping ?? undefined,
    filtering: filtering ?? undefined,
    mapped: mapped === null ? undefined : formatEndpoint(mapped),
    ports: ports?.kind,
    layers: layers ?? undefined,
    reasons: reasons.length > 0 ? reasons : undefined,
    servers_answered: servers.length - problems.length,
    servers_failed: problems.length > 0 ? problems : undefined,
    elapsed_ms: Math.round(elapsedMs),
    err: nobodyAnswered(report),
  };
}

/** Whether the network is another one for going direct: a moved address alone is not. */
export function isOtherNat(one: NatReport, other: NatReport): boolean {
  return one.type !== other.type || one.mapping !== other.mapping || one.filtering !== other.filtering;
}

function nobodyAnswered({ reasons, servers }: NatReport): UtError | undefined {
  if (!reasons.includes("nothing-answered")) return undefined;
  const asked = servers.filter(({ endpoint }) => endpoint !== null).length;
  return new UtError("reflex-timeout", `Cannot learn the address outside: none of ${asked} STUN servers answered`);
}

function problemOf({ name, outcome }: ServerReport): string | undefined {
  switch (outcome.kind) {
    case "answered":
      return undefined;
    case "contradicts":
      return `${name}: saw ${formatEndpoint(outcome.mapped)}, unlike most others`;
    case "timeout":
      return `${name}: no answer in ${Math.round(outcome.waitedMs)} ms`;
    case "error":
      return `${name}: ${outcome.code === null ? "" : `${outcome.code} `}${outcome.message}`;
    case "unresolved":
      return `${name}: ${outcome.message}`;
    default:
      return outcome satisfies never;
  }
}
