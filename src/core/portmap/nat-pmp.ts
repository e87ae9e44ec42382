import type { Datagram, Transmit } from "../machine.ts";
import type { Instant } from "../time.ts";
import { EpochWatch, natPmpEpochRule } from "./epoch.ts";
import { Exchange, HASTY_WAITS } from "./exchange.ts";
import { canBeExternal } from "./gateway-address.ts";
import {
  decodeNatPmpAnswer,
  encodeAddressRequest,
  encodeNatPmpMapRequest,
  NAT_PMP_RESULTS,
  type NatPmpAnswer,
} from "./nat-pmp-codec.ts";
import {
  type IgnoredAnswer,
  PORT_MAP_SOCKETS,
  type PortMapClient,
  type PortMapClientEvent,
  type PortMapFailureKind,
  type PortMapOptions,
} from "./protocol.ts";

/** §3.1: 250 ms, doubled each time, nine sends in all. Who has not that long says `abandon`. */
const WAITS: readonly number[] = Array.from({ length: 9 }, (_, send) => 250 * 2 ** send);
/** As for PCP: longer lifetimes are not believed. */
const MAX_LEASE_SECONDS = 24 * 3_600;

type AddressAnswer = Extract<NatPmpAnswer, { type: "address" }>;
type MapAnswer = Extract<NatPmpAnswer, { type: "map" }>;

/**
 * One mapping by NAT-PMP (RFC 6886): idle → asking for the external address → mapping → idle, or idle → unmapping →
 * idle. The address is asked for with each renewal, since a map answer does not tell it.
 */
export class NatPmpClient implements PortMapClient {
  readonly protocol = "nat-pmp";
  readonly ignored: Record<IgnoredAnswer, number> = { foreign: 0, malformed: 0, unasked: 0 };
  readonly #options: PortMapOptions;
  readonly #exchange: Exchange;
  readonly #epoch = new EpochWatch(natPmpEpochRule);
  readonly #events: PortMapClientEvent[] = [];
  #doing: "nothing" | "address" | "map" | "unmap" = "nothing";
  #address: string | undefined;
  /** The gateway gave the mapping, as far as we know. */
  #granted = false;
  /** A request for the mapping left and was neither granted nor refused: this one, or one before it. */
  #open = false;
  #wasOpen = false;
  /** The external port to wish for: what the gateway gave last, even if it has forgotten it (§3.7). */
  #wish: number;
  /** Of an `unmap`, or of the `map` before it: which of them, only a repetition tells. */
  #refusal: number | undefined;

  constructor(options: PortMapOptions) {
    this.#options = options;
    this.#wish = options.externalPort;
    this.#exchange = new Exchange(PORT_MAP_SOCKETS["nat-pmp"], options.gateway);
  }

  get mayHold(): boolean {
    return this.#open || this.#granted;
  }

  map(now: Instant): void {
    this.#doing = "address";
    this.#exchange.start(now, encodeAddressRequest(), WAITS);
  }

  unmap(now: Instant): void {
    this.#doing = "unmap";
    this.#refusal = undefined;
    this.#exchange.start(now, this.#request(0, 0), HASTY_WAITS);
  }

  abandon(): void {
    this.#doing = "nothing";
    this.#exchange.stop();
    this.#events.length = 0;
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    const isOwn = socket === PORT_MAP_SOCKETS["nat-pmp"];
    if (!isOwn && socket !== PORT_MAP_SOCKETS.announcements) return;
    if (!this.#exchange.isFromGateway(from)) {
      this.ignored.foreign += 1;
      return;
    }
    const decoded = decodeNatPmpAnswer(payload);
    if (decoded.ok) this.#handleAnswer(now, decoded.answer, isOwn);
    // On the common socket PCP's announcements are no mistake.
    else if (isOwn || decoded.kind !== "other-version") this.ignored.malformed += 1;
  }

  handleHttp(): void {}

