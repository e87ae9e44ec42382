import type { Address } from "../../config/address.ts";
import type { Log } from "../../io/log/log.ts";
import { type Bind, openFan, type UdpFan } from "../../io/udp/udp-fan.ts";

const ANY_V4 = "0.0.0.0";
const ANY_V6 = "::";

/**
 * The UDP sockets of the direct plane, of `p2p.listen_addr`: the first is the one that everything about NATs goes by,
 * IPv4's wherever there is one; the second, of IPv6, may be missing where the system has none. Throws `io.bind` when the
 * first cannot be had.
 */
export async function openDirectSockets(listen: readonly Address[], log: Log): Promise<UdpFan> {
  const binds = bindsOf(listen);
  if (binds.length === 1) return openFan(binds);
  return openFan(binds).catch((error) => {
    log.info("second_socket_fail", { address: binds[1]?.address, port: binds[1]?.port, err: error });
    return openFan(binds.slice(0, 1));
  });
}

/** IPv4 first. The wildcard of both families alone is one of each. */
function bindsOf(listen: readonly Address[]): Bind[] {
  const [one] = listen;
  const all =
    listen.length === 1 && one?.host === ANY_V6 ? [{ host: ANY_V4, port: one.port }, one] : listen.toSorted(byFamily);
  return all.map(({ host: address, port }) => ({ address, port, dontFragment: true, ipv6Only: true }));
}

/** Names are bound as IPv4. */
function byFamily(one: Address, other: Address): number {
  return Number(one.host.includes(":")) - Number(other.host.includes(":"));
}
