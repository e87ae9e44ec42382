import { describe, expect, test } from "bun:test";
import { PaceCap } from "../../../../src/core/tunnel/pace-cap.ts";

const SEGMENT = 1_000;

/** Lanes that send `wanted` segments a second, as far as the cap lets them, into a path that delivers `capacity`. */
class Bottleneck {
  readonly cap = new PaceCap(0);
  now = 0;
  capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** A quarter of a second; the share of what was sent that was lost behind the queue. */
  quarter(wanted: number): number {
    const sent = Math.min(wanted, this.cap.bytesPerSecond / SEGMENT) / 4;
    const delivered = Math.min(sent, this.capacity / 4);
    this.now += 250;
    const lost = sent - delivered;
    this.cap.sample(this.now, { segments: sent, bytes: delivered * SEGMENT, lostQueued: lost, lostUnqueued: 0 });
    return lost / sent;
  }
}

describe("pace cap", () => {
  test("there is none while the path takes what is sent", () => {
    const path = new Bottleneck(8_000);
    for (let i = 0; i < 100; i++) path.quarter(7_900);
    expect(path.cap.bytesPerSecond).toBe(Number.POSITIVE_INFINITY);
  });

  test("lanes that send half as much again as the path takes soon lose next to nothing, and fill it", () => {
    const path = new Bottleneck(8_000);
    expect(path.quarter(12_000)).toBeCloseTo(1 / 3);
    expect(path.cap.bytesPerSecond).toBeCloseTo(0.92 * 8_000 * SEGMENT);
    let lost = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 400; i++) {
      lost += path.quarter(12_000) / 400;
      least = Math.min(least, path.cap.bytesPerSecond);
    }
    expect(lost).toBeLessThan(0.015);
    expect(least).toBeGreaterThan(0.9 * 8_000 * SEGMENT);
  });

  test("a path that has become wider is found out within seconds, and the cap goes", () => {
    const path = new Bottleneck(1_000);
    for (let i = 0; i < 40; i++) path.quarter(20_000);
    path.capacity = 100_000;
    for (let i = 0; i < 40; i++) path.quarter(20_000);
    expect(path.cap.bytesPerSecond).toBe(Number.POSITIVE_INFINITY);
  });

  test("losses that no restraint ends are somebody else's: never below half of the best", () => {
    const cap = new PaceCap(0);
    for (let i = 1; i <= 10; i++)
      cap.sample(i * 250, { segments: 1_000, bytes: 1_000_000, lostQueued: 50, lostUnqueued: 0 });
    expect(cap.bytesPerSecond / 4_000_000).toBeCloseTo(0.5, 1);
  });

  test("random losses do not set it, a few segments do not, and lifting tells whether there was one", () => {
    const cap = new PaceCap(0);
    expect(cap.sample(250, { segments: 1_000, bytes: 1e6, lostQueued: 0, lostUnqueued: 200 })).toBe(false);
    expect(cap.sample(500, { segments: 99, bytes: 1e5, lostQueued: 50, lostUnqueued: 0 })).toBe(false);
    expect(cap.lift()).toBe(false);
    expect(cap.sample(750, { segments: 1_000, bytes: 1e6, lostQueued: 50, lostUnqueued: 0 })).toBe(true);
    expect(cap.lift()).toBe(true);
    expect(cap.bytesPerSecond).toBe(Number.POSITIVE_INFINITY);
  });
});
