import { type Prefix, parsePrefix } from "../../core/socks/exit-scope.ts";
import { now } from "../../io/clock.ts";
import { ownAddresses } from "../../io/system/interfaces.ts";
import { localRoutes } from "../../io/system/local-routes.ts";

/** How long a look holds at least. */
const LOOK_MS = 1_000;
/** And so many times as long as it took: Linux tells of all its routes, which a router may have a million of. */
const REST = 100;

/** What leads to this host, looked up when it is asked for: its addresses, its local routes, and its router's address. */
export function ownAddressBook(reflexAddress: () => string | undefined): () => readonly Prefix[] {
  let known: readonly Prefix[] = [];
  let until = Number.NEGATIVE_INFINITY;
  return () => {
    const start = now();
    if (start < until) return known;
    const own = ownAddresses(["loopback", "link-local", "private", "shared", "public"]).map(({ address }) => address);
    known = [...own, ...localRoutes(), reflexAddress() ?? []].flat().flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix === undefined ? [] : [prefix];
    });
    until = now() + Math.max(LOOK_MS, REST * (now() - start));
    return known;
  };
}
