import type { Gathered } from "../ice/gather.ts";
import type { RandomBytes } from "../machine.ts";
import type { NatKind } from "../nat/direct-way.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { PeerIdentity } from "../pipe/handshake.ts";
import type { PathPreference } from "../pipe/path-choice.ts";
import type { PunchRole } from "../punch/probe.ts";
import type { PunchSettings } from "../punch/settings.ts";
import type { Instant } from "../time.ts";

/** What `Peer` is made with; none of it changes while the process runs. */
export interface PeerOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  /** Signs our offers and judges the certificates of others. */
  readonly identity: PeerIdentity;
  /** Whether a verified CN may use a service. Asked for each offer. */
  readonly authorise: (cn: string, service: string) => boolean;
  /** `p2p.direct`: false keeps every pipe on the relay. */
  readonly direct: boolean;
  /** Program and version, for the server's log. */
  readonly node: string;
  /** It offers services: it is to be found under its CN. */
  readonly isTarget: boolean;
  readonly includeLoopback: boolean;
  readonly prefer: PathPreference;
  readonly hardNat: HardNatOptions;
}

export type HardNatMode = "off" | "fallback" | "assist" | "force";

/** The section `hard_nat`. */
export interface HardNatOptions {
  readonly mode: HardNatMode;
  readonly role: "auto" | PunchRole;
  readonly assistDelayMs: number;
  readonly settings: PunchSettings;
}

/** What this node knows of its network; given to `setNetwork` whenever any of it changes. */
export interface PeerNetwork {
  /** `unknown` and null until it was measured. */
  readonly nat: NatKind;
  /** The address that is told to others, of `ReflexBook`. */
  readonly reflex: Endpoint | undefined;
  /** With the numbers of the shared sockets, which never close: below `FIRST_FAN_SOCKET`. */
  readonly gathered: Gathered;
  /** One of the reflexive addresses is a port that the gateway keeps open for us. */
  readonly isPortMapped: boolean;
  /** How long the NAT remembers a silent mapping, where it was measured. */
  readonly mappingLifetimeMs?: number;
}

/** Numbers of sockets that a `Peer` asks for begin here and are never used twice. */
export const FIRST_FAN_SOCKET = 16;
