import type { Datagram, Transmit } from "../machine.ts";
import { transactionIdOf } from "../stun/message.ts";
import type { StunOutcome, StunTransaction } from "../stun/transaction.ts";
import { type Instant, NEVER } from "../time.ts";
import { type CheckOptions, type CheckParties, checkRequest } from "./check-request.ts";
import type { CandidatePair } from "./checklist.ts";
import type { IceCounters } from "./ice-counters.ts";
import type { ReachBudget } from "./reach-budget.ts";

/** A check under way. */
export interface Check {
  readonly pair: CandidatePair;
  /** The role that it claims: it tells whether a 487 still matters (RFC 8445 §7.2.5.1). */
  readonly controlling: boolean;
  /** It says USE-CANDIDATE: its answer, and no other, makes the pair the one. */
  readonly nominates: boolean;
  /** Nothing more is sent and its end means nothing, but its answer still counts (§7.3.1.4). */
  readonly cancelled: boolean;
}

/** How a check ended. */
export interface CheckEnd {
  readonly check: Check;
  readonly outcome: StunOutcome;
}

interface Entry extends Check {
  readonly transaction: StunTransaction;
  cancelled: boolean;
}

/**
 * The connectivity checks under way (RFC 8445 §7.2.4), each a transaction of its own, within the budget of the address
 * it goes to. There are no more than the budget lets begin, as every one spends from it until its address is proven,
 * and a pair that has succeeded is only checked once more, to nominate it.
 */
export class CheckTable {
  readonly #budget: ReachBudget;
  readonly #counters: IceCounters;
  readonly #checks = new Map<string, Entry>();
  readonly #transmits: Transmit[] = [];

  constructor(budget: ReachBudget, counters: IceCounters) {
    this.#budget = budget;
    this.#counters = counters;
  }

  /** Checks the pair. False when nothing may be sent there any more. */
  start(now: Instant, parties: CheckParties, pair: CandidatePair, options: CheckOptions): boolean {
    const transaction = checkRequest(now, parties, pair, options);
    if (!this.#send(transaction)) return false;
    const { controlling } = parties.role;
    const { nominates = false } = options;
    this.#checks.set(transaction.id, { pair, controlling, nominates, cancelled: false, transaction });
    return true;
  }

  /** §7.3.1.4: the checks of this pair send nothing more. */
  cancel(pair: CandidatePair): void {
    for (const check of this.#checks.values()) if (check.pair === pair) check.cancelled = true;
  }

  /** Whether an answer may still come. */
  has(pair: CandidatePair): boolean {
    return this.#checks.values().some((check) => check.pair === pair);
  }

  /** True: an answer to one of the checks, though not one that counts. Undefined: none of them. */
  handleDatagram(now: Instant, datagram: Datagram): CheckEnd | true | undefined {
    const check = this.#checks.get(transactionIdOf(datagram.payload) ?? "");
    if (check === undefined) return undefined;
    // Of an answer from another address the RFC says that the pair has failed (§7.2.5.2.1). Here it is as if none had
    // come: the end is the same, and nobody who only listens can end a check by sending its answer from elsewhere.
    check.transaction.handleDatagram(now, datagram);
    const end = this.#ended(check);
    if (end === undefined) this.#counters.unauthenticated += 1;
    else if (end.outcome.kind === "success") this.#budget.prove(datagram.from);
    return end ?? true;
  }

  /** Sends again what is due; the checks that nobody has answered. */
  handleTimeout(now: Instant): CheckEnd[] {
    const ends: CheckEnd[] = [];
    for (const check of this.#checks.values()) {
      check.transaction.handleTimeout(now);
      const end = this.#ended(check);
      if (end !== undefined) ends.push(end);
      else if (!check.cancelled) this.#send(check.transaction);
    }
    return ends;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  nextTimeout(): Instant {
    return this.#checks
      .values()
      .reduce((earliest, check) => Math.min(earliest, check.transaction.nextTimeout()), NEVER);
  }

  clear(): void {
    this.#checks.clear();
    this.#transmits.length = 0;
  }

  #ended(check: Entry): CheckEnd | undefined {
    const { outcome, id } = check.transaction;
    if (outcome === undefined) return undefined;
    this.#checks.delete(id);
    return { check, outcome };
  }

  /** False when something was due and was withheld. */
  #send(transaction: StunTransaction): boolean {
    const due = transaction.pollTransmit();
    if (due === undefined) return true;
    if (!this.#budget.spendCheck(due.to)) {
      this.#counters.checksWithheld += 1;
      return false;
    }
    this.#counters.checksSent += 1;
    this.#transmits.push(due);
    return true;
  }
}
