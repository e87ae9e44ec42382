import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipScope } from "../net/ip.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Contender, ContenderOutcome, Grant } from "./contender.ts";
import type { PortMapperEvent } from "./mapper-event.ts";

/**
 * Each further protocol enters the race so much later, or when one before it has failed: a gateway that speaks several
 * keeps one table for all, and two mappings of one port in it would be one mapping with two owners.
 */
const HEAD_START_MS = 250;
const VERIFY_MS = 3_000;

/** Nobody could look, or nobody answered in time: taken for good. */
export type Verdict = "reached" | "not-reached" | "unknown";

export interface RaceWinner {
  readonly contender: Contender;
  readonly grant: Grant;
}

/**
 * Which protocol gets the mapping: the first one with a public external address that, where somebody outside can look,
 * also works. Only when none has one, the first with a private address: a line may get its public one later.
 */
export class Race {
  readonly #contenders: readonly Contender[];
  readonly #verify: boolean;
  readonly #tell: (event: PortMapperEvent) => void;
  /** In the order in which they came to their mappings. */
  #arrived: Contender[] = [];
  #verifying: { readonly contender: Contender; readonly grant: Grant; readonly until: Instant } | undefined;
  #verified: RaceWinner | undefined;

  constructor(options: {
    now: Instant;
    contenders: readonly Contender[];
    verify: boolean;
    tell: (event: PortMapperEvent) => void;
  }) {
    this.#contenders = options.contenders;
    this.#verify = options.verify;
    this.#tell = options.tell;
    let startAt = options.now;
    for (const contender of this.#contenders) {
      // Its last failure stands.
      if (options.now < contender.notBefore) continue;
      contender.enter(startAt);
      startAt += HEAD_START_MS;
    }
  }

  handleOutcome(now: Instant, contender: Contender, outcome: ContenderOutcome): void {
    if (outcome.type === "mapped") this.#arrived.push(contender);
    else if (outcome.type === "lost") this.#drop(now, contender);
    else if (outcome.type === "failed") {
      this.#tell({ type: "refused", ...outcome.failure });
      this.#startNext(now);
    }
  }

  handleVerified(now: Instant, external: Endpoint, verdict: Verdict): void {
    const { contender, grant } = this.#verifying ?? {};
    if (contender === undefined || grant === undefined || !sameEndpoint(grant.external, external)) return;
    this.#verifying = undefined;
    if (verdict !== "not-reached") this.#verified = { contender, grant };
    else {
      this.#arrived = this.#arrived.filter((other) => other !== contender);
      this.#tell({ type: "refused", ...contender.disqualify(now) });
      this.#startNext(now);
    }
  }

  /** Does what is due. The winner, or "nobody", once it is decided. */
  step(now: Instant): RaceWinner | "nobody" | undefined {
    const verifying = this.#verifying;
    if (verifying !== undefined && now >= verifying.until)
      this.handleVerified(now, verifying.grant.external, "unknown");
    for (const contender of this.#contenders) {
      if (now < contender.startAt) continue;
      this.#tell({ type: "asking", protocol: contender.protocol });
      contender.map(now);
    }
    return this.#verified ?? this.#decide(now);
  }

  nextTimeout(): Instant {
    return this.#verifying?.until ?? NEVER;
  }

  #decide(now: Instant): RaceWinner | "nobody" | undefined {
    if (this.#verifying !== undefined) return undefined;
    const arrived = this.#arrived.flatMap((contender) =>
      contender.grant === undefined ? [] : [{ contender, grant: contender.grant }],
    );
    const first = arrived.find(({ grant }) => isPublic(grant.external));
    if (first !== undefined && !this.#verify) return first;
    if (first !== undefined) {
      this.#verifying = { ...first, until: now + VERIFY_MS };
      this.#hold(now + VERIFY_MS);
      this.#tell({ type: "verify", external: first.grant.external });
      return undefined;
    }
    const isOver = this.#contenders.every(({ asking, startAt }) => !asking && startAt === NEVER);
    return isOver ? (arrived[0] ?? "nobody") : undefined;
  }

  /** A mapping that is being looked at must not be taken over meanwhile by another protocol of the same gateway. */
  #hold(until: Instant): void {
    let startAt = until;
    for (const waiting of this.#contenders.filter((contender) => contender.startAt < NEVER)) {
      waiting.enter(startAt);
      startAt += HEAD_START_MS;
    }
  }

  /** The gateway lost what it gave: it is asked again, unless it is being asked. */
  #drop(now: Instant, contender: Contender): void {
    if (!this.#arrived.includes(contender)) return;
    this.#arrived = this.#arrived.filter((other) => other !== contender);
    if (this.#verifying?.contender === contender) this.#verifying = undefined;
    if (this.#verified?.contender === contender) this.#verified = undefined;
    if (!contender.asking) contender.enter(now);
  }

  #startNext(now: Instant): void {
    const next = this.#contenders.find(({ startAt }) => startAt < NEVER);
    next?.enter(now);
  }
}

/** Whether hosts of the internet reach `external`: with a private or a carrier's address it stands behind another NAT. */
export function isPublic(external: Endpoint): boolean {
  return ipScope(external.address) === "public";
}
