import type { Datagram, Machine, Transmit } from "../machine.ts";
import { SourceLimiter } from "../net/source-limiter.ts";
import { type Instant, NEVER } from "../time.ts";
import { decodeProbe, encodeProbe } from "./probe-header.ts";

/** As many probes as the shortest interval makes, and a little more. */
export const PROBES_PER_SECOND = 1_100;
const MAX_SOURCES = 1_024;

/** Plain numbers, read at scrape time. `received` is `echoed` and what was refused. */
export interface ReflectorCounters {
  received: number;
  echoed: number;
  readonly refused: {
    /** Too short or too long for a probe. */
    noProbe: number;
    /** An answer, which gets none. */
    answer: number;
    /** More than `PROBES_PER_SECOND` of one address (IPv6: of one /64). */
    rate: number;
  };
}

/**
 * Sends probes back, marked as answers. What leaves is never larger than what came, to where that came from and at a
 * bounded rate: whoever forges a sender's address gains nothing by it. It remembers nothing else.
 */
export class Reflector implements Machine<never> {
  readonly counters: ReflectorCounters = { received: 0, echoed: 0, refused: { noProbe: 0, answer: 0, rate: 0 } };
  readonly #limiter = new SourceLimiter({ count: PROBES_PER_SECOND, windowMs: 1_000, maxSources: MAX_SOURCES });
  readonly #transmits: Transmit[] = [];

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    const { counters } = this;
    counters.received += 1;
    const probe = decodeProbe(payload);
    if (!probe.ok) counters.refused.noProbe += 1;
    else if (probe.isAnswer) counters.refused.answer += 1;
    else if (!this.#limiter.allow(now, from.address)) counters.refused.rate += 1;
    else {
      counters.echoed += 1;
      this.#transmits.push({ socket, to: from, payload: encodeProbe({ ...probe, isAnswer: true }, payload.length) });
    }
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): undefined {
    return undefined;
  }

  nextTimeout(): Instant {
    return NEVER;
  }
}
