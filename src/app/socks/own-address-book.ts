import { now } from "../../io/clock.ts";
import { ownAddresses } from "../../io/system/interfaces.ts";
import { leadsHere } from "../../io/system/leads-here.ts";

/** How long what was found holds, and of how many addresses. */
const LOOK_MS = 1_000;
const MAX_KNOWN = 1_024;

/**
 * Whether an address, in canonical text, leads to this host: an interface has it, or a route keeps it here, or its
 * router is known by it.
 */
export function ownAddressBook(reflexAddress: () => string | undefined): (address: string) => boolean {
  const known = new Map<string, boolean>();
  let own: ReadonlySet<string> = new Set();
  let until = Number.NEGATIVE_INFINITY;
  return (address) => {
    if (now() >= until) {
      until = now() + LOOK_MS;
      const all = ownAddresses(["loopback", "link-local", "private", "shared", "public"]);
      own = new Set(all.map((one) => one.address));
      known.clear();
    }
    const isOwn = known.get(address) ?? (own.has(address) || address === reflexAddress() || leadsHere(address));
    if (known.size < MAX_KNOWN) known.set(address, isOwn);
    return isOwn;
  };
}
