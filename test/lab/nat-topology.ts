import { existsSync, writeFileSync } from "node:fs";
import { ADDRESSES, type HostName, type MapSpec } from "../contract/world.ts";
import { inside } from "./inside.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import type { NatSite } from "./nat-rules.ts";

/** A NAT of the map, by its name in `MapSpec`. */
export type NatPlace = "a" | "b" | "carrier";
export type Router = NatPlace | "internet";
export type Place = HostName | Router;

export interface NatTopology {
  readonly namespaces: ReadonlyMap<Place, Namespace>;
  readonly sites: ReadonlyMap<NatPlace, NatSite>;
}

/** A switch of a router, and who is plugged into it and routes everything through that router. */
interface Segment {
  readonly router: Router;
  readonly device: string;
  readonly gateway: string;
  readonly prefixLength: number;
  readonly members: readonly Member[];
}

interface Member {
  readonly place: Place;
  readonly device: string;
  readonly addresses: readonly string[];
}

/** Nobody limits how many ICMP errors are told: a scan's losses must be the scan's. */
const HOST_SYSCTLS = { "net.ipv4.icmp_ratemask": 0 };
const ROUTER_SYSCTLS = { ...HOST_SYSCTLS, "net.ipv4.ip_forward": 1, "net.ipv4.conf.all.send_redirects": 0 };

/**
 * Where the machine has `br_netfilter` loaded, switches hand their frames to the routers' rules, and a datagram that goes
 * back to where it came from is switched instead of routed, which means dropped.
 */
const SWITCHES_CALL_RULES = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/** Lays the map of test/contract/world.ts out in namespaces: cables, addresses and routes, no NAT yet. */
export async function layOut(lab: Lab, name: string, map: MapSpec, wanPrefix: string): Promise<NatTopology> {
  const segments = segmentsOf(map, wanPrefix);
  const routers = new Set<Place>(segments.map(({ router }) => router));
  const places = new Set([...routers, ...segments.flatMap(({ members }) => members.map(({ place }) => place))]);
  const namespaces = new Map<Place, Namespace>();
  await Promise.all(
    [...places].map(async (place) => {
      const sysctls = routers.has(place) ? ROUTER_SYSCTLS : HOST_SYSCTLS;
      const namespace = await lab.namespace(`${name}-${place}`, sysctls);
      inside(namespace, () => existsSync(SWITCHES_CALL_RULES) && writeFileSync(SWITCHES_CALL_RULES, "0"));
      namespaces.set(place, namespace);
    }),
  );
  // Invariant: every place has its namespace by now.
  const at = (place: Place) => namespaces.get(place) as Namespace;
  await Promise.all(segments.map((segment) => at(segment.router).ip(switchLines(segment, at))));
  await Promise.all(
    segments.flatMap((segment) => segment.members.map((member) => at(member.place).ip(memberLines(segment, member)))),
  );
  return { namespaces, sites: sitesOf(segments) };
}

function segmentsOf({ b, carrier, bothBehindCarrier = false }: MapSpec, wan: string): Segment[] {
  const host = (place: HostName, ...addresses: string[]) => ({ place, device: "eth0", addresses });
  const nat = (place: NatPlace, address: string) => ({ place, device: "wan", addresses: [address] });
  /** A provider's line to one subscriber: a network of two addresses. */
  const line = (place: NatPlace, first: number): Segment => ({
    router: "internet",
    device: `line-${place}`,
    gateway: `${wan}.${first}`,
    prefixLength: 30,
    members: [nat(place, `${wan}.${first + 1}`)],
  });
  const lan = (router: Router, gateway: string, ...members: Member[]): Segment => ({
    router,
    device: "lan",
    gateway,
    prefixLength: 24,
    members,
  });
  const { stun, stunSecond, peer, a1, a2, b1 } = ADDRESSES;
  const segments = [
    lan("internet", "203.0.113.1", host("stun", stun, stunSecond), host("peer", peer)),
    lan("a", ADDRESSES.gatewayA, host("a1", a1), host("a2", a2)),
  ];
  if (b !== undefined) segments.push(lan("b", ADDRESSES.gatewayB, host("b1", b1)));
  const subscribers = [nat("a", "100.64.0.2")];
  if (b !== undefined && bothBehindCarrier) subscribers.push(nat("b", "100.64.0.3"));
  if (carrier === undefined) segments.push(line("a", 1));
  else segments.push(line("carrier", 9), lan("carrier", "100.64.0.1", ...subscribers));
  if (b !== undefined && !(bothBehindCarrier && carrier !== undefined)) segments.push(line("b", 5));
  return segments;
}

function switchLines({ device, gateway, prefixLength, members }: Segment, at: (place: Place) => Namespace): string[] {
  return [
    // A bridge that snoops would keep SSDP from those who have not joined its group yet.
    `link add ${device} type bridge mcast_snooping 0`,
    `addr add ${gateway}/${prefixLength} dev ${device}`,
    `link set ${device} up`,
    ...members.flatMap(({ place, device: far }) => [
      `link add to-${place} type veth peer name ${far} netns ${at(place).name}`,
      `link set to-${place} master ${device} up`,
    ]),
  ];
}

function memberLines({ gateway, prefixLength }: Segment, { device, addresses }: Member): string[] {
  return [
    ...addresses.map((address) => `addr add ${address}/${prefixLength} dev ${device}`),
    `link set ${device} up`,
    `route add default via ${gateway}`,
  ];
}

function sitesOf(segments: readonly Segment[]): Map<NatPlace, NatSite> {
  const sites = new Map<NatPlace, NatSite>();
  for (const { router, gateway, prefixLength } of segments) {
    const wan = segments.flatMap(({ members }) => members).find(({ place }) => place === router)?.addresses[0];
    if (router !== "internet" && wan !== undefined) sites.set(router, { wan, lan: `${gateway}/${prefixLength}` });
  }
  return sites;
}
