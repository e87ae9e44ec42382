import { isClockSynchronised } from "../../io/libc-clock.ts";
import type { Check } from "./check.ts";
import { type Finding, ok, skipped, warning } from "./finding.ts";

/** A clock that is set by NTP is right to a fraction of a second; what is farther off is set by nobody. */
const MAX_OFFSET_MS = 10_000;

/** Whether this machine's clock agrees with the server's, by what the server says of it; else whether anything sets it. */
export const clockCheck: Check = {
  name: "clock",
  doing: "comparing clocks",
  async run(scene) {
    const told = (await scene.talks).flatMap(({ talk }) => {
      if (talk.stage !== "greeted" || talk.clockOffsetMs === undefined) return [];
      return [{ offsetMs: talk.clockOffsetMs, rttMs: talk.rttMs }];
    });
    // The quickest answer is the most exact one.
    const [best] = told.sort((a, b) => a.rttMs - b.rttMs);
    return [
      best === undefined ? judgeUntold(isClockSynchronised(), scene.dials) : judgeOffset(best.offsetMs, best.rttMs),
    ];
  },
};

/** `offsetMs`: the server's clock minus this one's, known to half of `rttMs`. */
export function judgeOffset(offsetMs: number, rttMs: number): Finding {
  const apart = Math.max(0, Math.abs(offsetMs) - rttMs / 2);
  if (apart < MAX_OFFSET_MS)
    return ok(`the server's clock is the same to ${Math.max(0.1, apart / 1_000).toFixed(1)} s`);
  const direction = offsetMs > 0 ? "behind" : "ahead of";
  return warning(
    "clock-skew",
    `the clock here is ${span(apart)} ${direction} the server's: one of them is wrong`,
    ...SET,
  );
}

/** `isSet`: whether NTP sets this clock, undefined where nobody tells. */
export function judgeUntold(isSet: boolean | undefined, dials: boolean): Finding {
  const unasked = dials ? "the server did not tell its time, and " : "";
  if (isSet === undefined) return skipped(`because ${unasked}this system does not say whether anything sets its clock`);
  if (isSet) return ok("the kernel says that NTP keeps the clock right");
  return warning("clock-not-set", `${unasked}nothing sets this machine's clock, so the kernel says`, ...SET);
}

const SET = ["sudo timedatectl set-ntp true", "on macOS: sudo sntp -sS time.apple.com"];

function span(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} minutes`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} hours` : `${Math.round(seconds / 86_400)} days`;
}
