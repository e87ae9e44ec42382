import type { Endpoint } from "./net/endpoint.ts";
import type { Instant } from "./time.ts";

/** A datagram that came in. `socket` counts the sockets that the machine was given, from 0. */
export interface Datagram {
  readonly socket: number;
  readonly from: Endpoint;
  /** The machine's to keep. */
  readonly payload: Uint8Array;
}

/** A datagram that is to go out, from one of the machine's sockets. */
export interface Transmit {
  readonly socket: number;
  readonly to: Endpoint;
  /** Not changed any more once it was polled. */
  readonly payload: Uint8Array;
  /** IP time to live, 1 to 255; the system's default (64) where it is left out. */
  readonly ttl?: number;
}

/**
 * A protocol without hands: time, randomness and bytes come in, decisions come out. One driver (`io/drive.ts`) runs any
 * machine on real sockets and a real clock; `test/sim` runs the same one on a virtual network.
 *
 * After every `handle…` call the driver polls transmits and events until there are none, then asks for `nextTimeout`.
 * Hostile bytes never make a machine throw: what it does not understand it counts and forgets.
 */
export interface Machine<Event> {
  handleDatagram(now: Instant, datagram: Datagram): void;
  /** Time has come for whatever is due at `now`; harmless when nothing is. */
  handleTimeout(now: Instant): void;
  pollTransmit(): Transmit | undefined;
  pollEvent(): Event | undefined;
  /** When `handleTimeout` wants to be called; `NEVER` when nothing is due. */
  nextTimeout(): Instant;
}

/** `length` random bytes, fit for keys and transaction ids: the system's in production, seeded ones in tests. */
export type RandomBytes = (length: number) => Uint8Array;
