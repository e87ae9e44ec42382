import type { Datagram, Transmit } from "../machine.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { Instant } from "../time.ts";
import { uniform } from "../uniform.ts";
import { EpochWatch, pcpEpochRule } from "./epoch.ts";
import { Exchange, HASTY_WAITS } from "./exchange.ts";
import { canBeExternal } from "./gateway-address.ts";
import { decodePcpAnswer, encodeMapRequest, type PcpAnswer, type PcpMapping, type PcpMapRequest } from "./pcp-codec.ts";
import { PCP_RESULTS } from "./pcp-results.ts";
import {
  type IgnoredAnswer,
  PORT_MAP_SOCKETS,
  type PortMapClient,
  type PortMapClientEvent,
  type PortMapFailureKind,
  type PortMapOptions,
} from "./protocol.ts";

/** §8.1.1: the first repetition, and how often the request leaves in all; the RFC would never give up. */
const FIRST_WAIT_MS = 3_000;
const SENDS = 3;
/** §8.3: longer lifetimes are not believed, so that a bad answer does no lasting harm. */
const MAX_LEASE_SECONDS = 24 * 3_600;
const MAX_ERROR_SECONDS = 30 * 60;
const RESULT_UNSUPP_VERSION = 1;
const RESULT_MALFORMED_REQUEST = 3;

type MapAnswer = Extract<PcpAnswer, { type: "map" }>;

/**
 * One mapping by PCP (RFC 6887, MAP): idle → mapping or unmapping → idle.
 *
 * The nonce is the same for all requests of one mapping; who repeats it after a restart gets the old mapping back, who
 * does not know it is refused (§11.3). A refusal of a renewal leaves the mapping as it is.
 */
export class PcpClient implements PortMapClient {
  readonly protocol = "pcp";
  readonly ignored: Record<IgnoredAnswer, number> = { foreign: 0, malformed: 0, unasked: 0 };
  readonly #options: PortMapOptions;
  readonly #exchange: Exchange;
  readonly #epoch = new EpochWatch(pcpEpochRule);
  readonly #events: PortMapClientEvent[] = [];
  #doing: "nothing" | "map" | "unmap" = "nothing";
  /** What the gateway gave, as far as we know. */
  #granted: Endpoint | undefined;
  /** A request for the mapping left and was neither granted nor refused: this one, or one before it. */
  #open = false;
  #wasOpen = false;
  /** What to wish for: what the gateway gave last, even if it has forgotten it (§16.3.1). */
  #wish: { address?: string; port: number };

  constructor(options: PortMapOptions) {
    this.#options = options;
    this.#wish = { port: options.externalPort };
    this.#exchange = new Exchange(PORT_MAP_SOCKETS.pcp, options.gateway);
  }

  get mayHold(): boolean {
    return this.#open || this.#granted !== undefined;
  }

  map(now: Instant): void {
    this.#doing = "map";
    this.#wasOpen = this.#open;
    this.#open = true;
    this.#exchange.start(now, this.#request(this.#options.leaseSeconds, this.#wish), this.#waits());
  }

  unmap(now: Instant): void {
    this.#doing = "unmap";
    this.#exchange.start(now, this.#request(0, undefined), HASTY_WAITS);
  }

  abandon(): void {
    this.#doing = "nothing";
    this.#exchange.stop();
    this.#events.length = 0;
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    const isOwn = socket === PORT_MAP_SOCKETS.pcp;
    if (!isOwn && socket !== PORT_MAP_SOCKETS.announcements) return;
    if (!this.#exchange.isFromGateway(from)) {
      this.ignored.foreign += 1;
      return;
    }
    const decoded = decodePcpAnswer(payload);
    if (!decoded.ok) this.ignored.malformed += 1;
    else if (decoded.answer.type === "announce") this.#handleAnnouncement(now, decoded.answer);
    else if (isOwn) this.#handleAnswer(now, decoded.answer);
  }

  handleHttp(): void {}

  handleTimeout(now: Instant): void {
    if (!this.#exchange.handleTimeout(now)) return;
    this.#fail("no-answer", this.#exchange.silence);
  }

  pollTransmit(): Transmit | undefined {
    return this.#exchange.pollTransmit();
  }

  pollEvent(): PortMapClientEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    return this.#exchange.nextTimeout();
  }

