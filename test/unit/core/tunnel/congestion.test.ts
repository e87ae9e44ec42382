import { describe, expect, test } from "bun:test";
import { CongestionChooser } from "../../../../src/core/tunnel/congestion.ts";
import type { PathChange } from "../../../../src/core/tunnel/path-observer.ts";

/** A path told sample by sample how many segments were sent and how many of them lost, with a queue or without. */
class Path {
  readonly chooser = new CongestionChooser();
  now = 0;

  round(segments: number, lost: number, queue: "queued" | "unqueued" = "unqueued"): string {
    this.now += 50;
    const change: PathChange = {
      segments,
      bytes: segments * 1_448,
      lostQueued: queue === "queued" ? lost : 0,
      lostUnqueued: queue === "queued" ? 0 : lost,
    };
    this.chooser.sample(this.now, change);
    return this.chooser.choice;
  }

  rounds(count: number, segments: number, lost: number, queue?: "queued" | "unqueued"): string {
    for (let i = 0; i < count; i++) this.round(segments, lost, queue);
    return this.chooser.choice;
  }
}

describe("congestion chooser", () => {
  test("starts with CUBIC and stays there while nothing is lost", () => {
    expect(new Path().rounds(1_000, 400, 0)).toBe("cubic");
  });

  test("two losses without a queue: the path loses at random, BBR", () => {
    const path = new Path();
    path.round(100, 0);
    expect(path.round(100, 1)).toBe("cubic");
    expect(path.round(100, 1)).toBe("bbr");
    expect(path.chooser.switches).toBe(1);
  });

  test("losses behind a queue are CUBIC's own sawtooth", () => {
    expect(new Path().rounds(500, 400, 3, "queued")).toBe("cubic");
  });

  test("very rare losses do not matter", () => {
    const path = new Path();
    for (let i = 0; i < 50; i++) {
      path.rounds(9, 1_000, 0);
      path.round(1_000, i % 2);
    }
    expect(path.chooser.choice).toBe("cubic");
  });

  test("BBR stays while the path loses, however the losses come", () => {
    const path = new Path();
    path.rounds(4, 100, 2);
    path.now += 3_600_000;
    expect(path.rounds(500, 400, 2, "queued")).toBe("bbr");
    expect(path.rounds(500, 400, 2, "unqueued")).toBe("bbr");
  });

  test("BBR that loses nothing for long gives way to CUBIC, but not at once", () => {
    const path = new Path();
    path.rounds(4, 100, 2);
    expect(path.rounds(100, 400, 0)).toBe("bbr");
    path.now += 11_000;
    expect(path.rounds(10, 400, 0)).toBe("cubic");
  });

  test("each time CUBIC turns out wrong it waits twice as long", () => {
    const path = new Path();
    const waits: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      path.rounds(4, 100, 2);
      expect(path.chooser.choice).toBe("bbr");
      const from = path.now;
      while (path.chooser.choice === "bbr") path.round(2_500, 0);
      waits.push(Math.round((path.now - from) / 10_000));
    }
    expect(waits).toEqual([1, 2, 4]);
  });
});
