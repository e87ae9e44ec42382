import { describe, expect, test } from "bun:test";
import { CongestionChooser, type LaneSample } from "../../../../src/core/tunnel/congestion.ts";

/** One lane on a path of 40 ms, told round by round how many segments it sent, how many it lost and its round trip. */
class Path {
  readonly chooser = new CongestionChooser();
  now = 0;
  #sample: LaneSample = { segmentsOut: 0, retransmits: 0, rttMs: 40, minRttMs: 40 };

  round(segments: number, lost: number, rttMs: number): string {
    this.now += 50;
    this.#sample = {
      segmentsOut: this.#sample.segmentsOut + segments,
      retransmits: this.#sample.retransmits + lost,
      rttMs,
      minRttMs: 40,
    };
    this.chooser.sample(this.now, new Map([[0, this.#sample]]));
    return this.chooser.choice;
  }

  rounds(count: number, segments: number, lost: number, rttMs: number): string {
    for (let i = 0; i < count; i++) this.round(segments, lost, rttMs);
    return this.chooser.choice;
  }
}

describe("congestion chooser", () => {
  test("starts with CUBIC and stays there while nothing is lost", () => {
    expect(new Path().rounds(1_000, 400, 0, 40)).toBe("cubic");
  });

  test("two losses with the round trip at its shortest: the path loses at random, BBR", () => {
    const path = new Path();
    path.round(100, 0, 41);
    expect(path.round(100, 1, 41)).toBe("cubic");
    expect(path.round(100, 1, 42)).toBe("bbr");
    expect(path.chooser.switches).toBe(1);
  });

  test("losses behind a queue are CUBIC's own sawtooth", () => {
    expect(new Path().rounds(500, 400, 3, 85)).toBe("cubic");
  });

  test("a queue that has just drained still explains the losses that are repaired now", () => {
    const path = new Path();
    path.rounds(20, 400, 0, 85);
    expect(path.rounds(4, 400, 10, 42)).toBe("cubic");
    expect(path.rounds(4, 400, 10, 42)).toBe("bbr");
  });

  test("one lane that sees the queue speaks for the others", () => {
    const chooser = new CongestionChooser();
    const lanes = (lost: number): Map<number, LaneSample> =>
      new Map([
        [0, { segmentsOut: 1_000 + lost, retransmits: lost, rttMs: 41, minRttMs: 40 }],
        [1, { segmentsOut: 9_000, retransmits: 0, rttMs: 80, minRttMs: 40 }],
      ]);
    chooser.sample(0, lanes(0));
    chooser.sample(50, lanes(30));
    expect(chooser.choice).toBe("cubic");
  });

  test("very rare losses do not matter", () => {
    const path = new Path();
    for (let i = 0; i < 50; i++) {
      path.rounds(9, 1_000, 0, 41);
      path.round(1_000, i % 2, 41);
    }
    expect(path.chooser.choice).toBe("cubic");
  });

  test("BBR that fills the buffer of a clean link gives way to CUBIC, but not at once again", () => {
    const path = new Path();
    path.rounds(4, 100, 2, 41);
    expect(path.chooser.choice).toBe("bbr");
    expect(path.rounds(20, 400, 20, 90)).toBe("bbr");
    path.now += 11_000;
    expect(path.rounds(20, 400, 20, 90)).toBe("cubic");
  });

  test("BBR that loses nothing for long gives way to CUBIC", () => {
    const path = new Path();
    path.rounds(4, 100, 2, 41);
    path.now += 11_000;
    expect(path.rounds(10, 400, 0, 42)).toBe("bbr");
    expect(path.rounds(60, 400, 0, 42)).toBe("cubic");
  });

  test("each time CUBIC turns out wrong it waits twice as long", () => {
    const path = new Path();
    const waits: number[] = [];
    for (let turn = 0; turn < 3; turn++) {
      path.rounds(4, 100, 2, 41);
      expect(path.chooser.choice).toBe("bbr");
      const from = path.now;
      while (path.chooser.choice === "bbr") path.round(2_500, 0, 41);
      waits.push(Math.round((path.now - from) / 10_000));
    }
    expect(waits).toEqual([1, 2, 4]);
  });

  test("a new connection under the same lane id does not count backwards", () => {
    const chooser = new CongestionChooser();
    const lane = (segmentsOut: number, retransmits: number): LaneSample => ({
      segmentsOut,
      retransmits,
      rttMs: 40,
      minRttMs: 40,
    });
    chooser.sample(0, new Map([[0, lane(10_000, 500)]]));
    chooser.sample(50, new Map([[0, lane(10, 5)]]));
    expect(chooser.choice).toBe("cubic");
  });
});
