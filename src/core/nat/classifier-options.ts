import type { RandomBytes } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import type { NatReport, ServerReport } from "./nat-report.ts";

/** One server of the list. Without an `endpoint` it is not asked, and `problem` says why. */
export interface StunServer {
  /** As it was configured, `HOST:PORT`; for people. */
  readonly name: string;
  readonly endpoint?: Endpoint;
  /** "could not be resolved: …" */
  readonly problem?: string;
}

/** The sockets that a classifier needs, by index; the caller opens `CLASSIFIER_SOCKETS` of them, of one address family. */
export const SOCKET = {
  /** The port under test; other traffic may share it. */
  tested: 0,
  /** Talks to no other address of a server than the one configured, so that what comes from others is unsolicited. */
  filtering: 1,
  /** Meets the port under test at their outside addresses; also the first of the pattern. */
  hairpin: 2,
  /** This one and those behind it are only there to see which outside ports they get. */
  pattern: 3,
} as const;
export const CLASSIFIER_SOCKETS = 6;

export interface ClassifierOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly servers: readonly StunServer[];
  /** Local ends of the sockets; the address may be a wildcard. */
  readonly sockets: readonly Endpoint[];
  /** Addresses of this host's interfaces, canonical text. */
  readonly interfaceAddresses: readonly string[];
  /** The outside address that the gateway itself names (port mapping protocols), if it was asked. */
  readonly gatewayExternal?: string;
  /** The report comes by then, whatever happens; 5000 ms. */
  readonly deadlineMs?: number;
}

/** `server`: one of the list is settled (more may still be learned of it). `test`: for progress. `report` comes once, last. */
export type NatEvent =
  | { readonly type: "server"; readonly server: ServerReport }
  | { readonly type: "test"; readonly test: NatTest }
  | { readonly type: "report"; readonly report: NatReport };

export type NatTest = "mapping" | "filtering" | "hairpin";
