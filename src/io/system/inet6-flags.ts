import { readFileSync } from "node:fs";
import { canonicalIp } from "../../core/net/ip.ts";

/** What the system thinks of one of its IPv6 addresses. */
export interface Inet6Flags {
  /** Made to hide who this host is, and changed now and then (RFC 8981). */
  readonly isTemporary: boolean;
  /** Not to be used for anything new, or not yet proven to be nobody else's (RFC 4862 §5.4, §5.5.4). */
  readonly isUnfit: boolean;
}

/** linux/if_addr.h. */
const IFA_F_TEMPORARY = 0x01;
const IFA_F_DADFAILED = 0x08;
const IFA_F_DEPRECATED = 0x20;
const IFA_F_TENTATIVE = 0x40;
const IFA_F_OPTIMISTIC = 0x04;

/** By address. Linux tells them; elsewhere nothing is known of any. */
export function inet6Flags(path = "/proc/net/if_inet6"): ReadonlyMap<string, Inet6Flags> {
  try {
    return parseInet6Flags(readFileSync(path, "latin1"));
  } catch {
    return new Map();
  }
}

/** One address a line: 32 hex digits, interface index, prefix length, scope, flags, interface name (proc(5)). */
export function parseInet6Flags(text: string): Map<string, Inet6Flags> {
  const known = new Map<string, Inet6Flags>();
  for (const line of text.split("\n")) {
    const [, digits = "", flagText = ""] = /^([0-9a-f]{32}) +\S+ +\S+ +\S+ +([0-9a-f]+) /.exec(line) ?? [];
    const address = canonicalIp((digits.match(/.{4}/g) ?? []).join(":"));
    if (address === undefined) continue;
    const flags = Number.parseInt(flagText, 16);
    const isTentative = (flags & IFA_F_TENTATIVE) !== 0 && (flags & IFA_F_OPTIMISTIC) === 0;
    known.set(address, {
      isTemporary: (flags & IFA_F_TEMPORARY) !== 0,
      isUnfit: isTentative || (flags & (IFA_F_DADFAILED | IFA_F_DEPRECATED)) !== 0,
    });
  }
  return known;
}
