import type { Endpoint } from "../net/endpoint.ts";
import type { Filtering, Mapping } from "./behaviour.ts";
import type { NatLayers, NatType, Pooling, PortAllocation } from "./nat-type.ts";

/** The verdict and everything it rests on: plain data, fit for JSON. `null` always means that it could not be told. */
export interface NatReport {
  readonly type: NatType;
  /** Proven, not guessed: with a server of one address only, `type` can be known while this is null. */
  readonly mapping: Mapping | null;
  readonly filtering: Filtering | null;
  /** The outside address of the port under test, as most servers saw it; of a symmetric NAT one of many. */
  readonly mapped: Endpoint | null;
  /** False: the outside address is the host's own. Then `type` is `open`, or `cone` behind a filtering firewall. */
  readonly translated: boolean | null;
  readonly ports: PortAllocation | null;
  readonly pooling: Pooling | null;
  /** Hosts behind the NAT reach each other at their outside addresses (RFC 4787 §6); null too without a NAT. */
  readonly hairpin: boolean | null;
  readonly layers: NatLayers | null;
  /** Why `type` is not more definite than it is, or what is to be known with it. */
  readonly reasons: readonly NatReason[];
  /** One for each server that was given, in the same order. */
  readonly servers: readonly ServerReport[];
  readonly elapsedMs: number;
}

/**
 * - `nothing-resolved`: no server's name could be resolved.
 * - `no-route`: this host has no route to any server, so none was asked.
 * - `no-server`: no server was given.
 * - `nothing-answered`: UDP is blocked, or every server is down.
 * - `only-errors`: something came back, so UDP passes, but no address was in it.
 * - `one-answer`: a single address of a single server answered, which cannot tell cone from symmetric.
 * - `servers-contradict`: no majority of servers agrees on anything.
 * - `one-address`: all answers came from one address. Different ports of it make no difference; whether addresses do,
 *   for the mapping or the filtering, cannot be told.
 * - `filtering-untested`: no server could, or would, answer from another address.
 * - `firewall`: no translation, but traffic that was not asked for does not get in.
 */
export type NatReason =
  | "nothing-resolved"
  | "no-route"
  | "no-server"
  | "nothing-answered"
  | "only-errors"
  | "one-answer"
  | "servers-contradict"
  | "one-address"
  | "filtering-untested"
  | "firewall";

/** What became of one server of the list. */
export interface ServerReport {
  /** As it was configured. */
  readonly name: string;
  readonly endpoint: Endpoint | null;
  readonly outcome: ServerOutcome;
  /** It can send from another address or port, as RFC 5780 has it. */
  readonly otherAddress: Endpoint | null;
}

/**
 * `contradicts`: what it saw is not what most others saw, so it was not believed. `error`: it answered with a STUN
 * error, or with something that is no answer (`code` null). `unresolved`: it was never asked.
 */
export type ServerOutcome =
  | { readonly kind: "answered"; readonly mapped: Endpoint; readonly rttMs: number }
  | { readonly kind: "contradicts"; readonly mapped: Endpoint; readonly rttMs: number }
  | { readonly kind: "timeout"; readonly waitedMs: number }
  | { readonly kind: "error"; readonly code: number | null; readonly message: string }
  | { readonly kind: "unresolved"; readonly message: string };
