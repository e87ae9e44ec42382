import { ipScope } from "../net/ip.ts";

/**
 * Whether traffic of other hosts could arrive at `address` at all: no multicast, loopback or link-local address, and
 * not 0.0.0.0, which gateways give while their own line is down.
 */
export function canBeExternal(address: string): boolean {
  const scope = ipScope(address);
  return scope === "public" || scope === "private" || scope === "shared";
}
