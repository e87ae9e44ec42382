import type { PortMapFailed, Transport } from "../core/portmap/protocol.ts";
import { UpnpErrand } from "../core/portmap/upnp-errand.ts";
import { type Listing, listMappings, removeListed } from "../core/portmap/upnp-listing.ts";
import type { Removed } from "../core/portmap/upnp-mapping.ts";
import type { Talk } from "../core/portmap/upnp-talk.ts";
import { now } from "../io/clock.ts";
import { drive } from "../io/drive.ts";
import { gatewayHttp } from "../io/gateway-http.ts";
import { openFan } from "../io/udp-fan.ts";

/** Whom to ask, and from which of this host's addresses; as `defaultGateway` finds them. */
export interface GatewayAccess {
  readonly address: string;
  readonly localAddress: string;
}

/** A list is a request an entry, and old gateways take their time. */
const LIST_LIMIT_MS = 15_000;
const REMOVE_LIMIT_MS = 8_000;

/**
 * Everything that the gateway says it forwards, by UPnP: PCP and NAT-PMP cannot tell. Rejects with the reason of `signal`
 * when that fires, and with `io.bind` when there is no socket to be had.
 */
export function listGatewayMappings(gateway: GatewayAccess, signal: AbortSignal): Promise<Listing | PortMapFailed> {
  return run(gateway, listMappings(gateway.address), LIST_LIMIT_MS, signal);
}

/** Removes a mapping by UPnP, whoever added it; most gateways let a host remove only its own. Rejects as listing does. */
export function removeGatewayMapping(
  gateway: GatewayAccess,
  mapping: { readonly transport: Transport; readonly externalPort: number },
  signal: AbortSignal,
): Promise<Removed> {
  const talk = removeListed(gateway.address, mapping.transport, mapping.externalPort);
  return run(gateway, talk, REMOVE_LIMIT_MS, signal);
}

async function run<Result>(
  { address, localAddress }: GatewayAccess,
  talk: Talk<Result>,
  limitMs: number,
  signal: AbortSignal,
): Promise<Result> {
  signal.throwIfAborted();
  using fan = await openFan([{ address: localAddress }]);
  using http = gatewayHttp(address, localAddress);
  const errand = new UpnpErrand({ now: now(), gateway: address, talk, limitMs });
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const stop = () => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  using driven = drive(errand, fan, async (event) => {
    if (event.type === "done") resolve(event.result);
    else {
      const result = await http.request(event.request);
      errand.handleHttp(now(), event.request.id, result);
      driven.poke();
    }
  });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
