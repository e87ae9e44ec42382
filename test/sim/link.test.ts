import { describe, expect, test } from "bun:test";
import { type RawHost, startRaw } from "../contract/raw-machine.ts";
import { ADDRESSES } from "../contract/world.ts";
import { openSimWorld, type SimOptions, type SimWorld } from "./sim-world.ts";

const SENT = 20_000;
const PEER = { address: ADDRESSES.peer, port: 7_000 };
const SEED = 4_711;
/** Six standard deviations of a share of `SENT` datagrams: with a fixed seed this is about the seed, not about luck. */
const TOLERANCE = 6 * Math.sqrt(0.25 / SENT);

/** What arrives of `SENT` numbered datagrams from stun to peer, 1 ms apart. */
async function flood(
  options: Omit<SimOptions, "seed">,
): Promise<{ world: SimWorld; peer: RawHost; numbers: number[] }> {
  const world = openSimWorld({ a: "full-cone" }, { seed: SEED, ...options });
  const stun = await startRaw(world, "stun", [{}]);
  const peer = await startRaw(world, "peer", [PEER]);
  for (let number = 0; number < SENT; number++) {
    stun.send(0, PEER, `${number}`);
    await world.until(() => false, 1);
  }
  await world.until(() => false, 1_000);
  return { world, peer, numbers: peer.heard.map(({ text }) => Number(text)) };
}

describe("links", () => {
  test("a clean one delivers everything once and in order, after its delay", async () => {
    const { world, numbers } = await flood({ delayMs: 30 });
    expect(numbers).toEqual(Array.from({ length: SENT }, (_, number) => number));
    expect(world.counters).toEqual({
      sent: SENT,
      duplicated: 0,
      delivered: SENT,
      dropped: { filtered: 0, ttl: 0, loss: 0, blocked: 0, unroutable: 0, closed: 0 },
      icmp: { timeExceeded: 0, portUnreachable: 0 },
    });
  });

  test("loss takes its share, and what it took was counted", async () => {
    const { world, numbers } = await flood({ loss: 0.1 });
    const { sent, delivered, dropped } = world.counters;
    expect([delivered + dropped.loss, numbers.length]).toEqual([sent, delivered]);
    expect(Math.abs(dropped.loss / SENT - 0.1)).toBeLessThan(TOLERANCE);
    expect(numbers).toEqual(numbers.toSorted((one, other) => one - other));
  });

  test("a duplicated datagram comes twice", async () => {
    const { world, numbers } = await flood({ duplication: 0.2 });
    const { sent, duplicated, delivered } = world.counters;
    expect([sent + duplicated, numbers.length, new Set(numbers).size]).toEqual([delivered, delivered, SENT]);
    expect(Math.abs(duplicated / SENT - 0.2)).toBeLessThan(TOLERANCE);
  });

  test("a datagram that is held back comes after later ones, and within three delays", async () => {
    const { numbers } = await flood({ delayMs: 10, reordering: 0.05 });
    const overtaken = numbers.filter(
      (number, index) => number < Math.max(...numbers.slice(Math.max(0, index - 40), index)),
    );
    expect(new Set(numbers).size).toBe(SENT);
    // Of those held back, one in 30 or so is held back for less than the millisecond to the next.
    expect(Math.abs(overtaken.length / SENT - 0.05)).toBeLessThan(0.005);
    const late = numbers.map((number, index) => index - number);
    expect(Math.max(...late)).toBeLessThanOrEqual(30);
  });

  test("every datagram is delivered, dropped or duplicated, none is forgotten", async () => {
    const { world } = await flood({ loss: 0.2, duplication: 0.2, reordering: 0.2, delayMs: 50 });
    const { sent, duplicated, delivered, dropped } = world.counters;
    expect(sent + duplicated).toBe(delivered + Object.values(dropped).reduce((sum, count) => sum + count, 0));
  });
});
