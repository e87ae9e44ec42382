import type { Machine, RandomBytes } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";

/**
 * The seam between the mapper and what speaks to gateways: `PcpClient`, `NatPmpClient` and `UpnpClient` each hold one
 * mapping by one protocol, and the mapper races them.
 *
 * Who decides what: a client knows how its protocol asks, repeats, understands answers and notices that the gateway
 * forgot. The mapper alone knows when: it starts the race, picks the winner, renews at half time, counts failures,
 * checks the external address and revokes. A client therefore does nothing on its own: each `map` and `unmap` ends in
 * exactly one `mapped`, `unmapped` or `failed`, unless `abandon` comes first.
 *
 * Left out on purpose: what gateways offer beyond one port (PCP PEER and FILTER, UPnP pinholes).
 */
export interface PortMapClient extends Machine<PortMapClientEvent> {
  readonly protocol: PortMapProtocol;
  /**
   * True from the moment that a request for the mapping left until the gateway refused it or said that it is gone: what
   * must be undone when the race is lost or the program ends, even if no answer ever came.
   */
  readonly mayHold: boolean;
  /** Datagrams and answers that counted for nothing, since the beginning. */
  readonly ignored: Readonly<Record<IgnoredAnswer, number>>;
  /**
   * Asks the gateway for the mapping or, when it has it, for a new lease on it: with the external port that it gave
   * before. Takes the place of whatever was under way. A client remembers what it found (UPnP's control URL) and finds
   * it again within one `map` when it no longer answers.
   */
  map(now: Instant): void;
  /**
   * Asks the gateway to forget the mapping. Takes the place of whatever was under way. A program may be waiting to end:
   * what was not answered is repeated soon, and nothing is searched for; without a known gateway it is `unmapped` at once.
   */
  unmap(now: Instant): void;
  /** Stops what is under way; no event will tell its end. What the gateway holds stays there, and `mayHold` as it is. */
  abandon(): void;
  /** The end of a request that a `request` event asked for; one that nobody waits for is ignored. */
  handleHttp(now: Instant, id: number, result: GatewayResult): void;
}

export type PortMapProtocol = "pcp" | "nat-pmp" | "upnp";
export type Transport = "udp" | "tcp";

/** The machine's sockets (`Datagram.socket`), all bound to `localAddress` but the last, which is bound to any address. */
export const PORT_MAP_SOCKETS = {
  pcp: 0,
  "nat-pmp": 1,
  upnp: 2,
  /** Port 5350, where gateways announce to 224.0.0.1 that they restarted. It may be missing: another program has it. */
  announcements: 3,
} as const;

export interface PortMapOptions {
  readonly random: RandomBytes;
  /** The default gateway's address. Only what comes from it counts, and requests go nowhere else. */
  readonly gateway: string;
  /** This host's address towards the gateway. */
  readonly localAddress: string;
  readonly transport: Transport;
  readonly internalPort: number;
  /** The one that is wished for; the gateway may give another. */
  readonly externalPort: number;
  /** Wished for, too. */
  readonly leaseSeconds: number;
  /** 12 bytes that prove to a PCP gateway whose mapping it is (RFC 6887 §11.1); who knows them may change and remove it. */
  readonly nonce: Uint8Array;
  /** What the gateway's own page shows beside the mapping; ASCII, 32 characters at most. */
  readonly description: string;
}

export type PortMapClientEvent =
  /**
   * The gateway holds the mapping, for `leaseSeconds` from now; `Infinity` when without end. `external` is a unicast
   * address, though perhaps a private one: whether it is worth anything is the mapper's to judge.
   */
  | { readonly type: "mapped"; readonly external: Endpoint; readonly leaseSeconds: number }
  /** The gateway says that it holds the mapping no more. */
  | { readonly type: "unmapped" }
  | PortMapFailed
  /**
   * Unasked: the gateway lost its state, and the mapping with it (epoch), or announced another external address. In
   * front of a `mapped` it says that the gateway had lost the mapping before it made it anew.
   */
  | { readonly type: "lost" }
  /** An HTTP request to the gateway is to be made; its end comes to `handleHttp`. UPnP only. */
  | { readonly type: "request"; readonly request: GatewayRequest };

export interface PortMapFailed {
  readonly type: "failed";
  readonly kind: PortMapFailureKind;
  /** What happened, to stand behind "PCP: ": "refused with NOT_AUTHORIZED (2)". */
  readonly message: string;
  /** The gateway asked not to be asked again before. */
  readonly retryAfterSeconds?: number;
}

export type PortMapFailureKind =
  /** Nothing came back, or no gateway of this kind was found. */
  | "no-answer"
  /** It does not speak this protocol, or not this version or operation of it. */
  | "unsupported"
  /** Port mapping is switched off there, or not for this host or port. */
  | "not-authorized"
  /** Somebody else has that external port. */
  | "conflict"
  /** Its table, or this host's share of it, is full. */
  | "no-resources"
  /** It has no external address now. */
  | "no-external-address"
  /** It sees this host under another address than the host itself: there is a NAT in between. */
  | "address-mismatch"
  /** It answered with what the protocol does not allow. */
  | "bad-answer";

export type IgnoredAnswer =
  /** Not from the gateway. */
  | "foreign"
  /** From the gateway, but not of this protocol. */
  | "malformed"
  /** Well-formed, but the answer to nothing that was asked: wrong nonce, operation, port or id. */
  | "unasked";

/** One HTTP request to the gateway's address. There is no host in it: it cannot lead anywhere else. */
export interface GatewayRequest {
  /** Its client's own count. */
  readonly id: number;
  readonly method: "GET" | "POST";
  readonly port: number;
  /** With its leading slash and its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** After which the shell gives up with `timeout`. */
  readonly timeoutMs: number;
}

/** A redirection is an answer like any other (status 3xx) and is not followed. */
export type GatewayResult =
  | { readonly ok: true; readonly status: number; readonly body: string }
  | { readonly ok: false; readonly kind: GatewayProblem; readonly message: string };

export type GatewayProblem = "unreachable" | "timeout" | "too-large" | "not-http";

/** One row of what a gateway says it forwards: UPnP can list, PCP and NAT-PMP cannot. */
export interface GatewayMapping {
  readonly transport: Transport;
  readonly externalPort: number;
  readonly internalAddress: string;
  readonly internalPort: number;
  readonly enabled: boolean;
  readonly description: string;
  /** Seconds that are left; 0 without end. */
  readonly leaseSeconds: number;
}
