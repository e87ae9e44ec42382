import { sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Contender, ContenderOutcome, Grant } from "./contender.ts";
import type { PortMapperEvent, RevokeReason } from "./mapper-event.ts";
import { isPublic, type RaceWinner } from "./race.ts";

const MAX_FAILURES = 3;
/** RFC 6887 §11.2.1: renewals are so far apart at least. */
const MIN_RENEWAL_MS = 4_000;
/** A lease without end is looked after as if it had this one (RFC 6886 §3.3 recommends it). */
const ENDLESS_LEASE_SECONDS = 7_200;
/** RFC 6887 §14.1: after a restart of the gateway all its hosts would ask at once. */
const REINSTALL_SPREAD_MS = 5_000;

/**
 * A mapping that is held: renewed at half time, then halfway to the lease's end, and given up after three failures or
 * at that end. A mapping that the gateway lost is not advertised until it is there again.
 */
export class Holding {
  readonly contender: Contender;
  readonly #tell: (event: PortMapperEvent) => void;
  /** From 0 up to 1. */
  readonly #spread: () => number;
  #grant: Grant;
  #advertised = false;
  #isLost = false;
  #isOver = false;
  #failures = 0;
  #renewAt: Instant = NEVER;
  #endsAt: Instant = NEVER;

  constructor({ contender, grant }: RaceWinner, tell: (event: PortMapperEvent) => void, spread: () => number) {
    this.contender = contender;
    this.#tell = tell;
    this.#spread = spread;
    this.#grant = grant;
    this.#count(grant);
    this.#tellStanding();
  }

  get grant(): Grant {
    return this.#grant;
  }

  handleOutcome(now: Instant, outcome: ContenderOutcome): void {
    if (outcome.type === "mapped") this.#renew(outcome.grant);
    else if (outcome.type === "failed") this.#fail(now, outcome);
    else if (outcome.type === "lost") {
      this.withdraw("gateway-restarted");
      this.#isLost = true;
      this.#endsAt = NEVER;
      this.#renewAt = now + this.#spread() * REINSTALL_SPREAD_MS;
    }
  }

  /** Does what is due. True when there is nothing to hold any more. */
  step(now: Instant): boolean {
    if (now >= this.#endsAt) this.#isOver = true;
    if (!this.#isOver && now >= this.#renewAt) {
      this.#renewAt = NEVER;
      this.contender.map(now, this.#endsAt);
    }
    return this.#isOver;
  }

  nextTimeout(): Instant {
    return this.#isOver ? NEVER : Math.min(this.#renewAt, this.#endsAt);
  }

  withdraw(reason: RevokeReason): void {
    if (!this.#advertised) return;
    this.#advertised = false;
    this.#tell({ type: "revoked", external: this.#grant.external, reason });
  }

  #renew(grant: Grant): void {
    const before = this.#grant.external;
    if (!isPublic(grant.external)) this.withdraw("behind-nat");
    this.#grant = grant;
    this.#isLost = false;
    this.#failures = 0;
    this.#count(grant);
    if (!this.#advertised) this.#tellStanding();
    else this.#tellMapping(sameEndpoint(before, grant.external) ? "renewed" : "replaced");
  }

  #fail(now: Instant, { failure }: Extract<ContenderOutcome, { type: "failed" }>): void {
    this.#failures += 1;
    this.#tell({ type: "renewal-failed", ...failure, failures: this.#failures });
    this.#isOver = this.#isLost || this.#failures >= MAX_FAILURES;
    this.#planAfter(now);
  }

  #count({ askedAt, leaseSeconds }: Grant): void {
    this.#endsAt = askedAt + leaseSeconds * 1_000;
    this.#planAfter(askedAt);
  }

  /** Halfway between `from` and the lease's end. */
  #planAfter(from: Instant): void {
    const left = this.#endsAt === NEVER ? ENDLESS_LEASE_SECONDS * 1_000 : this.#endsAt - from;
    this.#renewAt = from + Math.max(left / 2, MIN_RENEWAL_MS);
  }

  #tellStanding(): void {
    this.#advertised = isPublic(this.#grant.external);
    this.#tellMapping(this.#advertised ? "installed" : "behind-nat");
  }

  #tellMapping(type: "installed" | "renewed" | "replaced" | "behind-nat"): void {
    const { external, leaseSeconds } = this.#grant;
    this.#tell({ type, protocol: this.contender.protocol, external, leaseSeconds });
  }
}
