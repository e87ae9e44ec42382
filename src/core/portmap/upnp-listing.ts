import { canonicalIp } from "../net/ip.ts";
import type { GatewayMapping, PortMapFailed, Transport } from "./protocol.ts";
import { type Removed, removeMapping } from "./upnp-mapping.ts";
import { externalAddress, findService } from "./upnp-service.ts";
import { call, failure, type Talk } from "./upnp-talk.ts";

/** What a gateway says that it forwards. */
export interface Listing {
  readonly type: "listed";
  /** Undefined when it has none now, or tells nonsense. */
  readonly externalAddress: string | undefined;
  readonly mappings: readonly GatewayMapping[];
  /** False when it has more than `MAX_LISTED`, or stopped to answer on the way. */
  readonly isComplete: boolean;
}

/** Home routers hold 64 to 1,024 mappings and show each by a request of its own; a hostile one would never end. */
export const MAX_LISTED = 256;
const MAX_DESCRIPTION_CHARS = 64;
/** Codes that end a list: SpecifiedArrayIndexInvalid; the others are what some gateways say instead. */
const END_OF_LIST: readonly number[] = [713, 714, 402, 501];

/** Finds the gateway's service and asks for all of its mappings. */
export function* listMappings(gateway: string): Talk<Listing | PortMapFailed> {
  const found = yield* findService(gateway);
  if (found.type === "failed") return found;
  const external = yield* externalAddress(found.service);
  const address = external.type === "address" ? external.address : undefined;
  const mappings: GatewayMapping[] = [];
  for (let index = 0; index < MAX_LISTED; index++) {
    const answer = yield* call(found.service, "GetGenericPortMappingEntry", { NewPortMappingIndex: index });
    if (answer.ok) mappings.push(...readMapping(answer.values));
    else if (answer.kind === "fault" && END_OF_LIST.includes(answer.code))
      return { type: "listed", externalAddress: address, mappings, isComplete: true };
    else if (index === 0) return failure("GetGenericPortMappingEntry", answer);
    else break;
  }
  return { type: "listed", externalAddress: address, mappings, isComplete: false };
}

/** Finds the gateway's service and removes one mapping, whoever added it. */
export function* removeListed(gateway: string, transport: Transport, externalPort: number): Talk<Removed> {
  const found = yield* findService(gateway);
  return found.type === "failed" ? found : yield* removeMapping(found.service, transport, externalPort);
}

/** None when it is no mapping that a gateway could have. */
function readMapping(values: ReadonlyMap<string, string>): GatewayMapping[] {
  const text = (name: string) => values.get(name) ?? "";
  const transport = text("NewProtocol").toLowerCase();
  const [externalPort, internalPort] = [Number(text("NewExternalPort")), Number(text("NewInternalPort"))];
  const internalAddress = canonicalIp(text("NewInternalClient"));
  const leaseSeconds = Number(text("NewLeaseDuration"));
  if ((transport !== "udp" && transport !== "tcp") || internalAddress === undefined) return [];
  if (!isPort(externalPort) || !isPort(internalPort)) return [];
  return [
    {
      transport,
      externalPort,
      internalAddress,
      internalPort,
      enabled: /^(1|true|yes)$/i.test(text("NewEnabled")),
      // Whoever maps a port writes it, and a terminal shows it.
      description: text("NewPortMappingDescription")
        .replace(/[^ -~]+/g, " ")
        .slice(0, MAX_DESCRIPTION_CHARS),
      leaseSeconds: Number.isInteger(leaseSeconds) && leaseSeconds > 0 ? leaseSeconds : 0,
    },
  ];
}

function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= 65_535;
}
