import type { Instant } from "../time.ts";
import type { PathChange } from "./path-observer.ts";

/** How often the cap is judged, and the fewest segments that a judgement needs. */
const WINDOW_MS = 250;
const WINDOW_SEGMENTS = 100;
/** From this share of segments lost behind a queue on, the lanes together send more than the path takes. */
const TOO_MUCH = 0.01;
/** The cap goes this far below what was delivered meanwhile, so that the queue drains. */
const BACK_OFF = 0.92;
/** Never below half of the best that the path has delivered: a queue that does not drain is somebody else's. */
const FLOOR = 0.5;
/** The first step up, by what it grows with each window that went well, and its limit. */
const STEP = 0.02;
const STEP_GROWTH = 1.2;
const MAX_STEP = 0.25;
/** What the path delivered long ago is forgotten by so much a window: 1 % in a second. */
const MEMORY = 0.9975;

/**
 * The most that the BBR lanes of one session may send together, in bytes a second.
 *
 * Each BBR lane estimates the bottleneck by its own best moment, in which the others were silent; five such estimates
 * add up to far more than the link, whose queue then overflows for good: of what five lanes sent into a saturated link
 * with 0.5 % loss a third was dropped there (docs/performance.md). Only the session sees what all of them deliver.
 */
export class PaceCap {
  /** Infinity: no cap. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  #since: Instant;
  #best = 0;
  #step = STEP;
  #bytes = 0;
  #segments = 0;
  #lost = 0;

  constructor(now: Instant) {
    this.#since = now;
  }

  /** Take what the path did since the last call. Returns true when the cap has changed. */
  sample(now: Instant, change: PathChange): boolean {
    this.#bytes += change.bytes;
    this.#segments += change.segments;
    this.#lost += change.lostQueued;
    const elapsedMs = now - this.#since;
    if (elapsedMs < WINDOW_MS) return false;
    const before = this.bytesPerSecond;
    if (this.#segments >= WINDOW_SEGMENTS) this.#judge((this.#bytes / elapsedMs) * 1_000);
    this.#since = now;
    this.#bytes = 0;
    this.#segments = 0;
    this.#lost = 0;
    return this.bytesPerSecond !== before;
  }

  /** The lanes use another congestion control now, which needs no cap. Returns true when there was one. */
  lift(): boolean {
    const was = Number.isFinite(this.bytesPerSecond);
    this.bytesPerSecond = Number.POSITIVE_INFINITY;
    this.#step = STEP;
    return was;
  }

  #judge(delivered: number): void {
    this.#best = Math.max(delivered, this.#best * MEMORY);
    if (this.#lost >= TOO_MUCH * this.#segments) {
      this.bytesPerSecond = Math.max(BACK_OFF * Math.min(this.bytesPerSecond, delivered), FLOOR * this.#best);
      this.#step = STEP;
    } else if (this.bytesPerSecond > 2 * this.#best) {
      this.bytesPerSecond = Number.POSITIVE_INFINITY;
    } else {
      this.bytesPerSecond *= 1 + this.#step;
      this.#step = Math.min(MAX_STEP, this.#step * STEP_GROWTH);
    }
  }
}
