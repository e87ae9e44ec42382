import type { Datagram, RandomBytes } from "../machine.ts";
import { type Endpoint, formatEndpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import { PunchBudget, TARGET_LIMITS } from "../punch/budget.ts";
import { Nat3 } from "../punch/nat3.ts";
import { Nat4 } from "../punch/nat4.ts";
import { portSource } from "../punch/ports.ts";
import { type PunchRole, tokenCodec } from "../punch/probe.ts";
import type { PunchEvent, PunchHit } from "../punch/punch-event.ts";
import type { PunchSettings } from "../punch/settings.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Outbox } from "./outbox.ts";
import type { ServerReflex } from "./server-reflex.ts";
import type { Trace } from "./trace.ts";

export interface HardNatParts {
  readonly random: RandomBytes;
  readonly out: Outbox;
  readonly trace: Trace;
  readonly reflex: ServerReflex;
  /** What all punches of the process share. */
  readonly overall: PunchBudget;
  /** The shared socket: what nat3 punches from, and what the server is asked about. */
  readonly socket: number;
  /** Keys the probes: both ends of the pipe know it, and nobody else. */
  readonly probeKey: Uint8Array;
  readonly attempt: number;
  readonly settings: PunchSettings;
  /** Whether the nat3 side's NAT was measured to keep one port for all destinations. */
  readonly portFixed: boolean | undefined;
  /** `punch_request`. */
  readonly request: (now: Instant, reflex: Endpoint) => void;
}

/** The fan of the nat4 side: numbers from `first`. */
interface Fan {
  readonly first: number;
  readonly count: number;
}

type State =
  /** Sockets are being opened (nat4), the server is being asked as whom it sees us. */
  | { readonly name: "preparing"; readonly until: Instant }
  /** Of the server: until both ends have asked to be introduced. */
  | { readonly name: "asked"; readonly until: Instant }
  | { readonly name: "introduced"; readonly target: Endpoint; readonly at: Instant }
  | { readonly name: "punching"; readonly machine: Nat3 | Nat4 }
  | { readonly name: "over" };

/** Sockets and the server's answer: both are a matter of milliseconds, or of a machine in trouble. */
const PREPARE_MS = 5_000;
/** The other end's ICE may fail up to five seconds later than ours. */
const INTRODUCE_MS = 12_000;

export type HardNatEvent =
  | { readonly type: "found"; readonly address: DirectAddress }
  | { readonly type: "failed"; readonly cause: string };

/**
 * Hard-NAT punching between two ends of a pipe: gets ready, has the server introduce both, then runs `Nat3` or `Nat4`
 * on the process's sockets. What it finds is an address and nothing more, until the pipe has proven it.
 *
 * Sockets that it asked for are closed when it ends, all but the one that `release` was told to keep. Source: DESIGN
 * "Hard-NAT", seed hard-nat.
 */
export class HardNat {
  readonly role: PunchRole;
  readonly #parts: HardNatParts;
  readonly #budget: PunchBudget;
  readonly #events: HardNatEvent[] = [];
  #state: State;
  #fan: Fan | undefined;
  #isFanOpen: boolean;
  /** What is left of the fan after a socket was found. */
  #kept: number | undefined;
  /** The machine has given its mappings back. */
  #hasSettled = false;
  #target: Endpoint | undefined;
  #packets = 0;

  constructor(now: Instant, role: PunchRole, parts: HardNatParts) {
    this.role = role;
    this.#parts = parts;
    this.#budget = new PunchBudget(TARGET_LIMITS, parts.overall);
    this.#state = { name: "preparing", until: now + PREPARE_MS };
    this.#isFanOpen = role === "nat3";
    if (role === "nat4") {
      const count = parts.settings.socketCount;
      this.#fan = { first: parts.out.openSockets(count), count };
    }
    parts.reflex.refresh(now, parts.socket);
    parts.trace.step(now, "hardnat-begun", `as ${role}`);
  }

  get packets(): number {
    return this.#state.name === "punching" ? this.#state.machine.packets : this.#packets;
  }

  get isOver(): boolean {
    return this.#state.name === "over";
  }

  /** `count` of the sockets that were asked for from `first` on are there. */
  socketsOpened(now: Instant, first: number, count: number): boolean {
    if (this.#fan?.first !== first || this.#isFanOpen) return false;
    this.#isFanOpen = true;
    this.#fan = { first, count: Math.min(count, this.#fan.count) };
    if (this.#fan.count === 0) {
      this.#fan = undefined;
      this.#fail(now, "no-sockets");
    } else this.handleTimeout(now);
    return true;
  }

  /** True: it had asked to be. */
  introduced(now: Instant, role: PunchRole, target: Endpoint, delayMs: number): boolean {
    if (this.#state.name !== "asked" || role !== this.role) return false;
    this.#target = target;
    this.#state = { name: "introduced", target, at: now + delayMs };
    this.#parts.trace.step(now, "introduced", `to ${target.address}, in ${Math.round(delayMs)} ms`);
    this.handleTimeout(now);
    return true;
  }

  /** True: it had asked, and ends. */
  rejected(now: Instant, reason: string): boolean {
    if (this.#state.name !== "asked") return false;
    this.#fail(now, reason);
    return true;
  }

  /** Whatever came that is no STUN and not sealed. True: it came to a socket of this punch. */
  handleDatagram(now: Instant, { socket, from, payload }: Datagram): boolean {
    const own = this.#ownNumber(socket);
    if (own === undefined) return false;
    if (this.#state.name === "punching") {
      this.#state.machine.handleDatagram(now, { socket: own, from, payload });
      this.#pump(now, this.#state.machine);
    }
    return true;
  }

  handleTimeout(now: Instant): void {
    const state = this.#state;
    switch (state.name) {
      case "preparing":
        this.#prepare(now, state.until);
        return;
      case "asked":
        if (now >= state.until) this.#fail(now, "not-introduced");
        return;
      case "introduced":
        if (now >= state.at) this.#punch(now, state.target);
        return;
      case "punching":
        if (now >= state.machine.nextTimeout()) state.machine.handleTimeout(now);
        this.#pump(now, state.machine);
        return;
      case "over":
        return;
      default:
        state satisfies never;
    }
  }

  nextTimeout(): Instant {
    switch (this.#state.name) {
      case "preparing":
      case "asked":
        return this.#state.until;
      case "introduced":
        return this.#state.at;
      case "punching":
        return this.#state.machine.nextTimeout();
      case "over":
        return NEVER;
      default:
        return this.#state satisfies never;
    }
  }

  /** Whether it could have found this address, for an owner who has it proven already. */
  isFrom({ socket, remote }: DirectAddress): boolean {
    const target = this.#target;
    return target !== undefined && remote.address === target.address && this.#ownNumber(socket) !== undefined;
  }

  pollEvent(): HardNatEvent | undefined {
    return this.#events.shift();
  }

  /** Ends it, whatever it was at. The socket `keep` of the fan stays open and is the caller's from now on. */
  release(now: Instant, keep?: number): void {
    this.#end(now);
    this.#events.length = 0;
    if (this.#fan === undefined) return;
    const { first, count } = this.#fan;
    this.#fan = undefined;
    if (this.#kept === undefined) this.#parts.out.closeSockets(first, count, keep);
    else if (this.#kept !== keep) this.#parts.out.closeSockets(this.#kept, 1);
  }

  #prepare(now: Instant, until: Instant): void {
    const { reflex, request, trace } = this.#parts;
    if (now >= until) {
      this.#fail(now, this.#isFanOpen ? "no-reflex" : "no-sockets");
      return;
    }
    if (!this.#isFanOpen || !reflex.isSettled) return;
    if (reflex.mapped === undefined) {
      this.#fail(now, "no-reflex");
      return;
    }
    this.#state = { name: "asked", until: now + INTRODUCE_MS };
    trace.step(now, "punch-requested", `as ${this.role}, seen at ${formatEndpoint(reflex.mapped)}`);
    request(now, reflex.mapped);
  }

  #punch(now: Instant, target: Endpoint): void {
    const { random, settings, probeKey, attempt, portFixed } = this.#parts;
    // The attempt is part of the key: what was recorded in an earlier one opens nothing in this.
    const codec = tokenCodec(this.role, `${attempt} ${probeKey.toHex()}`);
    const common = { now, codec, random, budget: this.#budget, ...(portFixed !== undefined && { portFixed }) };
    const machine =
      this.#fan === undefined
        ? new Nat3({ ...common, settings, target: target.address, ports: portSource("permuted", random) })
        : new Nat4({ ...common, settings: { ...settings, socketCount: this.#fan.count }, target });
    this.#state = { name: "punching", machine };
    this.#parts.trace.step(now, "punching", this.role === "nat3" ? target.address : formatEndpoint(target));
    this.#pump(now, machine);
  }

  #pump(now: Instant, machine: Nat3 | Nat4): void {
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit())
      this.#parts.out.transmits.push({ ...next, socket: this.#theirNumber(next.socket) });
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) this.#handle(now, event);
  }

  #handle(now: Instant, event: PunchEvent): void {
    switch (event.type) {
      case "hit":
        this.#parts.trace.step(now, "hit", `${formatEndpoint(event.hit.remote)}, packet ${event.hit.packet}`);
        return;
      case "confirmed":
        this.#found(event.hit);
        return;
      case "done":
        this.#end(now);
        return;
      case "failed":
        this.#hasSettled = true;
        this.#fail(now, event.failure.verdict);
        return;
      default:
        event satisfies never;
    }
  }

  #found({ socket, remote }: PunchHit): void {
    const address = { socket: this.#theirNumber(socket), remote };
    this.#hasSettled = true;
    if (this.#fan !== undefined) {
      this.#kept = address.socket;
      this.#parts.out.closeSockets(this.#fan.first, this.#fan.count, this.#kept);
    }
    this.#events.push({ type: "found", address });
  }

  #fail(now: Instant, cause: string): void {
    this.#parts.trace.step(now, "hardnat-failed", cause);
    this.release(now);
    this.#events.push({ type: "failed", cause });
  }

  #end(now: Instant): void {
    if (this.#state.name === "punching") {
      const { machine } = this.#state;
      this.#packets = machine.packets;
      if (!this.#hasSettled) this.#budget.release(now, machine.ports);
    }
    this.#state = { name: "over" };
  }

  /** The machine's number for a socket of the process; undefined for one that is not part of this punch. */
  #ownNumber(socket: number): number | undefined {
    if (this.#fan === undefined) return socket === this.#parts.socket ? 0 : undefined;
    const own = socket - this.#fan.first;
    return own >= 0 && own < this.#fan.count ? own : undefined;
  }

  #theirNumber(socket: number): number {
    return this.#fan === undefined ? this.#parts.socket : this.#fan.first + socket;
  }
}
