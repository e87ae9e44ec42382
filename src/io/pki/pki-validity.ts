const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Anything with X.509 times, both inclusive (RFC 5280 §4.1.2.5). */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export type ValidityState = "valid" | "expired" | "not-yet-valid";

export function validityAt(validity: Validity, now: Date): ValidityState {
  if (now < validity.notBefore) return "not-yet-valid";
  return now > validity.notAfter ? "expired" : "valid";
}

/** Whole days until the end, negative once it is past. */
export function daysLeft(validity: Validity, now: Date): number {
  return Math.floor((validity.notAfter.getTime() - now.getTime()) / DAY_MS);
}

/** `"824 days left"`, `"expired 3 days ago"`, `"valid in 5 hours"`. */
export function formatTimeLeft(validity: Validity, now: Date): string {
  switch (validityAt(validity, now)) {
    case "valid":
      return `${formatSpan(validity.notAfter.getTime() - now.getTime())} left`;
    case "expired":
      return `expired ${formatSpan(now.getTime() - validity.notAfter.getTime())} ago`;
    case "not-yet-valid":
      return `valid in ${formatSpan(validity.notBefore.getTime() - now.getTime())}`;
  }
}

/** `2029-02-23 03:49:07Z`: certificates know seconds and UTC. */
export function formatTime(time: Date): string {
  return time.toISOString().replace("T", " ").replace(/\.\d+/, "");
}

function formatSpan(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} hours`;
  if (ms >= 2 * MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} minutes`;
  return `${Math.ceil(ms / 1000)} s`;
}
