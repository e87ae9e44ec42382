import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import { type PunchBudget, TARGET_LIMITS } from "./budget.ts";
import { estimatePunch, missProbability } from "./estimate.ts";
import type { ProbeBody, ProbeCodec, ProbeError, ProbeKind } from "./probe.ts";
import { judgeFailure, noRejects, type PunchEvent, type PunchHit } from "./punch-event.ts";
import { randomNonce } from "./random-nonce.ts";
import type { PunchSettings } from "./settings.ts";
import { TtlPlan } from "./ttl-plan.ts";

export interface Nat4Options {
  readonly now: Instant;
  /** The nat3 side's public address and port. */
  readonly target: Endpoint;
  /** `socketCount` is how many sockets the machine was given. */
  readonly settings: PunchSettings;
  readonly codec: ProbeCodec;
  readonly budget: PunchBudget;
  readonly random: RandomBytes;
  /** Carried by every packet; `MAX_CONTENT_BYTES` at most. */
  readonly content?: string;
  /** Whether the nat3 side's NAT gives its socket one port for all destinations, where somebody has measured it. */
  readonly portFixed?: boolean;
}

/** A probe that got through is answered so often, past the deadline if need be; the other side repeats it, too. */
const HIT_MS = 200;
const HIT_TRIES = 5;
/** How long repeated confirms are answered after the two have settled. */
const LINGER_MS = 1_000;

/** A probe that got through to a socket, whoever sent it and whenever: it proves nothing yet. */
interface Heard {
  readonly to: Endpoint;
  readonly echo: bigint;
  readonly packet: number;
  triesLeft: number;
  nextAt: Instant;
}

/** `answering`: the deadline has passed, but probes that came before it are still being answered. */
type State =
  | { readonly name: "opening" }
  | { readonly name: "answering" }
  | { readonly name: "settled"; readonly hit: PunchHit; readonly echo: bigint; readonly until: Instant }
  | { readonly name: "over" };

/**
 * The side behind a NAT that gives each destination another port: many sockets, each of which opens one mapping towards
 * the nat3 side's fixed address, so that one of the ports tried there fits. The packets that open them die before the
 * other NAT (`TtlPlan`) and are repeated to keep the mappings; everything else goes with the usual time to live.
 *
 * A probe is answered and nothing else: it might be a recorded one. Only a confirm that carries our nonce of this run
 * settles it, once, for the socket that it came to.
 *
 * Left out on purpose: guessing the ports (`Nat3`), closing sockets (the owner's, after `confirmed`). Source: seed
 * hard-nat, DESIGN "Hard-NAT".
 */
export class Nat4 implements Machine<PunchEvent> {
  /** What was heard from the target and not believed. */
  readonly rejected: Record<ProbeError, number> = noRejects();
  readonly #options: Nat4Options;
  readonly #ttls: TtlPlan;
  readonly #nonce: bigint;
  readonly #spacingMs: number;
  readonly #transmits: Transmit[] = [];
  readonly #events: PunchEvent[] = [];
  readonly #heard = new Map<number, Heard>();
  #state: State = { name: "opening" };
  #nextSocket = 0;
  #openAt: Instant;
  /** Sockets whose mapping has been granted, from 0. */
  #mappings = 0;
  #packets = 0;

  constructor(options: Nat4Options) {
    this.#options = options;
    this.#ttls = new TtlPlan(options.settings);
    this.#nonce = randomNonce(options.random);
    this.#spacingMs = options.settings.intervalMs / options.settings.socketCount;
    this.#openAt = options.now;
    this.handleTimeout(options.now);
  }

  /** Sent so far, of all kinds. */
  get packets(): number {
    return this.#packets;
  }

