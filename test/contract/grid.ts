import type { HardNatMode } from "../../src/core/peer/peer-options.ts";
import type { NatName } from "./nat-spec.ts";

/** How NATs differ for two that punch: whose port is found out once, who lets whom in, who lets nobody. */
type Kind = "open-filter" | "port-filter" | "symmetric" | "blocked";

/** Written by hand, and not taken from the product's matrix: which NATs behave alike. */
const KINDS = {
  "full-cone": "open-filter",
  "address-restricted": "open-filter",
  "port-restricted": "port-filter",
  symmetric: "symmetric",
  "symmetric-sequential": "symmetric",
  blocked: "blocked",
  "full-cone-random-port": "open-filter",
  "address-restricted-random-port": "open-filter",
  "port-restricted-random-port": "port-filter",
  "full-cone-hairpin": "open-filter",
  "port-restricted-hairpin": "port-filter",
  "port-restricted-accept": "port-filter",
  "port-restricted-reject": "port-filter",
} as const satisfies Partial<Record<NatName, Kind>>;

export type GridNat = keyof typeof KINDS;
/** The six that differ most come first. */
export const GRID_NATS = Object.keys(KINDS) as GridNat[];

export type GridMode = Exclude<HardNatMode, "force">;
export const GRID_MODES: readonly GridMode[] = ["off", "fallback", "assist"];

/** Which way datagrams end up going: by plain punching, by hard-NAT, or where they were. */
export type Way = "ice" | "hardnat" | "relay";

/** Written by hand: what must become of two NATs, whichever of them starts. */
export function expectedWay(a: GridNat, b: GridNat, mode: GridMode): Way {
  const kinds: Kind[] = [KINDS[a], KINDS[b]];
  if (kinds.includes("blocked")) return "relay";
  if (!kinds.includes("symmetric")) return "ice";
  if (kinds.includes("open-filter")) return "ice";
  if (kinds.includes("port-filter")) return mode === "off" ? "relay" : "hardnat";
  return "relay";
}

/** What became of one pair of NATs, in either laboratory. */
export interface GridCell {
  readonly a: GridNat;
  readonly b: GridNat;
  readonly mode: GridMode;
  readonly expected: Way;
  /** As both ends say; `X | Y` where they do not agree. */
  readonly way: string;
  /** Of the end that opened the pipe. */
  readonly attempts: number;
  /** From the pipe's opening, over the server, until datagrams went straight; null if they never did. */
  readonly directMs: number | null;
  /** Packets that hard-NAT sent, at both ends. */
  readonly probes: number;
  /** A stream from the first moment on: until the first datagram was through, and what became of all. */
  readonly firstBackMs: number;
  readonly sent: number;
  readonly lost: number;
  readonly doubled: number;
}

/** Flowing that began later than this did not begin at once. */
export const AT_ONCE_MS = 1_000;

/** What is wrong with a cell, for a person; empty if nothing is. */
export function complaints(cell: GridCell): string[] {
  const { expected, way, firstBackMs, lost, doubled } = cell;
  const wrong: string[] = [];
  if (way !== expected && !isOpenedByScan(cell)) wrong.push(`${way} instead of ${expected}`);
  if (!(firstBackMs <= AT_ONCE_MS)) wrong.push(`first datagram through after ${Math.round(firstBackMs)} ms`);
  if (lost > 0) wrong.push(`${lost} lost`);
  if (doubled > 0) wrong.push(`${doubled} doubled`);
  return wrong;
}

/** Beside ICE, the ports that hard-NAT tries open the way for a check of ICE as well, and now and then that comes first. */
function isOpenedByScan({ expected, way, mode, probes }: GridCell): boolean {
  return expected === "hardnat" && way === "ice" && mode === "assist" && probes > 0;
}
