import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import type { FilteringVerdict } from "./filtering-test.ts";
import { judgeLayers } from "./layers.ts";
import type { MappingVerdict } from "./mapping-test.ts";
import type { NatReason, NatReport } from "./nat-report.ts";
import type { NatType } from "./nat-type.ts";
import { judgePooling, judgePorts, type PortSample } from "./port-pattern.ts";

/** Everything that was found out, before it is put into words. */
export interface Findings {
  /** Servers that were given, that were asked, and from which anything at all came back. */
  readonly servers: { readonly given: number; readonly asked: number; readonly heard: number };
  readonly mapping: MappingVerdict;
  readonly filtering: FilteringVerdict;
  readonly hairpin: boolean | null;
  /** Mappings as trusted servers saw them, in the order in which they were made. */
  readonly samples: readonly PortSample[];
  /** The port under test, and how it is known as `PortSample.socket`. */
  readonly tested: { readonly socket: number; readonly port: number };
  readonly interfaceAddresses: readonly string[];
  readonly gatewayExternal?: string | undefined;
}

/** What `type` and all beside it are, given what was found. */
export function reachVerdict(findings: Findings): Omit<NatReport, "servers" | "elapsedMs"> {
  const { mapping, filtering, hairpin, samples, tested, interfaceAddresses, gatewayExternal } = findings;
  const { mapped } = mapping;
  if (mapped === null) return { ...NOTHING, ...withoutAddress(findings) };
  const isOwn = interfaceAddresses.some((address) => sameEndpoint(mapped, { address, port: tested.port }));
  const translated = !isOwn || mapping.dependent === true;
  const { type, reasons } = translated ? behindNat(findings) : withoutNat(filtering);
  const ofTested = samples.filter(({ socket }) => socket === tested.socket);
  return {
    type,
    // Where nothing translates, no destination can see anything else.
    mapping: translated ? mapping.mapping : "endpoint-independent",
    filtering: filtering.filtering,
    mapped,
    translated,
    ports: judgePorts(samples, mapping.dependent === true ? ofTested : samples),
    pooling: judgePooling(samples),
    hairpin: translated ? hairpin : null,
    layers: judgeLayers({ mapped: mapped.address, translated, interfaceAddresses, gatewayExternal }),
    reasons,
  };
}

interface TypeAndReasons {
  readonly type: NatType;
  readonly reasons: readonly NatReason[];
}

const NOTHING = {
  mapping: null,
  filtering: null,
  mapped: null as Endpoint | null,
  translated: null,
  ports: null,
  pooling: null,
  hairpin: null,
  layers: null,
};

/** No address that could be believed. UDP is blocked only if servers were asked and nothing whatever came back. */
function withoutAddress({ servers, mapping }: Findings): TypeAndReasons {
  if (servers.given === 0) return { type: "unknown", reasons: ["no-server"] };
  if (servers.asked === 0) return { type: "unknown", reasons: ["nothing-resolved"] };
  if (servers.heard === 0) return { type: "blocked", reasons: ["nothing-answered"] };
  return { type: "unknown", reasons: [mapping.contradicting.size > 0 ? "servers-contradict" : "only-errors"] };
}

/** Its own address alone makes nobody open: a firewall may stand before it, and lets in whom it was shown, as a cone does. */
function withoutNat(verdict: FilteringVerdict): TypeAndReasons {
  if (verdict.filtering === "endpoint-independent") return { type: "open", reasons: [] };
  return { type: "cone", reasons: verdict.filtering === null ? missing(verdict) : ["firewall"] };
}

function behindNat({ mapping: { mapping, dependent }, filtering }: Findings): TypeAndReasons {
  if (dependent === null) return { type: "unknown", reasons: union(["one-answer"], missing(filtering)) };
  const oneAddress: NatReason[] = mapping === null && !dependent ? ["one-address"] : [];
  return { type: dependent ? "symmetric" : "cone", reasons: union(oneAddress, missing(filtering)) };
}

/** Why the filtering could not be told, if it could not. */
function missing({ filtering, portPasses }: FilteringVerdict): NatReason[] {
  if (filtering !== null) return [];
  return [portPasses ? "one-address" : "filtering-untested"];
}

function union(one: readonly NatReason[], other: readonly NatReason[]): NatReason[] {
  return [...new Set([...one, ...other])];
}
