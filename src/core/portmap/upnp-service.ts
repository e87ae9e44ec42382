import { canonicalIp } from "../net/ip.ts";
import { canBeExternal } from "./gateway-address.ts";
import type { GatewayUrl } from "./gateway-url.ts";
import type { PortMapFailed } from "./protocol.ts";
import { parseDescription, type WanService } from "./upnp-description.ts";
import { call, failed, failure, fetchDescription, nextLocation, type Talk } from "./upnp-talk.ts";

export type FoundService = { readonly type: "found"; readonly service: WanService } | PortMapFailed;
export type ExternalAddress = { readonly type: "address"; readonly address: string } | PortMapFailed;

/**
 * Finds the gateway's service that maps ports, at the first of the places where it describes itself that names one. A
 * gateway with several WAN connections tells which one is up.
 */
export function* findService(gateway: string): Talk<FoundService> {
  let problem: PortMapFailed | undefined;
  for (let location = yield* nextLocation(); location !== undefined; location = yield* nextLocation()) {
    const described = yield* describe(gateway, location);
    if (described.type === "failed") problem ??= described;
    else return { type: "found", service: yield* connectedOf(described.services) };
  }
  return problem ?? failed("no-answer", `no UPnP gateway answered from ${gateway}`);
}

/** Asks for the address that mappings will have outside. */
export function* externalAddress(service: WanService): Talk<ExternalAddress> {
  const answer = yield* call(service, "GetExternalIPAddress", {});
  if (!answer.ok) return failure("GetExternalIPAddress", answer);
  const told = answer.values.get("NewExternalIPAddress") ?? "";
  const address = canonicalIp(told);
  if (told === "" || address === "0.0.0.0") return failed("no-external-address", "has no external address now");
  if (address !== undefined && canBeExternal(address)) return { type: "address", address };
  return failed(
    "bad-answer",
    `told an external address that is none: ${JSON.stringify(told.slice(0, MAX_TOLD_CHARS))}`,
  );
}

/** Of what a gateway says where an address should be, so much is shown. */
const MAX_TOLD_CHARS = 40;

type Described = { readonly type: "described"; readonly services: readonly WanService[] } | PortMapFailed;

function* describe(gateway: string, location: GatewayUrl): Talk<Described> {
  const what = `The description at port ${location.port}`;
  const result = yield* fetchDescription(location);
  if (!result.ok) return failure(what, result);
  if (result.status !== 200) return failure(what, { ok: false, kind: "http-status", status: result.status });
  const description = parseDescription(result.body, gateway, location);
  if (description.ok) return { type: "described", services: description.services };
  switch (description.kind) {
    case "no-wan-service":
      return failed("unsupported", `${what} names no service that maps ports`);
    case "leaves-gateway":
      return failed("bad-answer", `${what} leads away from the gateway`);
    default:
      return failed("bad-answer", `${what} cannot be read as XML (${description.kind})`);
  }
}

function* connectedOf(services: readonly WanService[]): Talk<WanService> {
  // Invariant: a description that was read has a service.
  const first = services[0] as WanService;
  if (services.length === 1) return first;
  for (const service of services) {
    const answer = yield* call(service, "GetStatusInfo", {});
    if (answer.ok && answer.values.get("NewConnectionStatus") === "Connected") return service;
  }
  return first;
}