  #handleAnnouncement(now: Instant, answer: { result: number; epochSeconds: number }): void {
    if (answer.result === 0) this.#observeEpoch(now, answer.epochSeconds);
  }

  #handleAnswer(now: Instant, answer: Exclude<PcpAnswer, { type: "announce" }>): void {
    if (this.#doing === "nothing") this.ignored.unasked += 1;
    else if (answer.type === "map") this.#handleMapAnswer(now, answer);
    // Version 0 without an error is an answer to somebody's NAT-PMP.
    else if (!answer.isError) this.ignored.unasked += 1;
    else this.#refuse("unsupported", `answered with version ${answer.version} instead of 2`);
  }

  #handleMapAnswer(now: Instant, answer: MapAnswer): void {
    if (!this.#isOurs(answer)) {
      this.ignored.unasked += 1;
      return;
    }
    this.#observeEpoch(now, answer.epochSeconds);
    if (answer.result !== 0 || answer.mapping === undefined) this.#handleRefusal(answer);
    else if (this.#doing === "unmap") this.#finishUnmap();
    else this.#finishMap(answer.mapping.external, answer.lifetimeSeconds);
  }

  /**
   * §11.4: nonce, protocol and internal port must be ours. Late answers to what was asked before show by their lifetime,
   * refusals by the external port, which they repeat: `unmap` wishes for none.
   */
  #isOurs({ result, lifetimeSeconds, mapping }: MapAnswer): boolean {
    // A gateway that could not read the request cannot repeat it.
    if (mapping === undefined) return result === RESULT_UNSUPP_VERSION || result === RESULT_MALFORMED_REQUEST;
    if (!this.#isOurMapping(mapping)) return false;
    const isUnmap = this.#doing === "unmap";
    if (result === 0) return (lifetimeSeconds === 0) === isUnmap;
    return mapping.external.port === (isUnmap ? 0 : this.#wish.port);
  }

  #isOurMapping({ nonce, transport, internalPort }: PcpMapping): boolean {
    const ours = this.#options;
    return (
      transport === ours.transport &&
      internalPort === ours.internalPort &&
      nonce.every((byte, index) => byte === ours.nonce[index])
    );
  }

  #observeEpoch(now: Instant, seconds: number): void {
    if (!this.#epoch.observe(now, seconds) || this.#granted === undefined) return;
    this.#granted = undefined;
    this.#events.push({ type: "lost" });
  }

  #finishMap(external: Endpoint, lifetimeSeconds: number): void {
    if (!canBeExternal(external.address) || external.port === 0) {
      this.#fail("no-external-address", `gave the external address ${formatEndpoint(external)}`);
      return;
    }
    this.#settle();
    this.#open = false;
    this.#granted = external;
    this.#wish = external;
    this.#events.push({ type: "mapped", external, leaseSeconds: Math.min(lifetimeSeconds, MAX_LEASE_SECONDS) });
  }

  #finishUnmap(): void {
    this.#settle();
    this.#open = false;
    this.#granted = undefined;
    this.#events.push({ type: "unmapped" });
  }

  #handleRefusal({ result, lifetimeSeconds }: MapAnswer): void {
    const { name, kind } = PCP_RESULTS[result] ?? { name: "a code without a name", kind: "bad-answer" };
    // With another wish it may work.
    if (kind === "conflict") this.#wish = { port: 0 };
    this.#refuse(kind, `refused with ${name} (${result})`, Math.min(lifetimeSeconds, MAX_ERROR_SECONDS));
  }

  #refuse(kind: PortMapFailureKind, message: string, retryAfterSeconds = 0): void {
    if (this.#doing === "map") this.#open = this.#wasOpen || this.#exchange.isRepeated;
    this.#fail(kind, message, retryAfterSeconds);
  }

  #fail(kind: PortMapFailureKind, message: string, retryAfterSeconds = 0): void {
    this.#settle();
    this.#events.push({ type: "failed", kind, message, ...(retryAfterSeconds > 0 && { retryAfterSeconds }) });
  }

  #settle(): void {
    this.#doing = "nothing";
    this.#exchange.stop();
  }

  #request(lifetimeSeconds: number, external: PcpMapRequest["external"]): Uint8Array {
    const { localAddress, nonce, transport, internalPort } = this.#options;
    return encodeMapRequest({
      lifetimeSeconds,
      clientAddress: localAddress,
      nonce,
      transport,
      internalPort,
      external,
    });
  }

  /** §8.1.1: doubling, each wait spread by a tenth, so that hosts that start together do not ask together. */
  #waits(): number[] {
    const waits: number[] = [];
    let wait = FIRST_WAIT_MS / 2;
    for (let send = 0; send < SENDS; send++) {
      wait = (0.9 + uniform(this.#options.random) / 5) * 2 * wait;
      waits.push(wait);
    }
    return waits;
  }
}
