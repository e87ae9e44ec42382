import { expect, test } from "bun:test";
import { TunnelGuard } from "../../../../src/app/peers/tunnel-guard.ts";
import type { Transmit } from "../../../../src/core/machine.ts";

const to = (address: string, port = 40_000): Transmit => ({
  socket: 0,
  to: { address, port },
  payload: new Uint8Array(),
});
const [outside, inside] = [to("198.51.100.6"), to("10.78.0.1")];

/** Whoever was asked about a route has answered. */
const told = () => new Promise((resolve) => setImmediate(resolve));

/** A guard of a host whose 10.78.0.0/24 is in a tunnel, what it let out, and how often it looked at a route. */
function guarded(isTunnelled = ({ to }: Transmit) => to.address.startsWith("10.78.")) {
  const sent: Transmit[] = [];
  const asked: string[] = [];
  const guard = new TunnelGuard(
    (transmits) => void sent.push(...transmits),
    async (transmit) => {
      asked.push(transmit.to.address);
      return isTunnelled(transmit);
    },
  );
  return { guard, sent, asked };
}

test("what would go into a tunnel does not leave; all else does, the first ones as soon as their route is known", async () => {
  const { guard, sent, asked } = guarded();
  guard.send(0, [outside, inside, to("198.51.100.6", 40_001)]);
  expect([sent, asked]).toEqual([[], ["198.51.100.6", "10.78.0.1"]]);
  await told();
  expect([sent, guard.refused]).toEqual([[outside, to("198.51.100.6", 40_001)], 1]);
  guard.send(1, [inside, outside]);
  expect([sent.length, guard.refused, asked.length]).toEqual([3, 2, 2]);
});

test("a route that changes is seen within five seconds, and what is sent meanwhile goes as before", async () => {
  let isUp = false;
  const { guard, sent } = guarded(() => isUp);
  guard.send(0, [outside]);
  await told();
  isUp = true;
  guard.send(4_999, [outside]);
  guard.send(5_000, [outside]);
  expect(sent).toHaveLength(3);
  await told();
  guard.send(5_001, [outside]);
  expect([sent.length, guard.refused]).toEqual([3, 1]);
});

test("bounded: what waits for routes that are slow to tell, and the addresses that are remembered", async () => {
  const { guard, sent, asked } = guarded();
  guard.send(
    0,
    Array.from({ length: 2_000 }, () => outside),
  );
  expect(guard.refused).toBe(2_000 - 1_024);
  await told();
  expect(sent).toHaveLength(1_024);
  for (let i = 0; i < 256; i++) guard.send(1, [to(`203.0.113.${i}`)]);
  guard.send(2, [outside]);
  expect(asked).toHaveLength(1 + 256 + 1);
});

test("a batch that may leave whole leaves as it is", async () => {
  const batches: (readonly Transmit[])[] = [];
  const guard = new TunnelGuard(
    (transmits) => void batches.push(transmits),
    async () => false,
  );
  guard.send(0, [outside]);
  await told();
  const batch = [outside, outside];
  guard.send(1, batch);
  expect(batches.at(-1)).toBe(batch);
});
