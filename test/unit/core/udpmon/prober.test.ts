import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { decodeProbe, encodeProbe } from "../../../../src/core/udpmon/probe-header.ts";
import { Prober, type ProberEvent, type ProberOptions } from "../../../../src/core/udpmon/prober.ts";

const TARGET = { address: "192.0.2.1", port: 9_000 };
const STRANGER = { address: "192.0.2.66", port: 9_000 };

/** A prober and what it sent, in virtual time. */
class Bench {
  readonly prober: Prober;
  readonly sent: { at: number; payload: Uint8Array }[] = [];
  readonly events: ProberEvent[] = [];

  constructor(options: Partial<ProberOptions> = {}) {
    const defaults = { now: 0, to: TARGET, intervalMs: 1_000, timeoutMs: 3_000, payloadBytes: 32, count: Infinity };
    this.prober = new Prober({ ...defaults, ...options });
    this.#poll(0);
  }

  /** Time passes: whatever is due until then happens at its time. */
  until(now: number): this {
    for (let next = this.prober.nextTimeout(); next <= now; next = this.prober.nextTimeout()) this.at(next);
    return this;
  }

  at(now: number): this {
    this.prober.handleTimeout(now);
    this.#poll(now);
    return this;
  }

  /** The answer to the probe of this number arrives; changed in some way. */
  answer(now: number, seq: number, { from = TARGET, bytes = 32, isAnswer = true, ns = 0n } = {}): this {
    const probe = decodeProbe(this.sent[seq]?.payload ?? new Uint8Array(16));
    const payload = encodeProbe({ seq: BigInt(seq), ns: (probe.ok ? probe.ns : 0n) + ns, isAnswer }, bytes);
    this.prober.handleDatagram(now, { socket: 0, from, payload });
    this.#poll(now);
    return this;
  }

  get counts(): Record<string, unknown> {
    const { rttMs, jitterMs, loss, ...counts } = this.prober.stats.summary();
    return counts;
  }

  #poll(now: number): void {
    for (let next = this.prober.pollTransmit(); next !== undefined; next = this.prober.pollTransmit())
      this.sent.push({ at: now, payload: next.payload });
    for (let event = this.prober.pollEvent(); event !== undefined; event = this.prober.pollEvent())
      this.events.push(event);
  }
}

const NOTHING = { sent: 0, received: 0, dropped: 0, duplicates: 0, reordered: 0, unexpected: 0 };

describe("sending", () => {
  test("the first at once, then one each interval, numbered and timed", () => {
    const bench = new Bench().until(2_500);
    expect(bench.sent.map(({ at, payload }) => [at, decodeProbe(payload), payload.length])).toEqual([
      [0, { ok: true, seq: 0n, ns: 0n, isAnswer: false }, 32],
      [1_000, { ok: true, seq: 1n, ns: 1_000_000_000n, isAnswer: false }, 32],
      [2_000, { ok: true, seq: 2n, ns: 2_000_000_000n, isAnswer: false }, 32],
    ]);
  });

  test("after a pause what was missed is not made up for", () => {
    const bench = new Bench().at(5_300).until(7_000);
    expect(bench.sent.map(({ at }) => at)).toEqual([0, 5_300, 6_300]);
  });

  test("ends with the last one's answer, or its time", () => {
    const bench = new Bench({ count: 2 }).until(1_000);
    bench.answer(1_001, 1).until(2_999);
    expect(bench.events).toEqual([{ type: "answered", rttMs: 1 }]);
    bench.until(3_000);
    expect(bench.events.slice(1)).toEqual([{ type: "dropped" }, { type: "done" }]);
    bench.answer(3_500, 1).until(9_000);
    expect(bench.events.length).toBe(3);
    expect(bench.prober.nextTimeout()).toBe(NEVER);
    expect(bench.counts).toEqual({ ...NOTHING, sent: 2, received: 1, dropped: 1, duplicates: 1 });
  });
});

describe("what comes back", () => {
  test("in time is an answer, also from an echo that marks nothing; later it is unexpected", () => {
    const bench = new Bench().until(1_000);
    bench.answer(1_020, 0).answer(1_030, 1, { isAnswer: false }).until(2_000).answer(5_000, 2);
    expect(bench.events).toEqual([
      { type: "answered", rttMs: 1_020 },
      { type: "answered", rttMs: 30 },
      { type: "dropped" },
    ]);
    expect(bench.counts).toEqual({ ...NOTHING, sent: 3, received: 2, dropped: 1, unexpected: 1 });
  });

  test("twice is a duplicate, before an earlier one it is reordered", () => {
    const bench = new Bench().until(2_000);
    bench.answer(2_010, 1).answer(2_011, 1).answer(2_012, 0).answer(2_013, 2).answer(2_014, 0);
    expect(bench.counts).toEqual({ ...NOTHING, sent: 3, received: 3, duplicates: 2, reordered: 1 });
  });

  test.each<[string, Parameters<Bench["answer"]>]>([
    ["from somebody else", [10, 0, { from: STRANGER }]],
    ["of another size", [10, 0, { bytes: 33 }]],
    ["with another time", [10, 0, { ns: 1n }]],
    ["to what was not sent", [10, 7]],
  ])("%s is unexpected, and the true answer still counts", (_, forged) => {
    const bench = new Bench();
    bench.answer(...forged).answer(20, 0);
    expect(bench.counts).toEqual({ ...NOTHING, sent: 1, received: 1, unexpected: 1 });
  });

  test("that is no probe is unexpected", () => {
    const bench = new Bench();
    for (const payload of [new Uint8Array(0), new Uint8Array(15), new Uint8Array(1_500)])
      bench.prober.handleDatagram(1, { socket: 0, from: TARGET, payload });
    expect(bench.counts).toEqual({ ...NOTHING, sent: 1, unexpected: 3 });
  });
});

describe("figures", () => {
  test("loss, round trips to 1 %, and jitter as RFC 3550 has it", () => {
    const bench = new Bench({ intervalMs: 100, timeoutMs: 1_000, count: 5 }).until(400);
    bench.answer(410, 0).answer(420, 1).answer(430, 2).answer(440, 3).until(2_000);
    const { rttMs, jitterMs, ...rest } = bench.prober.stats.summary();
    expect(rest).toEqual({ ...NOTHING, sent: 5, received: 4, dropped: 1, loss: 0.2 });
    // 410, 320, 230, 140 ms: 90 apart each time.
    expect(jitterMs).toBeCloseTo(90 * (1 - (15 / 16) ** 3), 9);
    expect({ min: rttMs?.min, mean: rttMs?.mean, max: rttMs?.max }).toEqual({ min: 140, mean: 275, max: 410 });
    for (const [measured, true_] of [
      [rttMs?.p50, 230],
      [rttMs?.p95, 410],
      [rttMs?.p99, 410],
    ] as const)
      expect(Math.abs((measured ?? 0) / true_ - 1)).toBeLessThan(0.011);
  });

  test("of nothing are null", () => {
    expect(new Bench().prober.stats.summary()).toEqual({
      ...NOTHING,
      sent: 1,
      loss: null,
      rttMs: null,
      jitterMs: 0,
    });
  });
});
