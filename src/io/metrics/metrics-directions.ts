import type { Direction, DirectionCounters, TunnelCounters } from "../../core/tunnel/counters.ts";
import type { ClientFamily } from "./metrics-tunnel.ts";

const DIRECTIONS: readonly Direction[] = ["up", "down"];

/** What is counted of one direction: of the tunnel's datagrams, or of channels'. */
type Traffic = Pick<DirectionCounters, "inPackets" | "inBytes" | "outPackets" | "outBytes">;

/** One number of both directions, over all counters of a client. */
export function perDirection(
  name: string,
  help: string,
  field: keyof Traffic,
  of: (counters: TunnelCounters, dir: Direction) => Traffic,
): ClientFamily {
  return {
    name,
    help: `${help} (up: client to server)`,
    type: "counter",
    read: (group) =>
      DIRECTIONS.map((dir) => ({
        labels: { dir },
        value: sum(group.counters, (counters) => of(counters, dir)[field]),
      })),
  };
}

/** What was dropped, in both directions, for each of `reasons`. */
export function dropsPerDirection<Reason extends string>(
  name: string,
  help: string,
  reasons: readonly Reason[],
  of: (counters: TunnelCounters, dir: Direction) => { readonly drops: Readonly<Record<Reason, number>> },
): ClientFamily {
  return {
    name,
    help,
    type: "counter",
    read: (group) =>
      DIRECTIONS.flatMap((dir) =>
        reasons.map((reason) => ({
          labels: { reason, dir },
          value: sum(group.counters, (counters) => of(counters, dir).drops[reason]),
        })),
      ),
  };
}

export function sum<T>(items: readonly T[], read: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += read(item);
  return total;
}
