import { STUN_PORT } from "../app/nat/stun-servers.ts";
import { type Address, parseAddress } from "../config/address.ts";
import { canonicalIp, ipFamily } from "../core/net/ip.ts";

/** A STUN server as people type it: `HOST:PORT`, or `HOST` for port 3478. Throws `usage.bad-value`. */
export function stunAddress(text: string): Address {
  const bare = canonicalIp(text);
  if (bare !== undefined && ipFamily(bare) === 6) return { host: bare, port: STUN_PORT };
  return parseAddress(/:\d*$/.test(text) ? text : `${text}:${STUN_PORT}`, "target");
}
