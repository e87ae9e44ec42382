import { UtError } from "../core/error.ts";
import type { CertificateInfo } from "../io/pki-describe.ts";
import type { PairFiles, PkiStore } from "../io/pki-store.ts";
import { formatTime } from "../io/pki-validity.ts";
import { integerFlag, type ParsedFlags, stringFlag, type Terminal } from "./command.ts";

const DAYS = { min: 1, max: 36_500 };
const DAY_MS = 86_400_000;

/** One subcommand with what it is called with: the parsed flags, the folder, the terminal, and the clock. */
export interface Call {
  readonly flags: ParsedFlags;
  readonly store: PkiStore;
  readonly terminal: Terminal;
  readonly now: Date;
}

export function requiredCn(flags: ParsedFlags, action: string): string {
  const cn = stringFlag(flags, "cn");
  if (cn === undefined)
    throw new UtError("usage.bad-flag", `Cannot ${action} a certificate without a name: add --cn NAME`);
  return cn;
}

export function daysFlag(flags: ParsedFlags): number | undefined {
  return integerFlag(flags, "days", DAYS);
}

export function describeRole(info: CertificateInfo): string {
  return info.names.length > 0 ? `client and server (${info.names.join(", ")})` : "client only (no --host)";
}

export function describeEnd(info: CertificateInfo, now: Date, days: number): string {
  const until = `valid until ${formatTime(info.notAfter)}`;
  const isCut = info.notAfter.getTime() < now.getTime() + (days - 1) * DAY_MS;
  return isCut ? `${until}, when its CA ends ("ut pki renew --ca" first for longer)` : until;
}

/** Errors of `io/pki.ts` know PEM texts and no files: says which of two files it was. */
export async function inFiles<Result>(files: PairFiles, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof UtError) || !/^pki\.(unreadable|mismatch|expired)$/.test(cause.kind)) throw cause;
    const details = { ...cause.details, ...files };
    throw new UtError(cause.kind, `${cause.message} (${files.cert}, ${files.key})`, { cause, details });
  }
}
