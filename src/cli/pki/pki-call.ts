import { UtError } from "../../core/error.ts";
import type { CertificateInfo } from "../../io/pki/pki-describe.ts";
import type { PairFiles, PkiStore } from "../../io/pki/pki-store.ts";
import { formatTime, type Validity, validityAt } from "../../io/pki/pki-validity.ts";
import { integerFlag, type ParsedFlags, stringFlag, type Terminal } from "../command.ts";

const DAYS = { min: 1, max: 36_500 };
const DAY_MS = 86_400_000;

/** One subcommand with what it is called with: the parsed flags, the folder, the terminal, and the clock. */
export interface Call {
  readonly flags: ParsedFlags;
  readonly store: PkiStore;
  readonly terminal: Terminal;
  readonly now: Date;
}

/** The name of the node, or `usage.bad-flag` with the advice. */
export function requiredCn(flags: ParsedFlags, advice: string): string {
  const cn = stringFlag(flags, "cn");
  if (cn === undefined) throw new UtError("usage.bad-flag", `Cannot tell which node: ${advice}`);
  return cn;
}

export function daysFlag(flags: ParsedFlags): number | undefined {
  return integerFlag(flags, "days", DAYS);
}

export function describeRole(info: CertificateInfo): string {
  return info.names.length > 0 ? `client and server (${info.names.join(", ")})` : "client only (no --host)";
}

/** `days` are those that were asked for: where the certificate ends sooner, says why. */
export function describeEnd(info: CertificateInfo, { store, now }: Call, days: number): string {
  const until = `valid until ${formatTime(info.notAfter)}`;
  const isCut = info.notAfter.getTime() < now.getTime() + (days - 1) * DAY_MS;
  return isCut ? `${until}, when its CA ends ("${store.commandLine("renew", "--ca")}" first for longer)` : until;
}

/** What becomes of a certificate of this CA that has got a successor: there is no revocation. */
export function describeOld(old: Validity, now: Date): string {
  return validityAt(old, now) === "expired"
    ? "the old certificate has ended"
    : `the old certificate works until ${formatTime(old.notAfter)}`;
}

/** Errors of `io/pki.ts` know PEM texts and no files: says which files it was, and what is left to do about them. */
export async function inFiles<Result>(files: PairFiles, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof UtError) || !/^pki\.(unreadable|mismatch|expired)$/.test(cause.kind)) throw cause;
    const details = { ...cause.details, ...files };
    const remedy = cause.kind === "pki.expired" ? "" : ": bring back good copies of both";
    throw new UtError(cause.kind, `${cause.message} (${files.cert}, ${files.key})${remedy}`, { cause, details });
  }
}