  /** Mappings opened so far, one a socket, each one port of our NAT. */
  get ports(): number {
    return this.#mappings;
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    if (from.address !== this.#options.target.address || this.#state.name === "over") return;
    const decoded = this.#options.codec.decode(payload);
    if (!decoded.ok) {
      this.rejected[decoded.kind] += 1;
      return;
    }
    const { kind, body } = decoded;
    if (kind === "probe") this.#onProbe(now, socket, from, body);
    // Whoever knows our nonce has heard us in this run.
    else if (body.echo !== this.#nonceOf(socket)) return;
    else if (kind === "confirm") this.#onConfirm(now, socket, from, body);
    else if (kind === "confirmed") this.#onConfirmed(socket);
  }

  handleTimeout(now: Instant): void {
    switch (this.#state.name) {
      case "opening":
      case "answering":
        for (const [socket, heard] of this.#heard) if (now >= heard.nextAt) this.#answer(now, socket, heard);
        if (now < this.#deadline) this.#openMappings(now);
        else if (this.#answersAt < NEVER) this.#state = { name: "answering" };
        else this.#fail(now);
        return;
      case "settled":
        if (now >= this.#state.until) this.#finish();
        return;
      case "over":
        return;
      default:
        this.#state satisfies never;
    }
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): PunchEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    switch (this.#state.name) {
      case "opening":
        return Math.min(this.#openAt, this.#answersAt, this.#deadline);
      case "answering":
        return this.#answersAt;
      case "settled":
        return this.#state.until;
      case "over":
        return NEVER;
      default:
        return this.#state satisfies never;
    }
  }

  get #deadline(): Instant {
    return this.#options.now + this.#options.settings.windowMs;
  }

  get #answersAt(): Instant {
    let at = NEVER;
    for (const { nextAt } of this.#heard.values()) at = Math.min(at, nextAt);
    return at;
  }

  /** Another one for each socket: what was said at one of them means nothing at another. */
  #nonceOf(socket: number): bigint {
    return BigInt.asUintN(64, this.#nonce + BigInt(socket));
  }

  /** One packet for each socket, evenly over the interval, then again: first they open the mappings, later keep them. */
  #openMappings(now: Instant): void {
    const { settings, budget } = this.#options;
    while (this.#openAt <= now) {
      const grantedAt = budget.nextAt(now);
      if (grantedAt > now) {
        this.#openAt = grantedAt;
        return;
      }
      if (this.#nextSocket === this.#mappings && !this.#openAnother(now)) this.#nextSocket = 0;
      if (this.#mappings === 0) {
        this.#openAt = now + settings.intervalMs;
        return;
      }
      budget.take(now);
      this.#open(now, this.#nextSocket);
      this.#nextSocket = (this.#nextSocket + 1) % settings.socketCount;
      // A machine that slept does not make up for it.
      this.#openAt = Math.max(this.#openAt, now - settings.intervalMs) + this.#spacingMs;
    }
  }

  #open(now: Instant, socket: number): void {
    const ttl = this.#ttls.ttl(socket, now - this.#options.now);
    this.#send("probe", socket, this.#options.target, { echo: 0n, number: this.#packets + 1 }, ttl);
  }

  #openAnother(now: Instant): boolean {
    if (this.#mappings === this.#options.settings.socketCount || !this.#options.budget.takeMapping(now)) return false;
    this.#mappings += 1;
    return true;
  }

  #onProbe(now: Instant, socket: number, to: Endpoint, { nonce, number: packet, content }: ProbeBody): void {
    if (this.#state.name !== "opening") return;
    if (!this.#heard.has(socket))
      this.#events.push({ type: "hit", hit: { socket, remote: to, packet, sent: this.#packets, content } });
    const heard: Heard = { to, echo: nonce, packet, triesLeft: HIT_TRIES, nextAt: now };
    this.#heard.set(socket, heard);
    this.#answer(now, socket, heard);
  }

  #answer(now: Instant, socket: number, heard: Heard): void {
    if (this.#options.budget.take(now)) this.#send("hit", socket, heard.to, { echo: heard.echo, number: heard.packet });
    heard.triesLeft -= 1;
    heard.nextAt = heard.triesLeft === 0 ? NEVER : now + HIT_MS;
  }

  #onConfirm(now: Instant, socket: number, remote: Endpoint, { nonce, number: packet, content }: ProbeBody): void {
    const state = this.#state;
    if (state.name === "opening" || state.name === "answering") {
      const hit: PunchHit = { socket, remote, packet, sent: this.#packets, content };
      this.#state = { name: "settled", hit, echo: nonce, until: now + LINGER_MS };
      this.#heard.clear();
      this.#options.budget.release(now, this.#mappings);
      this.#events.push({ type: "confirmed", hit });
    } else if (state.name !== "settled" || state.hit.socket !== socket || state.echo !== nonce) return;
    this.#send("confirmed", socket, remote, { echo: nonce, number: packet });
  }

  #onConfirmed(socket: number): void {
    if (this.#state.name === "settled" && this.#state.hit.socket === socket) this.#finish();
  }

  #finish(): void {
    this.#state = { name: "over" };
    this.#events.push({ type: "done" });
  }

  #send(
    kind: ProbeKind,
    socket: number,
    to: Endpoint,
    { echo, number }: Pick<ProbeBody, "echo" | "number">,
    ttl?: number,
  ): void {
    const { codec, content = "" } = this.#options;
    const payload = codec.encode(kind, { nonce: this.#nonceOf(socket), echo, number, content });
    this.#packets += 1;
    this.#transmits.push(ttl === undefined ? { socket, to, payload } : { socket, to, payload, ttl });
  }

  /** The other side's count is not known here: what it sends under the same settings is what it could have tried. */
  #fail(now: Instant): void {
    const { settings, portFixed, budget } = this.#options;
    const failure = judgeFailure({
      missProbability: missProbability(this.#mappings, estimatePunch(settings, TARGET_LIMITS).ports),
      packets: this.#packets,
      hit: this.#heard.size > 0,
      rejected: this.rejected,
      portFixed,
    });
    this.#events.push({ type: "failed", failure });
    this.#state = { name: "over" };
    this.#heard.clear();
    budget.release(now, this.#mappings);
  }
}
