import type { Datagram, Machine, Transmit } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { Exchange } from "./exchange.ts";
import { canBeExternal } from "./gateway-address.ts";
import { decodeNatPmpAnswer, encodeAddressRequest, NAT_PMP_RESULTS } from "./nat-pmp-codec.ts";
import { decodePcpAnswer, encodeAnnounceRequest } from "./pcp-codec.ts";
import {
  type GatewayRequest,
  type GatewayResult,
  type IgnoredAnswer,
  PORT_MAP_SOCKETS,
  type PortMapProtocol,
} from "./protocol.ts";
import { externalAddress, findService } from "./upnp-service.ts";
import type { Talk } from "./upnp-talk.ts";
import { Talker } from "./upnp-talker.ts";

/** A gateway answers within milliseconds, but to a search only after up to a second (UDA §1.3.2, MX). */
const LIMIT_MS = 2_000;
const WAITS: readonly number[] = [250, 500, 1_250];

/** What a gateway offers, as far as it answered in time. */
export interface GatewayOffer {
  /** By which it may map ports, in the order of `PORT_MAP_PROTOCOLS`. Whether it does for this host, only asking shows. */
  readonly protocols: readonly PortMapProtocol[];
  /** Its address outside, in its own words: perhaps a private one, when it stands behind another NAT. */
  readonly externalAddress: string | undefined;
}

export interface GatewayProbeOptions {
  readonly now: Instant;
  readonly gateway: string;
  /** This host's address towards the gateway. */
  readonly localAddress: string;
  /** The offer is told by then, 2 s at most. */
  readonly limitMs?: number;
}

/** `offer` comes once, last. */
export type GatewayProbeEvent =
  | { readonly type: "request"; readonly request: GatewayRequest }
  | { readonly type: "offer"; readonly offer: GatewayOffer };

/** The sockets that it needs: those of the three protocols, in the order of `PORT_MAP_SOCKETS`. */
export const PROBE_SOCKETS = PORT_MAP_SOCKETS.upnp + 1;

/**
 * Asks the default gateway by all three protocols at once whether it speaks them, and what its address outside is,
 * without mapping anything: ANNOUNCE of PCP (RFC 6887 §14.1.1), the external address of NAT-PMP (RFC 6886 §3.2) and of
 * UPnP. A gateway that speaks a protocol may still refuse to map.
 */
