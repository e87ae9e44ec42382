import { expect, test } from "bun:test";
import type { Transmit } from "../../../../src/core/machine.ts";
import { ReflexRound } from "../../../../src/core/nat/reflex-round.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import { decodeStun, encodeStun } from "../../../../src/core/stun/message.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { Random } from "../../../random.ts";

const MAPPED = { address: "198.51.100.2", port: 40_000 };
const SERVERS = ["a:1", "b:2", "c:3"].map((name, index) => ({
  name,
  endpoint: { address: "203.0.113.10", port: 3478 + index },
}));

function round(servers = SERVERS): ReflexRound {
  const random = new Random(3);
  return new ReflexRound({ now: 1_000, random: (length) => random.bytes(length), servers });
}

function sent(machine: ReflexRound): Transmit[] {
  const transmits: Transmit[] = [];
  for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) transmits.push(next);
  return transmits;
}

function answer({ payload }: Transmit, attributes: { xorMappedAddress?: Endpoint; mappedAddress?: Endpoint }) {
  const request = decodeStun(payload);
  if (!request.ok) throw new Error(request.kind);
  return encodeStun({ ...request.message, class: "success", attributes });
}

test("all servers are asked at once, and what they see is told together", () => {
  const machine = round();
  const requests = sent(machine);
  expect(requests.map(({ socket, to }) => [socket, to])).toEqual(SERVERS.map(({ endpoint }) => [0, endpoint]));
  const attributes = [{ xorMappedAddress: MAPPED }, {}, { mappedAddress: { ...MAPPED, port: 9 } }];
  for (const [index, request] of requests.entries()) {
    expect(machine.pollEvent()).toBeUndefined();
    machine.handleDatagram(1_020, { socket: 0, from: request.to, payload: answer(request, attributes[index] ?? {}) });
  }
  const seen = [
    { name: "a:1", mapped: MAPPED },
    { name: "c:3", mapped: { ...MAPPED, port: 9 } },
  ];
  expect(machine.pollEvent()).toEqual({ type: "seen", seen });
  expect([machine.pollEvent(), machine.nextTimeout(), sent(machine)]).toEqual([undefined, NEVER, []]);
});

test("silent servers are asked three times and given up after 3.5 s", () => {
  const machine = round(SERVERS.slice(0, 1));
  const times: number[] = [];
  for (let now = 1_000; now !== NEVER; now = machine.nextTimeout()) {
    machine.handleTimeout(now);
    times.push(...sent(machine).map(() => now - 1_000));
    const event = machine.pollEvent();
    if (event !== undefined) expect([event, now]).toEqual([{ type: "seen", seen: [] }, 4_500]);
  }
  expect(times).toEqual([0, 500, 1_500]);
});

test("without servers it is over at once", () => {
  expect(round([]).pollEvent()).toEqual({ type: "seen", seen: [] });
});
