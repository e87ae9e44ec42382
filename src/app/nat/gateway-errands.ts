import { randomBytes } from "node:crypto";
import type { Machine } from "../../core/machine.ts";
import { portMapClient } from "../../core/portmap/clients.ts";
import {
  type GatewayOffer,
  GatewayProbe,
  type GatewayProbeEvent,
  PROBE_SOCKETS,
} from "../../core/portmap/gateway-probe.ts";
import {
  type GatewayRequest,
  type GatewayResult,
  PORT_MAP_SOCKETS,
  type PortMapClientEvent,
  type PortMapFailed,
  type PortMapProtocol,
  type Transport,
} from "../../core/portmap/protocol.ts";
import { type ErrandEvent, UpnpErrand } from "../../core/portmap/upnp-errand.ts";
import { type Listing, listMappings, removeListed } from "../../core/portmap/upnp-listing.ts";
import type { Talk } from "../../core/portmap/upnp-talk.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { gatewayHttp } from "../../io/gateway-http.ts";
import type { MappingOwner } from "../../io/mapping-owner.ts";
import type { DefaultGateway } from "../../io/system/default-gateway.ts";
import { openFan } from "../../io/udp/udp-fan.ts";

/** A home router answers within milliseconds, but is asked for each mapping by itself. */
const LIST_LIMIT_MS = 15_000;
const REMOVE_LIMIT_MS = 10_000;

export interface RemovalOptions {
  readonly gateway: DefaultGateway;
  readonly owner: MappingOwner;
  readonly transport: Transport;
  readonly internalPort: number;
  readonly protocols: readonly PortMapProtocol[];
}

/** What came of asking by one protocol. */
export type Removal =
  /**
   * The gateway holds no mapping of that port by this protocol any more. PCP and NAT-PMP say so as well when there was
   * none; `externalPorts` are those that UPnP listed and removed.
   */
  | { readonly type: "gone"; readonly protocol: PortMapProtocol; readonly externalPorts: readonly number[] }
  | (PortMapFailed & { readonly protocol: PortMapProtocol });

/** What the gateway says that it forwards. Only UPnP can tell. Throws `io.bind`. */
export function listGatewayMappings(gateway: DefaultGateway): Promise<Listing | PortMapFailed> {
  return runErrand(gateway, listMappings(gateway.address), LIST_LIMIT_MS);
}

/**
 * Removes the mappings of one port of this host, whoever made them, by each of the protocols. PCP refuses where another
 * user's program made it (RFC 6887 §11.3). UPnP comes last: most gateways keep one table, and it shows what is left.
 * Throws `io.bind`.
 */
export async function removeGatewayMappings(options: RemovalOptions): Promise<Removal[]> {
  const datagram = options.protocols.filter((protocol) => protocol !== "upnp");
  const removals = await Promise.all(datagram.map((protocol) => unmap(options, protocol)));
  if (options.protocols.includes("upnp")) removals.push(await removeByUpnp(options));
  return removals;
}

/** What the gateway offers; nothing is mapped. Takes `limitMs` or 2 s at most, whichever is less. Throws `io.bind`. */
export function askGateway(gateway: DefaultGateway, limitMs: number): Promise<GatewayOffer> {
  const { address, localAddress } = gateway;
  const probe = new GatewayProbe({ now: now(), gateway: address, localAddress, limitMs });
  return runMachine<GatewayProbeEvent, GatewayOffer>(probe, gateway, PROBE_SOCKETS, (event) =>
    event.type === "offer" ? { result: event.offer } : undefined,
  );
}

async function unmap(options: RemovalOptions, protocol: PortMapProtocol): Promise<Removal> {
  const { gateway, owner, transport, internalPort } = options;
  const client = portMapClient(protocol, {
    random: (length) => randomBytes(length),
    gateway: gateway.address,
    localAddress: gateway.localAddress,
    transport,
    internalPort,
    externalPort: 0,
    leaseSeconds: 0,
    nonce: owner.nonceOf({ gateway: gateway.address, transport, internalPort }),
    description: "",
  });
  client.unmap(now());
  // The client's socket is the one of its own number.
  const sockets = PORT_MAP_SOCKETS[protocol] + 1;
  const end = await runMachine<PortMapClientEvent, PortMapClientEvent>(client, gateway, sockets, (event) => ({
    result: event,
  }));
  return end.type === "failed" ? { ...end, protocol } : { type: "gone", protocol, externalPorts: [] };
}

async function removeByUpnp({ gateway, transport, internalPort }: RemovalOptions): Promise<Removal> {
  const listing = await listGatewayMappings(gateway);
  if (listing.type === "failed") return { ...listing, protocol: "upnp" };
  const ours = listing.mappings.filter(
    (one) =>
      one.internalAddress === gateway.localAddress && one.internalPort === internalPort && one.transport === transport,
  );
  const externalPorts: number[] = [];
  for (const { externalPort } of ours) {
    const removed = await runErrand(gateway, removeListed(gateway.address, transport, externalPort), REMOVE_LIMIT_MS);
    if (removed.type === "failed") return { ...removed, protocol: "upnp" };
    externalPorts.push(externalPort);
  }
  return { type: "gone", protocol: "upnp", externalPorts };
}

function runErrand<Result>(gateway: DefaultGateway, talk: Talk<Result>, limitMs: number): Promise<Result> {
  const errand = new UpnpErrand({ now: now(), gateway: gateway.address, talk, limitMs });
  return runMachine<ErrandEvent<Result>, Result>(errand, gateway, 1, (event) =>
    event.type === "done" ? { result: event.result } : undefined,
  );
}

type Asking = { readonly type: "request"; readonly request: GatewayRequest };

interface GatewayMachine<Event> extends Machine<Event> {
  handleHttp(now: Instant, id: number, result: GatewayResult): void;
}

/** Runs a machine on so many sockets and HTTP until `endOf` finds its end among the events. */
async function runMachine<Event extends { readonly type: string }, End>(
  machine: GatewayMachine<Event>,
  gateway: DefaultGateway,
  sockets: number,
  endOf: (event: Event) => { readonly result: End } | undefined,
): Promise<End> {
  using fan = await openFan(Array.from({ length: sockets }, () => ({ address: gateway.localAddress })));
  using http = gatewayHttp(gateway.address, gateway.localAddress);
  const ended = Promise.withResolvers<End>();
  const request = async ({ request }: Asking) => {
    machine.handleHttp(now(), request.id, await http.request(request));
    driven.poke();
  };
  // What was told before there is something to poke waits for the end of `drive`.
  const driven = drive(machine, fan, (event) => {
    if (isAsking(event)) void request(event);
    const end = endOf(event);
    if (end !== undefined) ended.resolve(end.result);
  });
  using _ = driven;
  return await ended.promise;
}

function isAsking(event: { readonly type: string }): event is Asking {
  return event.type === "request";
}
