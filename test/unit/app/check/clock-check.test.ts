import { describe, expect, test } from "bun:test";
import { judgeDoubt, judgeOffset, judgeUntold } from "../../../../src/app/check/clock-check.ts";

const SET = ["sudo timedatectl set-ntp true", "on macOS: sudo sntp -sS time.apple.com"];
const HOUR = 3_600_000;

describe("beside the server's clock", () => {
  test.each([
    [0, 20, "0.1 s"],
    [4_000, 20, "4.0 s"],
    // Nobody knows it better than half of the round trip.
    [-12_000, 8_000, "8.0 s"],
  ])("%d ms off after a round trip of %d ms is the same", (offsetMs, rttMs, span) => {
    expect(judgeOffset({ offsetMs, rttMs })).toEqual({
      verdict: "ok",
      text: `the server's clock is the same to ${span}`,
    });
  });

  test.each([
    [60_000, "60 s behind"],
    [-10 * 60_000, "10 minutes ahead of"],
    [3 * HOUR, "3 hours behind"],
    [-24 * 365 * HOUR, "365 days ahead of"],
  ])("%d ms off is not", (offsetMs, words) => {
    expect(judgeOffset({ offsetMs, rttMs: 20 })).toEqual({
      verdict: "warning",
      reason: "clock-skew",
      text: `the clock here is ${words} the server's: one of them is wrong`,
      remedy: SET,
    });
  });
});

test("beside certificates that seem to be of another time", () => {
  expect(judgeDoubt({ offsetMs: -800, rttMs: 20 })).toEqual({
    verdict: "ok",
    text: "the server's clock is the same: the certificates are out of date",
  });
  expect(judgeDoubt({ offsetMs: 400 * 24 * HOUR, rttMs: 20 })).toEqual({
    verdict: "failed",
    reason: "clock-wrong",
    text: "the clock here is 400 days behind the server's, and the certificates are of the server's time",
    remedy: SET,
  });
});

test("where no server told its time the kernel is asked whether anything sets the clock", () => {
  expect(judgeUntold(true, true)).toEqual({ verdict: "ok", text: "the kernel says that NTP keeps the clock right" });
  expect(judgeUntold(false, true)).toEqual({
    verdict: "warning",
    reason: "clock-not-set",
    text: "the server did not tell its time, and nothing sets this machine's clock, so the kernel says",
    remedy: SET,
  });
  expect(judgeUntold(undefined, false)).toEqual({
    verdict: "skipped",
    text: "because this system does not say whether anything sets its clock",
  });
});