export class GatewayProbe implements Machine<GatewayProbeEvent> {
  readonly ignored: Record<IgnoredAnswer, number> = { foreign: 0, malformed: 0, unasked: 0 };
  readonly #gateway: string;
  readonly #deadline: Instant;
  readonly #pcp: Exchange;
  readonly #natPmp: Exchange;
  readonly #upnp: Talker<UpnpOffer>;
  readonly #events: GatewayProbeEvent[] = [];
  /** Undefined: it may still answer. */
  readonly #speaks: Record<PortMapProtocol, boolean | undefined> = {
    pcp: undefined,
    "nat-pmp": undefined,
    upnp: undefined,
  };
  readonly #addresses: Partial<Record<PortMapProtocol, string | undefined>> = {};
  #isOver = false;

  constructor({ now, gateway, localAddress, limitMs = LIMIT_MS }: GatewayProbeOptions) {
    this.#gateway = gateway;
    this.#deadline = now + Math.min(limitMs, LIMIT_MS);
    this.#pcp = new Exchange(PORT_MAP_SOCKETS.pcp, gateway);
    this.#natPmp = new Exchange(PORT_MAP_SOCKETS["nat-pmp"], gateway);
    this.#upnp = new Talker({ gateway, socket: PORT_MAP_SOCKETS.upnp, ignored: this.ignored });
    this.#pcp.start(now, encodeAnnounceRequest(localAddress), WAITS);
    this.#natPmp.start(now, encodeAddressRequest(), WAITS);
    this.#upnp.start(now, askUpnp(gateway), this.#deadline - now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    const { socket, from, payload } = datagram;
    if (this.#isOver) return;
    if (socket === PORT_MAP_SOCKETS.upnp) this.#upnp.handleDatagram(now, datagram);
    else if (from.address !== this.#gateway) this.ignored.foreign += 1;
    else if (socket === PORT_MAP_SOCKETS.pcp) this.#handlePcp(payload);
    else this.#handleNatPmp(payload);
    this.#advance(now);
  }

  handleHttp(now: Instant, id: number, result: GatewayResult): void {
    if (this.#isOver) return;
    this.#upnp.handleHttp(now, id, result);
    this.#advance(now);
  }

  handleTimeout(now: Instant): void {
    if (this.#isOver) return;
    if (this.#pcp.handleTimeout(now)) this.#speaks.pcp = false;
    if (this.#natPmp.handleTimeout(now)) this.#speaks["nat-pmp"] = false;
    this.#upnp.handleTimeout(now);
    this.#advance(now);
  }

  pollTransmit(): Transmit | undefined {
    if (this.#isOver) return undefined;
    return this.#pcp.pollTransmit() ?? this.#natPmp.pollTransmit() ?? this.#upnp.pollTransmit();
  }

  pollEvent(): GatewayProbeEvent | undefined {
    const request = this.#isOver ? undefined : this.#upnp.pollRequest();
    return request === undefined ? this.#events.shift() : { type: "request", request };
  }

  nextTimeout(): Instant {
    if (this.#isOver) return NEVER;
    return Math.min(this.#deadline, this.#pcp.nextTimeout(), this.#natPmp.nextTimeout(), this.#upnp.nextTimeout());
  }

  /** Any answer of its version shows that PCP is spoken: not every gateway knows ANNOUNCE, or likes everybody. */
  #handlePcp(payload: Uint8Array): void {
    const decoded = decodePcpAnswer(payload);
    if (!decoded.ok) this.ignored.malformed += 1;
    else this.#settle("pcp", this.#pcp, decoded.answer.type !== "other-version");
  }

  #handleNatPmp(payload: Uint8Array): void {
    const decoded = decodeNatPmpAnswer(payload);
    if (!decoded.ok) this.ignored.malformed += 1;
    else if (decoded.answer.type !== "address") this.ignored.unasked += 1;
    else {
      const { result, address } = decoded.answer;
      if (result === 0 && canBeExternal(address)) this.#addresses["nat-pmp"] = address;
      this.#settle("nat-pmp", this.#natPmp, NAT_PMP_RESULTS[result]?.kind !== "unsupported");
    }
  }

  #settle(protocol: PortMapProtocol, exchange: Exchange, speaks: boolean): void {
    exchange.stop();
    this.#speaks[protocol] = speaks;
  }

  #advance(now: Instant): void {
    const found = this.#upnp.pollResult();
    if (found !== undefined) {
      this.#speaks.upnp = found.speaks;
      this.#addresses.upnp = found.externalAddress;
    }
    const { pcp, "nat-pmp": natPmp, upnp } = this.#speaks;
    const isTold = pcp !== undefined && natPmp !== undefined && upnp !== undefined;
    if (!isTold && now < this.#deadline) return;
    this.#isOver = true;
    const protocols = (["pcp", "nat-pmp", "upnp"] as const).filter((protocol) => this.#speaks[protocol] === true);
    const address = this.#addresses["nat-pmp"] ?? this.#addresses.upnp;
    this.#events.push({ type: "offer", offer: { protocols, externalAddress: address } });
  }
}

interface UpnpOffer {
  readonly speaks: boolean;
  readonly externalAddress?: string;
}

function* askUpnp(gateway: string): Talk<UpnpOffer> {
  const found = yield* findService(gateway);
  if (found.type === "failed") return { speaks: false };
  const external = yield* externalAddress(found.service);
  return external.type === "address" ? { speaks: true, externalAddress: external.address } : { speaks: true };
}
