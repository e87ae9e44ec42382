import type { PunchSettings } from "./settings.ts";

/** Lowest that passes the usual home router, which takes one off, and dies at the next one. */
const NEAR_TTL = 2;
/** A carrier's NAT behind the home router, then routers in front of a carrier's NAT. */
const LADDER = [3, 4, 5, 6, 7, 8] as const;
/** Shares of the window after which a socket leaves `NEAR_TTL`, the odd ones at the latest after `ODD_CLIMB_MS`. */
const ODD_CLIMB = 1 / 5;
const EVEN_CLIMB = 1 / 2;
const ODD_CLIMB_MS = 2_000;
/** The first step lasts longest, being the most likely one after `NEAR_TTL`; both are shorter in a short window. */
const FIRST_STEP_MS = 4_000;
const STEP_MS = 1_000;

/**
 * The time to live of the packets that open the nat4 side's mappings. They have to get through our own outermost NAT
 * and should not reach the other side's: a router that accepts what comes to it (`+accept`) makes an entry for a packet
 * that arrives before anything went out to its source, and gives what goes out later another port. That mapping is
 * then lost. Any other router does not mind.
 *
 * `auto` knows neither the distances nor when the other side starts. All sockets begin right behind a home router; after
 * a fifth of the window the odd ones climb, in its second half the even ones: 3 for a carrier's NAT behind the home
 * router, up to 8 for a phone's carrier, then without a limit for what is farther still. So with an ordinary router at
 * the other end and no carrier at this one, all of them count from the first packet on. With a `+accept` router close by
 * the even ones count for half of the window, whether the other side starts early or late. Behind a carrier it takes the
 * odd ones' climb. Of what 2,048 ports could hit, either finds more than 99 % (test/sim/punch.test.ts); all sockets
 * climbing together would find as much in one case as it lost in the other. A given `ttl` is everybody's.
 */
export class TtlPlan {
  readonly #settings: PunchSettings;

  constructor(settings: PunchSettings) {
    this.#settings = settings;
  }

  /** Of what `socket` sends `elapsedMs` after the start; undefined for the system's default. */
  ttl(socket: number, elapsedMs: number): number | undefined {
    const { ttl, noTtl, windowMs } = this.#settings;
    if (noTtl) return undefined;
    if (ttl !== "auto") return ttl;
    const climbAt = socket % 2 === 0 ? EVEN_CLIMB * windowMs : Math.min(ODD_CLIMB_MS, ODD_CLIMB * windowMs);
    const climbing = elapsedMs - climbAt;
    if (climbing < 0) return NEAR_TTL;
    const firstMs = Math.min(FIRST_STEP_MS, windowMs * 0.3);
    const stepMs = Math.min(STEP_MS, windowMs * 0.04);
    return LADDER[climbing < firstMs ? 0 : 1 + Math.floor((climbing - firstMs) / stepMs)];
  }
}
