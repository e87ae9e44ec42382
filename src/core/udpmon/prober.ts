import type { Datagram, Machine, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import { decodeProbe, encodeProbe } from "./probe-header.ts";
import { ProbeStats } from "./probe-stats.ts";

export interface ProberOptions {
  readonly now: Instant;
  readonly to: Endpoint;
  readonly intervalMs: number;
  /** An answer that takes longer is none. */
  readonly timeoutMs: number;
  readonly payloadBytes: number;
  /** Probes in all; Infinity goes on until nobody drives it any more. */
  readonly count: number;
}

export type ProberEvent =
  | { readonly type: "answered"; readonly rttMs: number }
  | { readonly type: "dropped" }
  /** All probes are sent, and each is answered or its time over. */
  | { readonly type: "done" };

interface Outstanding {
  readonly sentAt: Instant;
  /** As it went out: what does not come back with it is no answer. */
  readonly ns: bigint;
  isAnswered: boolean;
}

/**
 * Sends a probe each interval and looks at what comes back. It remembers a probe until its time is over, answered or not,
 * so it knows duplicates for that long, and holds no more than `timeoutMs / intervalMs` of them.
 *
 * After a pause of the machine (sleep, a stalled process) it does not send what it missed: a burst would measure itself.
 */
export class Prober implements Machine<ProberEvent> {
  readonly stats = new ProbeStats();
  readonly #options: ProberOptions;
  /** By number, in the order in which they were sent. */
  readonly #outstanding = new Map<number, Outstanding>();
  readonly #transmits: Transmit[] = [];
  readonly #events: ProberEvent[] = [];
  #nextAt: Instant;
  #highestAnswered = -1;

  constructor(options: ProberOptions) {
    this.#options = options;
    this.#nextAt = options.now;
    this.handleTimeout(options.now);
  }

  handleDatagram(now: Instant, { from, payload }: Datagram): void {
    this.#expire(now);
    const probe = decodeProbe(payload);
    const seq = probe.ok ? Number(probe.seq) : -1;
    const outstanding = this.#outstanding.get(seq);
    const isOurs = sameEndpoint(from, this.#options.to) && payload.length === this.#options.payloadBytes;
    if (!probe.ok || !isOurs || outstanding?.ns !== probe.ns) this.stats.unexpected += 1;
    else if (outstanding.isAnswered) this.stats.duplicates += 1;
    else {
      outstanding.isAnswered = true;
      const rttMs = now - outstanding.sentAt;
      this.stats.answered(rttMs, seq < this.#highestAnswered);
      this.#highestAnswered = Math.max(this.#highestAnswered, seq);
      this.#events.push({ type: "answered", rttMs });
      this.#finish();
    }
  }

  handleTimeout(now: Instant): void {
    this.#expire(now);
    if (now < this.#nextAt) return;
    this.#send(now);
    const next = this.#nextAt + this.#options.intervalMs;
    this.#nextAt = this.stats.sent === this.#options.count ? NEVER : next > now ? next : now + this.#options.intervalMs;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): ProberEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    const [oldest] = this.#outstanding.values();
    return Math.min(this.#nextAt, oldest === undefined ? NEVER : oldest.sentAt + this.#options.timeoutMs);
  }

  #send(now: Instant): void {
    const seq = this.stats.sent++;
    const ns = BigInt(Math.round(now * 1e6));
    this.#outstanding.set(seq, { sentAt: now, ns, isAnswered: false });
    const payload = encodeProbe({ seq: BigInt(seq), ns, isAnswer: false }, this.#options.payloadBytes);
    this.#transmits.push({ socket: 0, to: this.#options.to, payload });
  }

  /** What was sent too long ago is settled and forgotten. */
  #expire(now: Instant): void {
    for (const [seq, { sentAt, isAnswered }] of this.#outstanding) {
      if (now - sentAt < this.#options.timeoutMs) break;
      this.#outstanding.delete(seq);
      if (isAnswered) continue;
      this.stats.dropped += 1;
      this.#events.push({ type: "dropped" });
      this.#finish();
    }
  }

  #finish(): void {
    const { sent, received, dropped } = this.stats;
    if (sent === this.#options.count && received + dropped === sent) this.#events.push({ type: "done" });
  }
}
