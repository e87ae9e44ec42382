import { expect, test } from "bun:test";
import { LaneRecords } from "../../../../src/app/tunnel/lane-records.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";

test("a lane has an age, its number the last end that somebody can read", () => {
  const records = new LaneRecords();
  const lane = new Lane(3);
  records.opened(lane, 1_000);
  expect(records.ageOf(lane, 4_000)).toBe(3_000);
  expect(records.endOf(3, 4_000)).toBe(null);
  records.closed(lane, 5_000, undefined);
  expect(records.endOf(3, 6_000)).toEqual({
    times: 1,
    agoMs: 1_000,
    isAgreed: false,
    reason: "the other end closed it",
  });
  records.failed(3, 7_000, new Error("connection refused"));
  expect(records.endOf(3, 7_500)).toEqual({ times: 2, agoMs: 500, isAgreed: false, reason: "connection refused" });
  expect([...records.ids]).toEqual([3]);
});

test("an end that was agreed on is no fault", () => {
  const records = new LaneRecords();
  const lane = new Lane(0);
  lane.saidGoodbye = true;
  records.closed(lane, 0, undefined);
  expect(records.endOf(0, 0)).toEqual({ times: 1, agoMs: 0, isAgreed: true, reason: "both ends agreed" });
});
