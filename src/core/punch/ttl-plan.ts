import type { PunchSettings } from "./settings.ts";

/** Lowest that passes the usual home router, which takes one off, and dies at the next one. */
const NEAR_TTL = 2;
/** What half of the sockets climb: a carrier's NAT behind the home router, then routers in front of a carrier's NAT. */
const LADDER = [3, 4, 5, 6, 7, 8] as const;
/** The first step lasts longest, being the most likely one after `NEAR_TTL`. */
const FIRST_STEP_MS = 4_000;
const STEP_MS = 1_000;

/**
 * The time to live of the packets that open the nat4 side's mappings. They have to get through our own outermost NAT
 * and should not reach the other side's: a router that accepts what comes to it (`+accept`) makes an entry for a packet
 * that arrives before anything went out to its source, and gives what goes out later another port. That mapping is
 * then lost. Any other router does not mind.
 *
 * `auto` knows neither distance, nor when the other side starts. So the even sockets stay at 2 for as long as it takes:
 * right behind a home router, whatever the other one is like. The odd ones climb: 3 for the carrier's NAT behind it,
 * up to 8 for a phone's carrier, then without a limit for what is farther still. With no carrier and an ordinary router
 * at the other end all sockets count from the first packet on; in any other case half of them do, which takes twice as
 * many probes (measured in test/sim and test/lab). Raising all sockets together would cost the same and fail where the
 * other side starts late. A given `ttl` is everybody's.
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
    if (socket % 2 === 0) return NEAR_TTL;
    // A short window leaves each third something: the first step, the climb, the rest.
    const firstMs = Math.min(FIRST_STEP_MS, windowMs / 3);
    const stepMs = Math.min(STEP_MS, windowMs / 3 / LADDER.length);
    return LADDER[elapsedMs < firstMs ? 0 : 1 + Math.floor((elapsedMs - firstMs) / stepMs)];
  }
}
