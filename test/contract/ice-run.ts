import { formatEndpoint } from "../../src/core/net/endpoint.ts";
import { StunServer } from "../../src/core/stun/server.ts";
import type { Random } from "../random.ts";
import { IcePeer, type IcePeerEvent, type IcePeerOptions } from "./ice-peer.ts";
import { ADDRESSES, type HostName, type Running, type World } from "./world.ts";

const STUN = { address: ADDRESSES.stun, port: 3_478 };
const PORT = 5_000;

/** Not answered at all, a STUN server is given up after 40 s. */
const GATHER_LIMIT_MS = 60_000;
const ICE_LIMIT_MS = 15_000;
/** A word is said so often, as networks lose. */
const WORDS = 10;
const WORD_LIMIT_MS = 300;

export interface IceEnd extends Partial<Pick<IcePeerOptions, "controlling" | "mapped" | "tellsHosts">> {
  readonly host: HostName | (string & {});
  /** Where it has a socket each; one at the host's address unless told. */
  readonly addresses?: readonly string[];
}

export interface IceRun {
  readonly peers: readonly [Running<IcePeer>, Running<IcePeer>];
  /** What each end ended with: the type of the candidate that it sends to, or why to none. */
  readonly ends: readonly [string, string];
  /** From the moment at which both were told to begin. */
  readonly ms: number;
}

/** Starts both ends on a world, lets them gather, tells each of the other and waits for what they say. */
export async function runIce(
  world: World,
  random: Random,
  ends: readonly [IceEnd, IceEnd],
  { skewMs = 0 }: { readonly skewMs?: number } = {},
): Promise<IceRun> {
  await world.start("stun", [STUN], () => new StunServer({ sockets: [STUN] }));
  const one = await startPeer(world, random, { controlling: true, ...ends[0] });
  const other = await startPeer(world, random, { controlling: false, ...ends[1] });
  await world.until(() => one.machine.gathered && other.machine.gathered, GATHER_LIMIT_MS);
  const peers = [one, other] as const;
  const startedAt = world.now();
  await connect(world, peers, skewMs);
  return { peers, ends: [endOf(one.events[0]), endOf(other.events[0])], ms: world.now() - startedAt };
}

/** Tells each of the other's newest agent, the second `skewMs` later, and waits until that has selected or failed. */
export async function connect(world: World, peers: IceRun["peers"], skewMs = 0): Promise<void> {
  const [one, other] = peers;
  const counts = peers.map(({ events }) => events.length);
  one.machine.connect(world.now(), other.machine);
  one.poke();
  if (skewMs > 0) await world.until(() => false, skewMs);
  other.machine.connect(world.now(), one.machine);
  other.poke();
  await world.until(() => peers.every(({ events }, index) => events.length > (counts[index] ?? 0)), ICE_LIMIT_MS);
}

/**
 * Each says a word over what it has selected. What comes of it: `straight` if both are heard, each from where the hearer
 * sends to.
 */
export async function talk(world: World, { peers }: Pick<IceRun, "peers">): Promise<string> {
  const [one, other] = peers;
  const hears = ({ machine }: Running<IcePeer>, word: string) => machine.heard.find(({ text }) => text === word);
  const word = `word ${world.now()}`;
  const canTalk = peers.some(({ events }) => events.some(({ type }) => type === "selected"));
  for (let said = 0; said < WORDS && canTalk; said++) {
    for (const peer of peers) {
      peer.machine.say(word);
      peer.poke();
    }
    if (await world.until(() => peers.every((peer) => hears(peer, word)), WORD_LIMIT_MS)) break;
  }
  const seen = [one, other].map((peer) => {
    const from = hears(peer, word)?.from;
    const selected = peer.events.findLast((event) => event.type === "selected");
    if (from === undefined) return "nothing heard";
    const [actual, expected] = [formatEndpoint(from), selected && formatEndpoint(selected.remote.endpoint)];
    return actual === expected ? "straight" : `heard from ${actual}, sends to ${expected}`;
  });
  return seen[0] === seen[1] ? (seen[0] as string) : seen.join(" | ");
}

async function startPeer(world: World, random: Random, end: IceEnd & { controlling: boolean }) {
  const { host, addresses, ...options } = end;
  const own = addresses ?? [ADDRESSES[host as HostName]];
  const hosts = own.map((address) => ({ address, port: PORT }));
  return await world.start(host as HostName, hosts, (_, now) => {
    return new IcePeer({ now, random: (length) => random.bytes(length), hosts, stun: STUN, ...options });
  });
}

function endOf(event: IcePeerEvent | undefined): string {
  if (event === undefined) return "nothing";
  return event.type === "selected" ? event.remote.type : event.type === "failed" ? event.cause : event.type;
}
