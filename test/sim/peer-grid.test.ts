import { describe, expect, test } from "bun:test";
import type { NatKind } from "../../src/core/nat/direct-way.ts";
import type { HardNatMode } from "../../src/core/peer/peer-options.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { fuzzSeeds, SLOW_MACHINE_MS } from "../random.ts";
import { type LabPeer, PeerLab } from "./peer-lab.ts";
import { openSimWorld } from "./sim-world.ts";

type Kind = "open-filter" | "port-filter" | "symmetric" | "blocked";

/** Written by hand: which kinds behave alike. */
const KINDS = {
  "full-cone": "open-filter",
  "address-restricted": "open-filter",
  "full-cone-random-port": "open-filter",
  "address-restricted-random-port": "open-filter",
  "full-cone-hairpin": "open-filter",
  "port-restricted": "port-filter",
  "port-restricted-random-port": "port-filter",
  "port-restricted-hairpin": "port-filter",
  "port-restricted-accept": "port-filter",
  "port-restricted-reject": "port-filter",
  symmetric: "symmetric",
  "symmetric-sequential": "symmetric",
  blocked: "blocked",
} as const satisfies Partial<Record<NatName, Kind>>;
type Name = keyof typeof KINDS;
const NAMES = Object.keys(KINDS) as Name[];

/** Written by hand: what becomes of two kinds, and with hard-NAT punching if it is on. */
function expected(a: Name, b: Name, mode: HardNatMode): "ice" | "hardnat" | "relay" {
  const kinds: Kind[] = [KINDS[a], KINDS[b]];
  if (kinds.includes("blocked")) return "relay";
  if (!kinds.includes("symmetric")) return "ice";
  if (kinds.includes("open-filter")) return "ice";
  if (kinds.includes("port-filter")) return mode === "off" ? "relay" : "hardnat";
  return "relay";
}

function reportOf(name: Name): NatKind {
  const { filtering, udp } = NATS[name];
  if (!udp) return { type: "blocked", filtering: null };
  return { type: KINDS[name] === "symmetric" ? "symmetric" : "cone", filtering };
}

interface Cell {
  readonly path: string;
  readonly attempts: number;
  readonly firstMs: number;
  readonly lost: number;
  readonly doubled: number;
  readonly held: unknown;
}

const FLOW = 2;
const EVERY_MS = 100;
/** Two attempts with ICE, hard-NAT and the pause between them. */
const LIMIT_MS = 60_000;
const NOTHING = { pipes: 0, sessions: 0, sockets: 0 };

async function cell(a: Name, b: Name, mode: HardNatMode, seed: number): Promise<Cell> {
  await using world = openSimWorld({ a, b }, { seed });
  const lab = await PeerLab.open(world, { seed });
  const options = { hardNat: { mode, role: "auto" as const, assistDelayMs: 300, settings: PUNCH_DEFAULTS } };
  const office = await lab.start({ host: "b1", cn: "office", nat: reportOf(b), options });
  const home = await lab.start({ host: "a1", cn: "home", nat: reportOf(a), options });
  const begun = lab.now;
  let pipe = 0;
  home.do((peer, now) => {
    pipe = peer.open(now, "office", "wireguard");
  });
  let sent = 0;
  let isSending = true;
  const tick = () => {
    if (!isSending) return;
    const datagram = new TextEncoder().encode(String(sent++));
    home.do((peer, now) => peer.send(now, pipe, FLOW, datagram));
    const answering = office.received.at(-1)?.pipe;
    if (answering !== undefined) office.do((peer, now) => peer.send(now, answering, FLOW, datagram));
    lab.later(EVERY_MS, tick);
  };
  tick();
  const wanted = expected(a, b, mode) === "relay" ? 1 : 2;
  await world.until(() => [home, office].every((peer) => isDecided(peer, wanted)), LIMIT_MS);
  await lab.pass(2_000);
  isSending = false;
  await lab.pass(500);
  const answers = home.received.length;
  const result = {
    path: [home, office].map(pathOf).join(" "),
    attempts: home.reports.length,
    firstMs: (office.received[0]?.at ?? Number.POSITIVE_INFINITY) - begun,
    lost: sent - new Set(office.received.map(({ text }) => text)).size,
    doubled: office.received.length - sent + answers - new Set(home.received.map(({ text }) => text)).size,
  };
  home.do((peer, now) => peer.close(now, pipe, "done"));
  await lab.pass(1_000);
  const held = [home, office].map(({ peer, fan }) => ({ ...peer.holdings, fan: fan.size }));
  return { ...result, held };
}

/** Direct, or enough attempts have failed. */
function isDecided({ events, reports }: LabPeer, attempts: number): boolean {
  return events.some(({ type }) => type === "direct-up") || reports.length >= attempts;
}

function pathOf({ events, peer }: LabPeer): string {
  const up = events.findLast((event) => event.type === "direct-up");
  const [explained] = peer.explain(0);
  return explained?.route === "direct" && up?.type === "direct-up" ? up.path.meta.winner : (explained?.route ?? "none");
}

async function check(a: Name, b: Name, mode: HardNatMode, seed: number): Promise<Cell> {
  const { attempts, firstMs, ...seen } = await cell(a, b, mode, seed);
  const path = expected(a, b, mode);
  const held = [0, 1].map(() => ({ ...NOTHING, fan: 0 }));
  expect({ a, b, mode, seed, ...seen, isAtOnce: firstMs < 500, isWithinTwo: attempts <= 2 }).toEqual({
    ...{ a, b, mode, seed, path: `${path} ${path}`, lost: 0, doubled: 0, held, isAtOnce: true, isWithinTwo: true },
  });
  return { attempts, firstMs, ...seen };
}

describe("every NAT with every NAT, datagrams flow at once and", () => {
  for (const mode of ["off", "fallback", "assist"] as const)
    for (const a of NAMES)
      test(
        `${mode}: ${a} with each goes where it can`,
        async () => {
          for (const [index, b] of NAMES.entries()) await check(a, b, mode, 1_000 * index + NAMES.indexOf(a));
        },
        SLOW_MACHINE_MS,
      );

  test(
    "port-restricted with symmetric is direct at the first try, nearly always",
    async () => {
      const seeds = fuzzSeeds("peer grid", 20);
      let second = 0;
      for (const seed of seeds)
        for (const [a, b] of [
          ["port-restricted", "symmetric"],
          ["symmetric-sequential", "port-restricted-random-port"],
        ] as const)
          if ((await check(a, b, "assist", seed)).attempts > 1) second += 1;
      expect(second).toBeLessThanOrEqual(1);
    },
    SLOW_MACHINE_MS,
  );
});
