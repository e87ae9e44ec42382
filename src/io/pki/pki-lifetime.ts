import { UtError } from "../../core/error.ts";
import { formatTime, type Validity } from "./pki-validity.ts";

/** From when to when. `days` counts from `now`; an explicit bound wins and is taken as it is, for tests. */
export interface Lifetime {
  /** The clock, now by default. */
  readonly now?: Date;
  readonly days?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

export const DEFAULT_CA_DAYS = 3650;
/** Two years and a quarter: long enough to forget, so `ut pki show`, `ut check` and the log remind of it. */
export const DEFAULT_NODE_DAYS = 825;

const DAY_MS = 86_400_000;
/** Nodes whose clock is a little behind must not refuse a new certificate. */
const BACKDATE_MS = 5 * 60_000;
/** Certificate times have whole seconds; rounding down keeps a node inside its CA. */
export function lifetimeOf(options: Lifetime, defaultDays: number): Validity {
  const nowMs = (options.now ?? new Date()).getTime();
  return {
    notBefore: wholeSecond(options.notBefore ?? new Date(nowMs - BACKDATE_MS)),
    notAfter: wholeSecond(options.notAfter ?? new Date(nowMs + (options.days ?? defaultDays) * DAY_MS)),
  };
}

/**
 * A node that outlives its CA would only fail later, with nobody looking. Explicit bounds are the caller's.
 *
 * @throws UtError `pki.expired` where the CA itself is not valid now
 */
export function lifetimeWithin(
  ca: Validity & { readonly subject: string },
  options: Lifetime,
  defaultDays: number,
): Validity {
  const { notBefore, notAfter } = lifetimeOf(options, defaultDays);
  const now = options.now ?? new Date();
  if (options.notBefore === undefined && options.notAfter === undefined && (now < ca.notBefore || now > ca.notAfter))
    throw new UtError("pki.expired", whyNotNow(ca, now), { details: { notAfter: ca.notAfter } });
  return {
    notBefore: options.notBefore === undefined && notBefore < ca.notBefore ? ca.notBefore : notBefore,
    notAfter: options.notAfter === undefined && notAfter > ca.notAfter ? ca.notAfter : notAfter,
  };
}

function whyNotNow(ca: Validity & { readonly subject: string }, now: Date): string {
  const attempt = `Cannot sign with the CA "${ca.subject}"`;
  return now < ca.notBefore
    ? `${attempt}: it is valid from ${formatTime(ca.notBefore)}, and the clock here says ${formatTime(now)}: set the clock`
    : `${attempt}: it expired on ${formatTime(ca.notAfter)}: renew it with "ut pki renew --ca"`;
}

function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
