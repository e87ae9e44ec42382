import { expect, test } from "bun:test";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import { AddressDiscovery } from "../../../../src/core/punch/address-discovery.ts";
import { decodeStun, encodeStun } from "../../../../src/core/stun/message.ts";
import { Random } from "../../../random.ts";

const SERVERS: Endpoint[] = [10, 11, 12].map((last) => ({ address: `203.0.113.${last}`, port: 3_478 }));
const [FIRST, SECOND, THIRD] = SERVERS as [Endpoint, Endpoint, Endpoint];
const at = (port: number): Endpoint => ({ address: "198.51.100.6", port });

class Bench {
  readonly discovery: AddressDiscovery;
  readonly #asked = new Map<string, string>();

  constructor(servers = SERVERS) {
    const random = new Random(1);
    this.discovery = new AddressDiscovery({ now: 0, servers, random: (length) => random.bytes(length) });
  }

  /** Whom it asks now. */
  asks(): string[] {
    const asked: string[] = [];
    for (let next = this.discovery.pollTransmit(); next !== undefined; next = this.discovery.pollTransmit()) {
      const decoded = decodeStun(next.payload);
      if (decoded.ok) this.#asked.set(next.to.address, decoded.message.transactionId);
      asked.push(next.to.address);
    }
    return asked;
  }

  answer(now: number, from: Endpoint, mapped: Endpoint): void {
    const transactionId = this.#asked.get(from.address) ?? "";
    const attributes = { xorMappedAddress: mapped };
    const payload = encodeStun({ class: "success", method: 1, transactionId, attributes });
    this.discovery.handleDatagram(now, { socket: 0, from, payload });
  }

  sleep(until: number): string[] {
    const asked = this.asks();
    for (let at = this.discovery.nextTimeout(); at <= until; at = this.discovery.nextTimeout()) {
      this.discovery.handleTimeout(at);
      asked.push(...this.asks());
    }
    return asked;
  }
}

test("all servers are asked at once; two answers are enough to tell whether the port is fixed", () => {
  const bench = new Bench();
  expect(bench.asks()).toEqual(SERVERS.map(({ address }) => address));
  bench.answer(30, SECOND, at(4_000));
  expect(bench.discovery.pollEvent()).toBeUndefined();
  bench.answer(40, FIRST, at(4_000));
  const answers = [
    { server: SECOND, address: at(4_000) },
    { server: FIRST, address: at(4_000) },
  ];
  expect(bench.discovery.pollEvent()).toEqual({
    type: "discovered",
    discovered: { address: at(4_000), portFixed: true, answers },
  });
  expect(bench.discovery.pollEvent()).toBeUndefined();
});

test("two different ports: it is not fixed", () => {
  const bench = new Bench();
  bench.asks();
  bench.answer(30, FIRST, at(4_000));
  bench.answer(40, THIRD, at(4_711));
  expect(bench.discovery.pollEvent()?.discovered?.portFixed).toBe(false);
});

test("one answer, repeated: nothing is known of the port, and that is told when the others are given up", () => {
  const bench = new Bench();
  bench.asks();
  bench.answer(30, FIRST, at(4_000));
  bench.answer(31, FIRST, at(4_711));
  bench.sleep(3_999);
  expect(bench.discovery.pollEvent()).toBeUndefined();
  bench.sleep(4_000);
  const answers = [{ server: FIRST, address: at(4_000) }];
  expect(bench.discovery.pollEvent()?.discovered).toEqual({ address: at(4_000), portFixed: undefined, answers });
});

test("no answer, or no server: nothing was discovered, and nothing more is sent", () => {
  const silent = new Bench();
  expect(silent.sleep(60_000).length).toBe(4 * SERVERS.length);
  expect(silent.discovery.pollEvent()).toEqual({ type: "discovered", discovered: undefined });
  expect(new Bench([]).discovery.pollEvent()).toEqual({ type: "discovered", discovered: undefined });
});

test("afterwards the mapping is kept open, at the server that answered first", () => {
  const bench = new Bench();
  bench.asks();
  bench.answer(30, SECOND, at(4_000));
  bench.answer(40, FIRST, at(4_000));
  bench.discovery.pollEvent();
  expect(bench.sleep(15_039)).toEqual([]);
  expect(bench.sleep(15_040)).toEqual([SECOND.address]);
  bench.answer(15_060, SECOND, at(4_000));
  expect([bench.sleep(30_039), bench.sleep(30_040), bench.discovery.pollEvent()]).toEqual([
    [],
    [SECOND.address],
    undefined,
  ]);
});
