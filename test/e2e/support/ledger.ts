import { expect } from "bun:test";
import type { Direction, DropReason } from "../../../src/core/tunnel/counters.ts";
import type { TestNode } from "./nodes.ts";
import { until } from "./until.ts";

/** One direction of one CN over both nodes together. */
export interface Balance {
  /** Datagrams that entered at the sending end, and that left at the receiving one. */
  readonly in: number;
  readonly out: number;
  /** By reason, over both nodes, without zeros. */
  readonly dropped: Partial<Record<DropReason, number>>;
  readonly queued: number;
}

/** `servers`: all that the client has known, one after the other. Each must have been asked while it lived or after. */
export function balance(direction: Direction, cn: string, client: TestNode, ...servers: TestNode[]): Balance {
  const nodes = [client, ...servers];
  const flows = nodes.map((node) => node.counters(cn)[direction]);
  const senders = direction === "up" ? flows.slice(0, 1) : flows.slice(1);
  const receivers = direction === "up" ? flows.slice(1) : flows.slice(0, 1);
  const dropped: Partial<Record<DropReason, number>> = {};
  for (const { drops } of flows)
    for (const [reason, count] of Object.entries(drops) as [DropReason, number][])
      if (count > 0) dropped[reason] = (dropped[reason] ?? 0) + count;
  const sending = direction === "up" ? [client] : servers;
  return {
    in: senders.reduce((sum, flow) => sum + flow.inPackets, 0),
    out: receivers.reduce((sum, flow) => sum + flow.outPackets, 0),
    dropped,
    queued: sending.reduce((sum, node) => sum + (node.session(cn)?.queue.packets ?? 0), 0),
  };
}

/** What is neither out, dropped nor queued: 0 when all is told, more while something is on its way. */
export function missing(direction: Direction, cn: string, client: TestNode, ...servers: TestNode[]): number {
  const { in: entered, out, dropped, queued } = balance(direction, cn, client, ...servers);
  return entered - out - queued - Object.values(dropped).reduce((sum, count) => sum + count, 0);
}

/** in = out + dropped + queued, for both directions; waits for what is still on its way. */
export async function expectBalanced(cn: string, client: TestNode, ...servers: TestNode[]): Promise<void> {
  for (const direction of ["up", "down"] as const) {
    await until(`${direction} to add up`, () => missing(direction, cn, client, ...servers) === 0, 5_000).catch(
      (error) => {
        throw new Error(`${direction}: ${JSON.stringify(balance(direction, cn, client, ...servers))}`, {
          cause: error,
        });
      },
    );
    expect(missing(direction, cn, client, ...servers)).toBe(0);
  }
}
