import type { RandomBytes } from "../machine.ts";
import type { PortMapFailed, Transport } from "./protocol.ts";
import type { WanService } from "./upnp-description.ts";
import { call, failed, failure, type Talk } from "./upnp-talk.ts";

/** One mapping as a gateway is asked for it. */
export interface MappingWish {
  readonly transport: Transport;
  readonly internalAddress: string;
  readonly internalPort: number;
  readonly externalPort: number;
  /** 0 without end. */
  readonly leaseSeconds: number;
  readonly description: string;
}

export type Added = { readonly type: "added"; readonly externalPort: number; readonly leaseSeconds: number };
export type Removed = { readonly type: "removed" } | PortMapFailed;

/** IGD:2 WANIPConnection:2 §2.3.16: the longest lease. */
const MAX_LEASE_SECONDS = 604_800;
/** The first one, one for each thing that gateways want otherwise, and some ports. */
const MAX_ATTEMPTS = 6;
/** Dynamic ports: nobody maps one of them by hand. */
const FIRST_RANDOM_PORT = 49_152;

/**
 * Adds a mapping, or renews the lease of one that is there. What a gateway wants otherwise it gets: another external
 * port, the same one as inside, no lease, the older action.
 *
 * @param isNew so that a gateway that can choose a free port itself may do so
 * @param mayAsk gets the external port of each request before it leaves, and ends it all with false
 */
export function* addMapping(
  service: WanService,
  wish: MappingWish,
  isNew: boolean,
  random: RandomBytes,
  mayAsk: (externalPort: number) => boolean,
): Talk<Added | PortMapFailed> {
  let action: AddAction = isNew && service.version >= 2 ? "AddAnyPortMapping" : "AddPortMapping";
  let now: MappingWish = { ...wish, leaseSeconds: Math.min(wish.leaseSeconds, MAX_LEASE_SECONDS) };
  let problem = failed("conflict", "has no external port that is free");
  for (let attempt = 0; attempt < MAX_ATTEMPTS && mayAsk(now.externalPort); attempt++) {
    const answer = yield* call(service, action, argumentsOf(now));
    if (answer.ok) return added(now, action, answer.values);
    problem = failure(action, answer);
    const remedy = answer.kind === "fault" ? remedyFor(answer.code, action, now) : "none";
    switch (remedy) {
      case "none":
        return problem;
      case "older-action":
        action = "AddPortMapping";
        break;
      case "no-lease":
        now = { ...now, leaseSeconds: 0 };
        break;
      case "same-port":
        now = { ...now, externalPort: now.internalPort };
        break;
      case "another-port":
        now = { ...now, externalPort: randomPort(random) };
        break;
      default:
        return remedy satisfies never;
    }
  }
  return problem;
}

/** Removes a mapping of ours. One that the gateway does not have is removed, too. */
export function* removeMapping(service: WanService, transport: Transport, externalPort: number): Talk<Removed> {
  const answer = yield* call(service, "DeletePortMapping", keyOf(transport, externalPort));
  if (answer.ok || (answer.kind === "fault" && answer.code === NO_SUCH_ENTRY)) return { type: "removed" };
  return failure("DeletePortMapping", answer);
}

/** Whether the gateway forwards that port to this host; true also when it does not say. */
export function* isOurs(service: WanService, wish: MappingWish): Talk<boolean> {
  const key = keyOf(wish.transport, wish.externalPort);
  const answer = yield* call(service, "GetSpecificPortMappingEntry", key);
  if (!answer.ok) return !(answer.kind === "fault" && answer.code === NO_SUCH_ENTRY);
  const client = answer.values.get("NewInternalClient");
  const port = Number(answer.values.get("NewInternalPort"));
  return client === wish.internalAddress && port === wish.internalPort;
}

type AddAction = "AddAnyPortMapping" | "AddPortMapping";
type Remedy = "none" | "older-action" | "no-lease" | "same-port" | "another-port";

const NO_SUCH_ENTRY = 714;

/** What to do about a refusal; codes as in `UPNP_ERRORS`. */
function remedyFor(code: number, action: AddAction, { leaseSeconds, externalPort, internalPort }: MappingWish): Remedy {
  switch (code) {
    case 401:
    case 602:
      return action === "AddAnyPortMapping" ? "older-action" : "none";
    // Many gateways that know no leases say InvalidArgs.
    case 402:
    case 725:
      return leaseSeconds === 0 ? "none" : "no-lease";
    case 724:
      return externalPort === internalPort ? "none" : "same-port";
    // Some say ActionFailed of a port that is taken (libtorrent's and miniupnpc's experience).
    case 501:
    case 718:
    case 729:
      return "another-port";
    default:
      return "none";
  }
}

function added(asked: MappingWish, action: AddAction, values: ReadonlyMap<string, string>): Added | PortMapFailed {
  const told = values.get("NewReservedPort");
  const externalPort = action === "AddAnyPortMapping" ? Number(told) : asked.externalPort;
  if (!Number.isInteger(externalPort) || externalPort < 1 || externalPort > 65_535)
    return failed("bad-answer", `${action} gave the external port ${JSON.stringify(told?.slice(0, 16))}`);
  return {
    type: "added",
    externalPort,
    leaseSeconds: asked.leaseSeconds === 0 ? Number.POSITIVE_INFINITY : asked.leaseSeconds,
  };
}

function randomPort(random: RandomBytes): number {
  const [high = 0, low = 0] = random(2);
  return FIRST_RANDOM_PORT + (((high << 8) | low) % (65_536 - FIRST_RANDOM_PORT));
}

function keyOf(transport: Transport, externalPort: number) {
  return { NewRemoteHost: "", NewExternalPort: externalPort, NewProtocol: transport.toUpperCase() };
}

/** In the order of the service's description, which some gateways count on. */
function argumentsOf(wish: MappingWish) {
  return {
    ...keyOf(wish.transport, wish.externalPort),
    NewInternalPort: wish.internalPort,
    NewInternalClient: wish.internalAddress,
    NewEnabled: 1,
    NewPortMappingDescription: wish.description,
    NewLeaseDuration: wish.leaseSeconds,
  };
}