  handleTimeout(now: Instant): void {
    if (!this.#exchange.handleTimeout(now)) return;
    if (this.#doing === "unmap" && this.#refusal !== undefined) this.#failWith(this.#refusal);
    else this.#fail("no-answer", this.#exchange.silence);
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

  #handleAnswer(now: Instant, answer: NatPmpAnswer, isOwn: boolean): void {
    if (!isOwn) this.#handleAnnouncement(now, answer);
    else if (!this.#isAsked(answer)) this.ignored.unasked += 1;
    else {
      this.#observeEpoch(now, answer.epochSeconds);
      if (answer.result !== 0) this.#handleRefusal(answer.result);
      else if (answer.type === "address") this.#takeAddress(now, answer);
      else this.#takeMapping(answer);
    }
  }

  /** §3.2.1: the gateway tells all at once its epoch and its address, when it starts and when the address changes. */
  #handleAnnouncement(now: Instant, answer: NatPmpAnswer): void {
    if (answer.type !== "address" || answer.result !== 0) {
      this.ignored.unasked += 1;
      return;
    }
    const wasGranted = this.#granted;
    this.#observeEpoch(now, answer.epochSeconds);
    // It still holds the mapping, but what we know of it is wrong.
    if (this.#granted && wasGranted && answer.address !== this.#address) this.#events.push({ type: "lost" });
  }

  /** Late answers of another kind show by their lifetime; beside an error there is nothing to compare. */
  #isAsked(answer: NatPmpAnswer): boolean {
    if (answer.type === "address") return this.#doing === "address";
    if (this.#doing !== "map" && this.#doing !== "unmap") return false;
    if (answer.transport !== this.#options.transport) return false;
    if (answer.result !== 0) return true;
    return (
      answer.internalPort === this.#options.internalPort && (answer.lifetimeSeconds === 0) === (this.#doing === "unmap")
    );
  }

  #observeEpoch(now: Instant, seconds: number): void {
    if (!this.#epoch.observe(now, seconds) || !this.#granted) return;
    this.#granted = false;
    this.#events.push({ type: "lost" });
  }

  #takeAddress(now: Instant, { address }: AddressAnswer): void {
    if (!canBeExternal(address)) {
      this.#fail("no-external-address", `gave the external address ${address}`);
      return;
    }
    this.#address = address;
    this.#doing = "map";
    this.#wasOpen = this.#open;
    this.#open = true;
    this.#exchange.start(now, this.#request(this.#wish, this.#options.leaseSeconds), WAITS);
  }

  #takeMapping({ externalPort, lifetimeSeconds }: MapAnswer): void {
    const address = this.#address;
    if (this.#doing === "unmap") this.#finishUnmap();
    else if (address === undefined || externalPort === 0)
      this.#fail("bad-answer", `gave the external port ${externalPort}`);
    else {
      this.#settle();
      this.#open = false;
      this.#granted = true;
      this.#wish = externalPort;
      const leaseSeconds = Math.min(lifetimeSeconds, MAX_LEASE_SECONDS);
      this.#events.push({ type: "mapped", external: { address, port: externalPort }, leaseSeconds });
    }
  }

  #finishUnmap(): void {
    this.#settle();
    this.#open = false;
    this.#granted = false;
    this.#events.push({ type: "unmapped" });
  }

  #handleRefusal(result: number): void {
    if (this.#doing === "unmap") {
      this.#refusal = result;
      return;
    }
    if (this.#doing === "map") this.#open = this.#wasOpen || this.#exchange.isRepeated;
    this.#failWith(result);
  }

  #failWith(result: number): void {
    const { name, kind } = NAT_PMP_RESULTS[result] ?? { name: "a code without a name", kind: "bad-answer" };
    this.#fail(kind, `refused with ${name} (${result})`);
  }

  #fail(kind: PortMapFailureKind, message: string): void {
    this.#settle();
    this.#events.push({ type: "failed", kind, message });
  }

  #settle(): void {
    this.#doing = "nothing";
    this.#exchange.stop();
  }

  #request(externalPort: number, lifetimeSeconds: number): Uint8Array {
    const { transport, internalPort } = this.#options;
    return encodeNatPmpMapRequest({ transport, internalPort, externalPort, lifetimeSeconds });
  }
}
