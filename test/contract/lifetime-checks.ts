import type { NatCheck, Observation } from "./nat-contract.ts";
import { startRaw } from "./raw-machine.ts";
import { Silence } from "./silence.ts";
import { ADDRESSES, type World } from "./world.ts";

const PEER = { address: ADDRESSES.peer, port: 7_000 };
/** Sockets of a1: one that is left alone, one that peer goes on sending to, and their ports. */
const SILENT = 0;
const KEPT = 1;
const PORTS = [5_000, 5_001];

/** A mapping of 5 s, whose peer speaks again within its life and, to one of two sockets, after it. */
export const lifetimeChecks: readonly NatCheck[] = [
  {
    name: "lifetime of a mapping",
    map: { a: "short-lived" },
    expected: { "after 2 s": "both", "after 5.5 s of silence": "the one that was kept alive" },
    observe: observeLifetime,
  },
];

async function observeLifetime(world: World): Promise<Observation> {
  const silence = await Silence.around(world);
  const peer = await startRaw(world, "peer", [PEER]);
  const a1 = await startRaw(
    world,
    "a1",
    PORTS.map((port) => ({ port })),
  );
  const both = () => [SILENT, KEPT].filter((socket) => a1.seenFrom(socket, PEER) !== undefined).length === 2;
  for (const socket of [SILENT, KEPT]) a1.ask(socket, PEER);
  await silence.until(both);

  const reach = async (text: string, ...sockets: number[]): Promise<string> => {
    for (const socket of sockets) peer.send(0, { address: ADDRESSES.natA, port: PORTS[socket] ?? 0 }, text);
    await silence.until(() => sockets.every((socket) => a1.hears(socket, text)));
    const [silent, kept] = [a1.hears(SILENT, text), a1.hears(KEPT, text)];
    if (silent && kept) return "both";
    return kept ? "the one that was kept alive" : silent ? "the silent one" : "none";
  };

  await pass(world, 2_000);
  const early = await reach("after 2 s", SILENT, KEPT);
  await pass(world, 3_000);
  await reach("meanwhile", KEPT);
  await pass(world, 2_500);
  return { "after 2 s": early, "after 5.5 s of silence": await reach("in the end", SILENT, KEPT) };
}

async function pass(world: World, ms: number): Promise<void> {
  await world.until(() => false, ms);
}
