import type { PortMappingEvent } from "../../app/nat/port-mapping.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { ProtocolFailure } from "../../core/portmap/mapper-event.ts";
import type { PortMapProtocol, Transport } from "../../core/portmap/protocol.ts";
import type { DefaultGateway } from "../../io/system/default-gateway.ts";

/** How people write the protocols. */
export const PROTOCOL_NAMES: Readonly<Record<PortMapProtocol, string>> = {
  pcp: "PCP",
  "nat-pmp": "NAT-PMP",
  upnp: "UPnP",
};

export interface MappedPort {
  readonly gateway: DefaultGateway;
  readonly transport: Transport;
  readonly port: number;
}

/** `UDP port 51820 of 10.1.0.11` */
export function formatPort({ gateway, transport, port }: MappedPort): string {
  return `${transport.toUpperCase()} port ${port} of ${gateway.localAddress}`;
}

/** What a person is told of an event; undefined for what goes without saying. */
export function formatMapEvent(event: PortMappingEvent, mapped: MappedPort): string | undefined {
  const { gateway } = mapped;
  switch (event.type) {
    case "asking":
      return `asking ${gateway.address} by ${PROTOCOL_NAMES[event.protocol]}`;
    case "refused":
      return `  ${formatFailure(event)}`;
    case "installed":
      return `mapped ${formatEndpoint(event.external)} to ${formatPort(mapped)} by ${PROTOCOL_NAMES[event.protocol]}, ${formatLease(event.leaseSeconds)}`;
    case "behind-nat":
      return `mapped ${formatEndpoint(event.external)} to ${formatPort(mapped)} by ${PROTOCOL_NAMES[event.protocol]}, but that address is not a public one: ${gateway.address} stands behind another NAT, and the internet does not reach it`;
    case "renewed":
      return `renewed ${formatLease(event.leaseSeconds)}`;
    case "replaced":
      return `renewed ${formatLease(event.leaseSeconds)}, now at ${formatEndpoint(event.external)}`;
    case "renewal-failed":
      return `renewal failed ${event.failures === 1 ? "once" : `${event.failures} times`}: ${formatFailure(event)}`;
    case "revoked":
      return REVOKED[event.reason];
    case "unavailable":
      return `no mapping now; asking again in ${formatSpan(Math.round(event.retryMs / 1_000))}`;
    case "abandoned":
      return `${event.gateway} cannot be told any more: what it has mapped ends with its lease`;
    case "stopped":
      if (event.left.length === 0) return "removed";
      return `${gateway.address} did not confirm the removal: the mapping ends with its lease`;
    default:
      return event satisfies never;
  }
}

const REVOKED = {
  stopped: undefined,
  "renewal-failed": "the mapping is lost",
  "gateway-restarted": "the gateway restarted and forgot the mapping, or has another address: asking anew",
  "gateway-changed": "this machine is in another network now",
  "behind-nat": undefined,
} as const;

export function formatFailure({ protocol, message }: Pick<ProtocolFailure, "protocol" | "message">): string {
  return `${PROTOCOL_NAMES[protocol]}: ${message}`;
}

/** Why nothing could be done: a line for each protocol, and what to try. */
export function formatFailures(
  failures: readonly Pick<ProtocolFailure, "protocol" | "message">[],
  next: string,
): string {
  return [...failures.map((failure) => `  ${formatFailure(failure)}`), `Next: ${next}`].join("\n");
}

/** What to try after a port could not be mapped. */
export function adviceFor(failures: readonly ProtocolFailure[], gateway: DefaultGateway): string {
  const telling = ADVICE.find(([kind]) => failures.some((failure) => failure.kind === kind))?.[1];
  return (
    telling ??
    `switch on UPnP or NAT-PMP (PCP) in the settings of ${gateway.address}, or forward the port there by hand`
  );
}

/** The most telling kind first. */
const ADVICE: readonly (readonly [ProtocolFailure["kind"], string])[] = [
  ["not-reached", "look for a second router or a firewall between the gateway and the internet"],
  ["conflict", "try another port with --external"],
  ["no-resources", 'free a place in its table: "ut nat map" lists who has one'],
  ["no-external-address", "look whether the gateway's own line is up: it has no address outside"],
  [
    "address-mismatch",
    "look for another NAT between this machine and the gateway, such as a VPN or a virtual machine's",
  ],
  [
    "not-authorized",
    "allow port mapping for this machine in the gateway's settings, or try another port: many refuse those below 1024",
  ],
];
/** `for 2 h`, or `without end`. */
function formatLease(seconds: number): string {
  return Number.isFinite(seconds) ? `for ${formatSpan(seconds)}` : "without end";
}

/** `90 s`, `45 min`, `2.5 h`. */
export function formatSpan(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}
