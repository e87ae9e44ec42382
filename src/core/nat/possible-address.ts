import type { Endpoint } from "../net/endpoint.ts";
import { type IpScope, ipFamily, ipScope } from "../net/ip.ts";

/**
 * Whether what a server said can be an address to send to: unicast, of the same family, and of no less reach than
 * `from`, which named it. Nobody gets us to send to whole networks, or to this host itself.
 */
export function isPossible({ address, port }: Endpoint, { address: from }: Endpoint): boolean {
  const reach = REACH[ipScope(address)];
  return port !== 0 && ipFamily(address) === ipFamily(from) && reach > 0 && reach >= REACH[ipScope(from)];
}

/** How far an address means something; 0: it is nobody's. */
const REACH: Readonly<Record<IpScope, number>> = {
  unspecified: 0,
  multicast: 0,
  loopback: 1,
  "link-local": 2,
  private: 3,
  shared: 3,
  public: 4,
};
