import type { Datagram, Machine, RandomBytes, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import { uniform } from "../uniform.ts";
import { Contender, type ContenderOutcome, type Grant } from "./contender.ts";
import { Holding } from "./holding.ts";
import type { PortMapperEvent, ProtocolFailure, RevokeReason } from "./mapper-event.ts";
import type { GatewayResult, PortMapClient, PortMapProtocol } from "./protocol.ts";
import { Race, type RaceWinner, type Verdict } from "./race.ts";

/** Who stands between this host and the internet, and this host's address towards it. */
export interface GatewayTarget {
  readonly gateway: string;
  readonly localAddress: string;
}

export interface PortMapperOptions {
  readonly random: RandomBytes;
  /** Somebody outside can be asked to send to a mapping: `verify` is told, and `handleVerified` waited for. */
  readonly verify: boolean;
  /** One client for each protocol that may be used, the most wanted first. */
  clientsFor(target: GatewayTarget): readonly PortMapClient[];
}

/** From `stop` to `stopped`, at most. */
export const STOP_MS = 900;
const FIRST_RETRY_MS = 30_000;
const MAX_RETRY_MS = 30 * 60_000;

type Phase =
  | { readonly type: "idle" }
  | { readonly type: "racing"; readonly race: Race }
  | { readonly type: "holding"; readonly holding: Holding }
  | { readonly type: "resting"; readonly until: Instant }
  | { readonly type: "stopping"; readonly until: Instant }
  | { readonly type: "stopped" };

/**
 * Gets one port mapped and keeps it: idle (no gateway) → racing → holding or resting → racing → …, and from anywhere
 * stopping → stopped.
 *
 * What the losers of a race still get is asked away, unless it is the very same mapping. When a mapping is over, or
 * nobody got one, the next race comes after 30 s, doubling up to half an hour. A mapping on a gateway that was left
 * behind stays there until its lease ends: it cannot be reached any more.
 */
export class PortMapper implements Machine<PortMapperEvent> {
  readonly #options: PortMapperOptions;
  readonly #events: PortMapperEvent[] = [];
  readonly #tell = (event: PortMapperEvent) => void this.#events.push(event);
  #target: GatewayTarget | undefined;
  #contenders: readonly Contender[] = [];
  #phase: Phase = { type: "idle" };
  /** Since the last mapping. */
  #failedRaces = 0;

  constructor(options: PortMapperOptions) {
    this.#options = options;
  }

  /** The gateway is known, is another one, or is gone (undefined). The shell has bound the sockets to `localAddress`. */
  handleGatewayChange(now: Instant, target: GatewayTarget | undefined): void {
    if (this.#isEnding()) return;
    if (this.#target?.gateway === target?.gateway && this.#target?.localAddress === target?.localAddress) return;
    this.#withdraw("gateway-changed");
    this.#abandon();
    this.#target = target;
    this.#contenders = target === undefined ? [] : this.#options.clientsFor(target).map((one) => new Contender(one));
    this.#failedRaces = 0;
    this.#phase = { type: "idle" };
    if (this.#contenders.length > 0) this.#startRace(now);
  }

  /** Asks away what the gateway may hold and ends with `stopped`, within `STOP_MS`. */
  stop(now: Instant): void {
    if (this.#isEnding()) return;
    this.#withdraw("stopped");
    this.#phase = { type: "stopping", until: now + STOP_MS };
    for (const contender of this.#contenders) contender.undo(now);
    this.#step(now);
  }

  /** What became of `verify`. */
  handleVerified(now: Instant, external: Endpoint, verdict: Verdict): void {
    if (this.#phase.type === "racing") this.#phase.race.handleVerified(now, external, verdict);
    this.#step(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    for (const contender of this.#contenders) contender.handleDatagram(now, datagram);
    this.#step(now);
  }

  /** The end of a `request`. */
  handleHttp(now: Instant, protocol: PortMapProtocol, id: number, result: GatewayResult): void {
    for (const contender of this.#contenders)
      if (contender.protocol === protocol) contender.handleHttp(now, id, result);
    this.#step(now);
  }

  handleTimeout(now: Instant): void {
    for (const contender of this.#contenders) {
      const outcome = contender.handleTimeout(now);
      if (outcome !== undefined) this.#take(now, contender, outcome);
    }
    this.#step(now);
  }

  pollTransmit(): Transmit | undefined {
    for (const contender of this.#contenders) {
      const transmit = contender.pollTransmit();
      if (transmit !== undefined) return transmit;
    }
    return undefined;
  }

  pollEvent(): PortMapperEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    if (this.#phase.type === "stopped") return NEVER;
    return Math.min(this.#phaseTimeout(), ...this.#contenders.map((contender) => contender.nextTimeout()));
  }

  #phaseTimeout(): Instant {
    switch (this.#phase.type) {
      case "racing":
        return this.#phase.race.nextTimeout();
      case "holding":
        return this.#phase.holding.nextTimeout();
      case "resting":
      case "stopping":
        return this.#phase.until;
      default:
        return NEVER;
    }
  }

  /** After anything happened: takes what the contenders tell and does what is due, until neither brings more. */
  #step(now: Instant): void {
    this.#drain(now);
    do this.#act(now);
    while (this.#drain(now));
  }

  #drain(now: Instant): boolean {
    let any = false;
    for (const contender of this.#contenders)
      for (let next = contender.pollOutcome(now); next !== undefined; next = contender.pollOutcome(now)) {
        this.#take(now, contender, next);
        any = true;
      }
    return any;
  }

  #act(now: Instant): void {
    const phase = this.#phase;
    if (phase.type === "racing") this.#stepRace(now, phase.race);
    else if (phase.type === "holding" && phase.holding.step(now)) this.#endHolding(now, phase.holding);
    else if (phase.type === "resting" && now >= phase.until) this.#startRace(now);
    else if (phase.type === "stopping") this.#stepStop(now, phase.until);
  }

  #take(now: Instant, contender: Contender, outcome: ContenderOutcome): void {
    const phase = this.#phase;
    if (outcome.type === "request") this.#tell({ ...outcome, protocol: contender.protocol });
    else if (phase.type === "racing") phase.race.handleOutcome(now, contender, outcome);
    else if (phase.type !== "holding") return;
    else if (contender === phase.holding.contender) phase.holding.handleOutcome(now, outcome);
    else if (outcome.type === "mapped") undoUnlessSame(now, contender, outcome.grant, phase.holding.grant);
  }

  #startRace(now: Instant): void {
    const race = new Race({ now, contenders: this.#contenders, verify: this.#options.verify, tell: this.#tell });
    this.#phase = { type: "racing", race };
    this.#step(now);
  }

  #stepRace(now: Instant, race: Race): void {
    const end = race.step(now);
    if (end === "nobody")
      this.#rest(
        now,
        this.#contenders.flatMap(({ failure }) => failure ?? []),
      );
    else if (end !== undefined) this.#hold(now, end);
  }

  #hold(now: Instant, winner: RaceWinner): void {
    const holding = new Holding(winner, this.#tell, () => uniform(this.#options.random));
    this.#phase = { type: "holding", holding };
    this.#failedRaces = 0;
    for (const loser of this.#contenders) {
      if (loser === winner.contender) continue;
      if (loser.grant === undefined) loser.leave();
      else undoUnlessSame(now, loser, loser.grant, winner.grant);
    }
  }

  #endHolding(now: Instant, holding: Holding): void {
    const { failure } = holding.contender;
    holding.withdraw("renewal-failed");
    holding.contender.undo(now);
    this.#rest(now, failure === undefined ? [] : [failure]);
  }

  #rest(now: Instant, failures: readonly ProtocolFailure[]): void {
    const spread = 0.9 + uniform(this.#options.random) / 5;
    const retryMs = Math.min(FIRST_RETRY_MS * 2 ** this.#failedRaces, MAX_RETRY_MS) * spread;
    this.#failedRaces += 1;
    this.#phase = { type: "resting", until: now + retryMs };
    this.#tell({ type: "unavailable", failures, retryMs });
  }

  #stepStop(now: Instant, until: Instant): void {
    if (now < until && this.#contenders.some(({ undoing }) => undoing)) return;
    this.#phase = { type: "stopped" };
    this.#tell({ type: "stopped", left: this.#mayHold });
  }

  #abandon(): void {
    const protocols = this.#mayHold;
    if (this.#target !== undefined && protocols.length > 0)
      this.#tell({ type: "abandoned", gateway: this.#target.gateway, protocols });
  }

  /** By these the gateway may hold a mapping now. */
  get #mayHold(): PortMapProtocol[] {
    return this.#contenders.filter(({ mayHold }) => mayHold).map(({ protocol }) => protocol);
  }

  #withdraw(reason: RevokeReason): void {
    if (this.#phase.type === "holding") this.#phase.holding.withdraw(reason);
  }

  #isEnding(): boolean {
    return this.#phase.type === "stopping" || this.#phase.type === "stopped";
  }
}

/** A gateway keeps one table: what has the same external port is the same mapping, and would be gone for the winner, too. */
function undoUnlessSame(now: Instant, loser: Contender, grant: Grant, winner: Grant): void {
  if (grant.external.port !== winner.external.port) loser.undo(now);
}
