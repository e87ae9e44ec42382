import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { PunchBudget } from "./budget.ts";
import { missProbability } from "./estimate.ts";
import type { PortSource } from "./ports.ts";
import type { ProbeBody, ProbeCodec, ProbeError, ProbeKind } from "./probe.ts";
import { judgeFailure, noRejects, type PunchEvent, type PunchHit } from "./punch-event.ts";
import { randomNonce } from "./random-nonce.ts";
import { Scan } from "./scan.ts";
import type { PunchSettings } from "./settings.ts";

export interface Nat3Options {
  readonly now: Instant;
  /** The nat4 side's public address. Only what comes from it counts. */
  readonly target: string;
  readonly settings: PunchSettings;
  readonly codec: ProbeCodec;
  readonly ports: PortSource;
  readonly budget: PunchBudget;
  readonly random: RandomBytes;
  /** Carried by every packet; `MAX_CONTENT_BYTES` at most. */
  readonly content?: string;
  /** Whether our own NAT gives this socket one port for all destinations, where somebody has measured it. */
  readonly portFixed?: boolean;
}

/** A confirm that gets no answer is repeated so often, then the pair is given up and the scan goes on. */
export const CONFIRM_MS = 100;
export const CONFIRM_TRIES = 10;

type State =
  | { readonly name: "scanning" }
  | { readonly name: "confirming"; readonly hit: PunchHit; readonly echo: bigint; triesLeft: number; nextAt: Instant }
  | { readonly name: "over" };

/**
 * The side with a fixed address: one socket, which tries ports of the nat4 side's address until one of them is a mapping
 * that the nat4 side has opened towards us. Of several hits it chooses the first; what it confirms is what counts for
 * both. Only a hit that carries our nonce of this run stops the scan, so nothing forged or replayed does.
 *
 * Left out on purpose: opening the other NAT (`Nat4`), finding the addresses (STUN), closing sockets (the owner's, after
 * `confirmed`). Source: seed hard-nat, DESIGN "Hard-NAT".
 */
export class Nat3 implements Machine<PunchEvent> {
  /** What was heard from the target and not believed. */
  readonly rejected: Record<ProbeError, number> = noRejects();
  readonly #options: Nat3Options;
  readonly #scan: Scan;
  readonly #nonce: bigint;
  readonly #deadline: Instant;
  readonly #transmits: Transmit[] = [];
  readonly #events: PunchEvent[] = [];
  #state: State = { name: "scanning" };
  #packets = 0;
  #wasHit = false;

  constructor(options: Nat3Options) {
    this.#options = options;
    this.#scan = new Scan(options.settings, options.ports, options.budget, options.now);
    this.#nonce = randomNonce(options.random);
    this.#deadline = options.now + options.settings.windowMs;
    this.handleTimeout(options.now);
  }

  /** Sent so far, of all kinds. */
  get packets(): number {
    return this.#packets;
  }

  /** Different ports tried so far. */
  get ports(): number {
    return this.#scan.ports;
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    if (from.address !== this.#options.target || this.#state.name === "over") return;
    const decoded = this.#options.codec.decode(payload);
    if (!decoded.ok) {
      this.rejected[decoded.kind] += 1;
      return;
    }
    const { kind, body } = decoded;
    if (kind === "probe") this.#answerProbe(now, from);
    // Whoever knows our nonce has heard us in this run.
    else if (body.echo !== this.#nonce) return;
    else if (kind === "hit") this.#onHit(now, socket, from, body);
    else if (kind === "confirmed") this.#onConfirmed(now, from, body);
  }

  handleTimeout(now: Instant): void {
    const state = this.#state;
    if (state.name === "confirming" && now >= state.nextAt) this.#confirm(now, state);
    if (this.#state.name !== "scanning") return;
    if (now >= this.#deadline) this.#fail(now);
    else for (let port = this.#scan.poll(now); port !== undefined; port = this.#scan.poll(now)) this.#probe(port);
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): PunchEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    switch (this.#state.name) {
      case "scanning":
        return Math.min(this.#scan.nextAt, this.#deadline);
      case "confirming":
        return this.#state.nextAt;
      case "over":
        return NEVER;
      default:
        return this.#state satisfies never;
    }
  }

  /** The other side's packet came through our NAT: it sends with a TTL that reaches us. Its port is a good one to try. */
  #answerProbe(now: Instant, from: Endpoint): void {
    if (this.#state.name === "scanning" && this.#scan.also(now, from.port)) this.#probe(from.port);
  }

  #onHit(now: Instant, socket: number, remote: Endpoint, body: ProbeBody): void {
    // A second socket that was hit, or a repetition: the first one stays chosen.
    if (this.#state.name !== "scanning") return;
    const { number: packet, content } = body;
    const ports = this.#scan.placeOf(remote.port);
    const hit: PunchHit = { socket, remote, packet, ports, sent: this.#packets, content };
    this.#events.push({ type: "hit", hit });
    this.#wasHit = true;
    this.#confirm(now, { name: "confirming", hit, echo: body.nonce, triesLeft: CONFIRM_TRIES, nextAt: now });
  }

  #onConfirmed(now: Instant, from: Endpoint, body: ProbeBody): void {
    const state = this.#state;
    if (state.name !== "confirming" || body.nonce !== state.echo || !sameEndpoint(from, state.hit.remote)) return;
    this.#send("confirmed", state.hit.remote, { echo: state.echo, number: state.hit.packet });
    this.#events.push({ type: "confirmed", hit: state.hit }, { type: "done" });
    this.#end(now);
  }

  #confirm(now: Instant, state: Extract<State, { name: "confirming" }>): void {
    if (state.triesLeft === 0) {
      this.#state = { name: "scanning" };
      this.#scan.resume(now);
      return;
    }
    this.#send("confirm", state.hit.remote, { echo: state.echo, number: state.hit.packet });
    this.#state = { ...state, triesLeft: state.triesLeft - 1, nextAt: now + CONFIRM_MS };
  }

  #probe(port: number): void {
    this.#send("probe", { address: this.#options.target, port }, { echo: 0n, number: this.#packets + 1 });
  }

  #send(kind: ProbeKind, to: Endpoint, { echo, number }: Pick<ProbeBody, "echo" | "number">): void {
    const { codec, content = "" } = this.#options;
    this.#packets += 1;
    this.#transmits.push({ socket: 0, to, payload: codec.encode(kind, { nonce: this.#nonce, echo, number, content }) });
  }

  #fail(now: Instant): void {
    const { settings, portFixed } = this.#options;
    const failure = judgeFailure({
      missProbability: missProbability(settings.socketCount, this.#scan.ports),
      packets: this.#packets,
      hit: this.#wasHit,
      rejected: this.rejected,
      portFixed,
    });
    this.#events.push({ type: "failed", failure });
    this.#end(now);
  }

  #end(now: Instant): void {
    this.#state = { name: "over" };
    this.#scan.release(now);
  }
}
