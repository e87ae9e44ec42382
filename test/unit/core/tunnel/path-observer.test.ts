import { describe, expect, test } from "bun:test";
import { type LaneSample, PathObserver } from "../../../../src/core/tunnel/path-observer.ts";

function lane(segmentsOut: number, retransmits: number, rttMs = 40, minRttMs = 40): LaneSample {
  return { segmentsOut, retransmits, rttMs, minRttMs, bytesAcked: segmentsOut * 1_000 };
}

const NOTHING = { segments: 0, bytes: 0, lostQueued: 0, lostUnqueued: 0 };

describe("path observer", () => {
  test("the first look at a lane tells nothing yet, the second what happened between", () => {
    const path = new PathObserver();
    expect(path.observe(0, new Map([[0, lane(10_000, 500)]]))).toEqual(NOTHING);
    expect(path.observe(50, new Map([[0, lane(10_100, 503)]]))).toEqual({
      segments: 100,
      bytes: 100_000,
      lostQueued: 0,
      lostUnqueued: 3,
    });
  });

  test("lanes add up, and a new connection under an old lane id does not count backwards", () => {
    const path = new PathObserver();
    path.observe(
      0,
      new Map([
        [0, lane(100, 0)],
        [1, lane(900, 9)],
      ]),
    );
    expect(
      path.observe(
        50,
        new Map([
          [0, lane(150, 1)],
          [1, lane(10, 5)],
        ]),
      ),
    ).toEqual({
      segments: 50,
      bytes: 50_000,
      lostQueued: 0,
      lostUnqueued: 1,
    });
  });

  test("a lane that went and came back is a new one", () => {
    const path = new PathObserver();
    path.observe(0, new Map([[0, lane(100, 0)]]));
    path.observe(50, new Map());
    expect(path.observe(100, new Map([[0, lane(200, 7)]]))).toEqual(NOTHING);
  });

  test("one lane that sees a queue speaks for all", () => {
    const path = new PathObserver();
    path.observe(
      0,
      new Map([
        [0, lane(0, 0, 41)],
        [1, lane(0, 0, 80)],
      ]),
    );
    const change = path.observe(
      50,
      new Map([
        [0, lane(100, 30, 41)],
        [1, lane(0, 0, 80)],
      ]),
    );
    expect(change).toEqual({ segments: 100, bytes: 100_000, lostQueued: 30, lostUnqueued: 0 });
  });

  test("a queue that has just drained still explains the losses that are repaired now", () => {
    const path = new PathObserver();
    path.observe(0, new Map([[0, lane(0, 0, 80)]]));
    expect(path.observe(250, new Map([[0, lane(100, 5, 42)]])).lostQueued).toBe(5);
    expect(path.observe(251, new Map([[0, lane(200, 10, 42)]])).lostUnqueued).toBe(5);
  });
});
