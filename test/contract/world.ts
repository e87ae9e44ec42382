import type { Machine } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { Instant } from "../../src/core/time.ts";
import type { NatName } from "./nat-spec.ts";

/**
 * The one map of both laboratories, same addresses in both, so that what machines say can be compared as it stands.
 *
 *   stun   203.0.113.10 and .11 ─┐
 *   peer   203.0.113.20 ─────────┤ internet 203.0.113.1
 *                                ├── [nat c 198.51.100.10, if there is one] ── nat a 198.51.100.2 ── a1 10.1.0.11, a2 10.1.0.12
 *                                │                    (behind nat c: nat a is 100.64.0.2, nat b 100.64.0.3)
 *                                └── nat b 198.51.100.6 ── b1 10.2.0.11
 *
 * Private and shared addresses never cross the internet.
 */
export interface MapSpec {
  readonly a: NatName;
  readonly b?: NatName;
  /** A carrier's NAT in front of a; with `bothBehindCarrier` in front of b as well. */
  readonly carrier?: NatName;
  readonly bothBehindCarrier?: boolean;
}

/** `peer` is a public host without a NAT; `stun` has two addresses. */
export type HostName = "stun" | "peer" | "a1" | "a2" | "b1";

export const ADDRESSES = {
  stun: "203.0.113.10",
  stunSecond: "203.0.113.11",
  peer: "203.0.113.20",
  natA: "198.51.100.2",
  natB: "198.51.100.6",
  carrier: "198.51.100.10",
  a1: "10.1.0.11",
  a2: "10.1.0.12",
  b1: "10.2.0.11",
  /** Inside addresses of the routers, the default gateways of their hosts. */
  gatewayA: "10.1.0.1",
  gatewayB: "10.2.0.1",
} as const;

/** Where a socket is bound: any address of its host and any free port unless told. */
export interface Bind {
  readonly address?: string;
  readonly port?: number;
}

/** What both laboratories can do. A contract suite takes one and knows not which. */
export interface World extends AsyncDisposable {
  readonly kind: "sim" | "lab";
  /** The clock that machines in this world are driven with. */
  now(): Instant;
  /**
   * Opens sockets on a host, one for each of `binds`, makes a machine for them and runs it. `local` has the bound
   * address (as it was asked for, `0.0.0.0` if it was not) and port of each socket.
   */
  start<M extends Machine<unknown>>(
    host: HostName,
    binds: readonly Bind[],
    make: (local: readonly Endpoint[], now: Instant) => M,
  ): Promise<Running<M>>;
  /** Lets the world go on until `done()`; false when `limitMs` of the world's own time passed first. */
  until(done: () => boolean, limitMs: number): Promise<boolean>;
}

export interface Running<M extends Machine<unknown>> {
  readonly machine: M;
  readonly local: readonly Endpoint[];
  /** What it has said so far. */
  readonly events: readonly EventOf<M>[];
  /** After something was done to the machine from outside: lets it send and tell what it wants. */
  poke(): void;
  /** Closes its sockets. */
  stop(): void;
}

export type EventOf<M> = M extends Machine<infer Event> ? Event : never;
