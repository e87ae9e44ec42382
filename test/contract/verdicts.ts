import type { NatReport } from "../../src/core/nat/nat-report.ts";
import type { NatName } from "./nat-spec.ts";
import { ADDRESSES } from "./world.ts";

/** What a report says of the NAT: all of it that is not random or a measurement. */
export type Verdict = Omit<NatReport, "servers" | "elapsedMs" | "mapped"> & { readonly address: string | null };

/**
 * `rfc5780`: one server with two addresses of two ports. `one-address`: `ut server` alone, one address of two ports.
 * `plain`: three servers at three addresses that do nothing but Binding.
 */
export type Servers = "rfc5780" | "one-address" | "plain";

/** Carriers' NATs that homes are tried behind. */
export type Carrier = "port-restricted-random-port" | "full-cone-hairpin" | "symmetric";

export function verdictOf(report: NatReport): Verdict {
  const { servers: _servers, elapsedMs: _elapsedMs, mapped, ...verdict } = report;
  return { ...verdict, address: mapped?.address ?? null };
}

const PORT_RESTRICTED: Verdict = {
  type: "cone",
  mapping: "endpoint-independent",
  filtering: "address-and-port-dependent",
  address: ADDRESSES.natA,
  translated: true,
  ports: { kind: "preserved" },
  pooling: "paired",
  hairpin: false,
  layers: null,
  reasons: [],
};
const FULL: Verdict = { ...PORT_RESTRICTED, filtering: "endpoint-independent" };
const RESTRICTED: Verdict = { ...PORT_RESTRICTED, filtering: "address-dependent" };
const RANDOM = { ports: { kind: "random" } } as const;
const SYMMETRIC: Verdict = {
  ...PORT_RESTRICTED,
  ...RANDOM,
  type: "symmetric",
  mapping: "address-and-port-dependent",
  hairpin: null,
};
const SEQUENTIAL: Verdict = { ...SYMMETRIC, ports: { kind: "sequential", delta: 1 } };
const BLOCKED: Verdict = {
  type: "blocked",
  mapping: null,
  filtering: null,
  address: null,
  translated: null,
  ports: null,
  pooling: null,
  hairpin: null,
  layers: null,
  reasons: ["nothing-answered"],
};

/** A server with two addresses sees everything. */
const VERDICTS: Readonly<Record<NatName, Verdict>> = {
  "full-cone": FULL,
  "address-restricted": RESTRICTED,
  "port-restricted": PORT_RESTRICTED,
  "full-cone-random-port": { ...FULL, ...RANDOM },
  "address-restricted-random-port": { ...RESTRICTED, ...RANDOM },
  "port-restricted-random-port": { ...PORT_RESTRICTED, ...RANDOM },
  symmetric: SYMMETRIC,
  "symmetric-sequential": SEQUENTIAL,
  blocked: BLOCKED,
  "full-cone-hairpin": { ...FULL, hairpin: true },
  "port-restricted-hairpin": { ...PORT_RESTRICTED, hairpin: true },
  "port-restricted-accept": PORT_RESTRICTED,
  "port-restricted-reject": PORT_RESTRICTED,
  "short-lived": PORT_RESTRICTED,
};

/** Behind a carrier's cone with ports of its own: nothing gets in through it, and no port says anything. */
const BEHIND_CONE: Verdict = { ...PORT_RESTRICTED, ...RANDOM, address: ADDRESSES.carrier, layers: "two-or-more" };
/** Behind an open carrier everything is as the home's router has it, except that the carrier lets neighbours meet. */
const BEHIND_OPEN = { address: ADDRESSES.carrier, layers: "two-or-more", hairpin: true } as const;
/** The outer NAT decides. */
const BEHIND_SYMMETRIC: Verdict = { ...SYMMETRIC, address: ADDRESSES.carrier, layers: "two-or-more" };

