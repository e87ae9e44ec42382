import type { NatKind } from "../../core/nat/direct-way.ts";
import { type Endpoint, parseEndpoint } from "../../core/net/endpoint.ts";
import { ipFamily, ipScope } from "../../core/net/ip.ts";
import { formatMs } from "../table.ts";
import type { ExplainedNode, ExplainedPipe } from "./nat-explain-node.ts";

const CARRIES = "▶ ";
const RESTS = "  ";
const BUSY_ARROW = " ══▶ ";
const IDLE_ARROW = " ──▶ ";
const NO_WAY = " ──╳ ";

interface Way {
  readonly isUsed: boolean;
  readonly text: string;
  readonly note: string;
}

/** Both ways to the peer; an arrowhead stands before the one that carries datagrams now. */
export function trafficPicture(pipe: ExplainedPipe, node: ExplainedNode): string[] {
  if (pipe.state !== "open") return [];
  const ways = [...directWays(pipe, node), relayWay(pipe, node)].sort((a, b) => Number(b.isUsed) - Number(a.isUsed));
  const width = Math.max(...ways.map(({ text }) => text.length));
  return ways.map(({ isUsed, text, note }) => `${isUsed ? CARRIES : RESTS}${text.padEnd(width)}  ${note}`.trimEnd());
}

function relayWay({ peer, route, relayRttMs }: ExplainedPipe, { cn, server }: ExplainedNode): Way {
  const isUsed = route !== "direct";
  const stations = [cn, server === undefined ? "server" : `server ${server}`, peer];
  return { isUsed, text: stations.join(isUsed ? BUSY_ARROW : IDLE_ARROW), note: roundTrip(relayRttMs) };
}

function directWays(pipe: ExplainedPipe, { cn, outside }: ExplainedNode): Way[] {
  const { peer, route, direct, directRttMs, ownNat, peerNat, peerReflex } = pipe;
  const remote = parseEndpoint(direct?.remote ?? "");
  if (direct !== null && remote !== undefined) {
    const isUsed = route !== "relay";
    const isAcross = crossesNat(remote);
    const own = isAcross ? natStation(ownNat, addressOf(outside)) : [];
    const behind = isAcross ? natStation(peerNat, direct.remote) : [];
    const end = behind.length === 0 ? [`${peer} ${direct.remote}`] : [...behind, peer];
    const text = [cn, ...own, ...end].join(isUsed ? BUSY_ARROW : IDLE_ARROW);
    return [{ isUsed, text, note: roundTrip(directRttMs ?? direct.rttMs) }];
  }
  if (pipe.attempts.length === 0) return [];
  const own = [cn, ...natStation(ownNat, addressOf(outside))].join(IDLE_ARROW);
  const theirs = [...natStation(peerNat, addressOf(peerReflex)), peer].join(IDLE_ARROW);
  return [{ isUsed: false, text: `${own}${NO_WAY}${theirs}`, note: "not open" }];
}

function natStation(nat: NatKind | null, address: string | undefined): string[] {
  if (nat?.type === "blocked") return ["UDP blocked"];
  if (nat?.type !== "cone" && nat?.type !== "symmetric") return [];
  return [address === undefined ? "NAT" : `NAT ${address}`];
}

/** Hosts of one network, and those of IPv6, reach each other without one. */
function crossesNat({ address }: Endpoint): boolean {
  return ipFamily(address) === 4 && ipScope(address) === "public";
}

function addressOf(endpoint: string | null | undefined): string | undefined {
  return parseEndpoint(endpoint ?? "")?.address;
}

function roundTrip(rttMs: number | null): string {
  return rttMs === null ? "" : `${formatMs(rttMs)} ms`;
}
