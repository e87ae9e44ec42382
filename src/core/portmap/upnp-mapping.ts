import type { RandomBytes } from "../machine.ts";
import type { PortMapFailed, Transport } from "./protocol.ts";
import type { WanService } from "./upnp-description.ts";
import { type CallResult, call, failed, failure, type Talk } from "./upnp-talk.ts";

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

export interface AddOptions {
  /** The gateway does not have it yet: one that can choose a free port may do so. */
  readonly isNew: boolean;
  readonly random: RandomBytes;
  /** Gets the external port of each request before it leaves, and ends it all with false. */
  mayAsk(externalPort: number): boolean;
}

/**
 * Adds a mapping, or renews the lease of one that is there. What a gateway wants otherwise it gets: another external
 * port, the same one as inside, no lease, the older action.
 */
export function* addMapping(
  service: WanService,
  wish: MappingWish,
  { isNew, random, mayAsk }: AddOptions,
): Talk<Added | PortMapFailed> {
  let ask: Ask | undefined = {
    action: isNew && service.version >= 2 ? "AddAnyPortMapping" : "AddPortMapping",
    wish: { ...wish, leaseSeconds: Math.min(wish.leaseSeconds, MAX_LEASE_SECONDS) },
  };
  let problem = failed("conflict", "has no external port that is free");
  for (let asked = 0; asked < MAX_ATTEMPTS && ask !== undefined && mayAsk(ask.wish.externalPort); asked++) {
    const answer: CallResult = yield* call(service, ask.action, argumentsOf(ask.wish));
    if (answer.ok) return added(ask, answer.values);
    problem = failure(ask.action, answer);
    ask = answer.kind === "fault" ? adjusted(ask, answer.code, random) : undefined;
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

interface Ask {
  readonly action: "AddAnyPortMapping" | "AddPortMapping";
  readonly wish: MappingWish;
}

const NO_SUCH_ENTRY = 714;

/** What to ask instead after a refusal, if there is something; codes as in `UPNP_ERRORS`. */
function adjusted({ action, wish }: Ask, code: number, random: RandomBytes): Ask | undefined {
  switch (code) {
    case 401:
    case 602:
      return action === "AddAnyPortMapping" ? { action: "AddPortMapping", wish } : undefined;
    // Many gateways that know no leases say InvalidArgs.
    case 402:
    case 725:
      return wish.leaseSeconds === 0 ? undefined : { action, wish: { ...wish, leaseSeconds: 0 } };
    case 724:
      return wish.externalPort === wish.internalPort
        ? undefined
        : { action, wish: { ...wish, externalPort: wish.internalPort } };
    // Some say ActionFailed of a port that is taken (libtorrent's experience).
    case 501:
    case 718:
    case 729:
      return { action, wish: { ...wish, externalPort: randomPort(random) } };
    default:
      return undefined;
  }
}

function added({ action, wish }: Ask, values: ReadonlyMap<string, string>): Added | PortMapFailed {
  const told = values.get("NewReservedPort");
  const externalPort = action === "AddAnyPortMapping" ? Number(told) : wish.externalPort;
  if (!Number.isInteger(externalPort) || externalPort < 1 || externalPort > 65_535)
    return failed("bad-answer", `${action} gave the external port ${JSON.stringify(told?.slice(0, 16))}`);
  const leaseSeconds = wish.leaseSeconds === 0 ? Number.POSITIVE_INFINITY : wish.leaseSeconds;
  return { type: "added", externalPort, leaseSeconds };
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