const BEHIND: Readonly<Record<Carrier, Readonly<Record<NatName, Verdict>>>> = {
  "port-restricted-random-port": {
    "full-cone": BEHIND_CONE,
    "address-restricted": BEHIND_CONE,
    "port-restricted": BEHIND_CONE,
    "full-cone-random-port": BEHIND_CONE,
    "address-restricted-random-port": BEHIND_CONE,
    "port-restricted-random-port": BEHIND_CONE,
    symmetric: BEHIND_SYMMETRIC,
    "symmetric-sequential": BEHIND_SYMMETRIC,
    blocked: BLOCKED,
    "full-cone-hairpin": BEHIND_CONE,
    "port-restricted-hairpin": BEHIND_CONE,
    "port-restricted-accept": BEHIND_CONE,
    "port-restricted-reject": BEHIND_CONE,
    "short-lived": BEHIND_CONE,
  },
  "full-cone-hairpin": {
    "full-cone": { ...FULL, ...BEHIND_OPEN },
    "address-restricted": { ...RESTRICTED, ...BEHIND_OPEN },
    "port-restricted": { ...PORT_RESTRICTED, ...BEHIND_OPEN },
    "full-cone-random-port": { ...FULL, ...RANDOM, ...BEHIND_OPEN },
    "address-restricted-random-port": { ...RESTRICTED, ...RANDOM, ...BEHIND_OPEN },
    "port-restricted-random-port": { ...PORT_RESTRICTED, ...RANDOM, ...BEHIND_OPEN },
    symmetric: { ...SYMMETRIC, ...BEHIND_OPEN, hairpin: null },
    "symmetric-sequential": { ...SEQUENTIAL, ...BEHIND_OPEN, hairpin: null },
    blocked: BLOCKED,
    "full-cone-hairpin": { ...FULL, ...BEHIND_OPEN },
    "port-restricted-hairpin": { ...PORT_RESTRICTED, ...BEHIND_OPEN },
    // What the carrier sends back comes before the socket it is for has sent, so this router keeps it, for ever.
    "port-restricted-accept": { ...PORT_RESTRICTED, ...BEHIND_OPEN, hairpin: false },
    "port-restricted-reject": { ...PORT_RESTRICTED, ...BEHIND_OPEN },
    "short-lived": { ...PORT_RESTRICTED, ...BEHIND_OPEN },
  },
  symmetric: {
    "full-cone": BEHIND_SYMMETRIC,
    "address-restricted": BEHIND_SYMMETRIC,
    "port-restricted": BEHIND_SYMMETRIC,
    "full-cone-random-port": BEHIND_SYMMETRIC,
    "address-restricted-random-port": BEHIND_SYMMETRIC,
    "port-restricted-random-port": BEHIND_SYMMETRIC,
    symmetric: BEHIND_SYMMETRIC,
    "symmetric-sequential": BEHIND_SYMMETRIC,
    blocked: BLOCKED,
    "full-cone-hairpin": BEHIND_SYMMETRIC,
    "port-restricted-hairpin": BEHIND_SYMMETRIC,
    "port-restricted-accept": BEHIND_SYMMETRIC,
    "port-restricted-reject": BEHIND_SYMMETRIC,
    "short-lived": BEHIND_SYMMETRIC,
  },
};

export const CARRIERS = Object.keys(BEHIND) as readonly Carrier[];

/** The public host: `one-address` cannot see whether strangers get in, so it does not call anybody open. */
export const NO_NAT: Verdict = {
  ...FULL,
  type: "open",
  address: ADDRESSES.peer,
  translated: false,
  hairpin: null,
  layers: "none",
};

/** What the classifier must say, with these servers, of a host behind this NAT. */
export function expectedVerdict(nat: NatName | "none", carrier: Carrier | undefined, servers: Servers): Verdict {
  const whole = nat === "none" ? NO_NAT : carrier === undefined ? VERDICTS[nat] : BEHIND[carrier][nat];
  return whole.type === "blocked" ? whole : { ...whole, ...cannotSee(whole, servers) };
}

/** What servers without a second address leave open. */
function cannotSee({ type, mapping, filtering, translated }: Verdict, servers: Servers): Partial<Verdict> {
  const seenType = type === "open" ? "cone" : type;
  switch (servers) {
    case "rfc5780":
      return {};
    case "plain":
      return {
        type: seenType,
        mapping: type === "symmetric" ? null : mapping,
        filtering: null,
        reasons: ["filtering-untested"],
      };
    case "one-address": {
      if (type === "symmetric") return {};
      const portsAreFiltered = filtering === "address-and-port-dependent";
      return {
        type: seenType,
        mapping: translated ? null : mapping,
        filtering: portsAreFiltered ? filtering : null,
        reasons: ["one-address"],
      };
    }
    default:
      return servers satisfies never;
  }
}
