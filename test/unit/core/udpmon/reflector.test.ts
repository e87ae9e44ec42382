import { expect, test } from "bun:test";
import { encodeProbe } from "../../../../src/core/udpmon/probe-header.ts";
import { PROBES_PER_SECOND, Reflector } from "../../../../src/core/udpmon/reflector.ts";

const HOME = { address: "192.0.2.1", port: 40_000 };
const probe = (seq: bigint, bytes = 64) => encodeProbe({ seq, ns: 5n, isAnswer: false }, bytes);

test("a probe goes back to its sender, of the same size, marked", () => {
  const reflector = new Reflector();
  reflector.handleDatagram(0, { socket: 0, from: HOME, payload: probe(3n) });
  expect(reflector.pollTransmit()).toEqual({
    socket: 0,
    to: HOME,
    payload: encodeProbe({ seq: 3n, ns: 5n, isAnswer: true }, 64),
  });
  expect(reflector.pollTransmit()).toBeUndefined();
  expect(reflector.counters).toEqual({ received: 1, echoed: 1, refused: { noProbe: 0, answer: 0, rate: 0 } });
});

test("two reflectors that are set on each other fall silent", () => {
  const [one, other] = [new Reflector(), new Reflector()];
  one.handleDatagram(0, { socket: 0, from: HOME, payload: probe(0n) });
  const forged = one.pollTransmit()?.payload ?? new Uint8Array(0);
  other.handleDatagram(0, { socket: 0, from: HOME, payload: forged });
  expect(other.pollTransmit()).toBeUndefined();
  expect(other.counters).toEqual({ received: 1, echoed: 0, refused: { noProbe: 0, answer: 1, rate: 0 } });
});

test("what is no probe gets no answer, nor what is more than a prober sends", () => {
  const reflector = new Reflector();
  for (const payload of [new Uint8Array(15), new Uint8Array(1_401)])
    reflector.handleDatagram(0, { socket: 0, from: HOME, payload });
  for (let i = 0; i < PROBES_PER_SECOND + 10; i++)
    reflector.handleDatagram(i / 10, { socket: 0, from: HOME, payload: probe(BigInt(i)) });
  reflector.handleDatagram(200, { socket: 0, from: { address: "192.0.2.2", port: 1 }, payload: probe(0n) });
  expect(reflector.counters).toEqual({
    received: PROBES_PER_SECOND + 13,
    echoed: PROBES_PER_SECOND + 1,
    refused: { noProbe: 2, answer: 0, rate: 10 },
  });
});
