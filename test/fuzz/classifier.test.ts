import { expect, test } from "bun:test";
import type { Datagram, Transmit } from "../../src/core/machine.ts";
import { NatClassifier } from "../../src/core/nat/classifier.ts";
import { CLASSIFIER_SOCKETS, type NatEvent } from "../../src/core/nat/classifier-options.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { ipScope } from "../../src/core/net/ip.ts";
import { encodeStun, type StunMessage, transactionIdOf } from "../../src/core/stun/message.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const SERVERS = 6;
const STEPS = 400;
/** What a run may send at most: first requests, tests with four other addresses, pattern, hairpin, all with losses. */
const MAX_SENDS = SERVERS * 6 + 4 * (3 + 2 + 1) * 10 + (4 + 2) * 10;

/** Seeds that found something: a server named a multicast address as that of the socket that hairpins. */
const ONCE_WRONG = [3_833_970_069];

/** Servers that answer anything to anything, and strangers that know the transactions. */
class Chaos {
  readonly #random: Random;
  readonly sockets: readonly Endpoint[];
  readonly servers: readonly Endpoint[];

  constructor(random: Random) {
    this.#random = random;
    this.sockets = Array.from({ length: CLASSIFIER_SOCKETS }, (_, i) => ({ address: "0.0.0.0", port: 5_000 + i }));
    this.servers = Array.from({ length: SERVERS }, (_, i) => ({ address: `203.0.113.${i + 1}`, port: 3_478 }));
  }

  endpoint(): Endpoint {
    const random = this.#random;
    const address = random.pick([
      "198.51.100.2",
      `198.51.100.${random.below(256)}`,
      "224.0.0.1",
      "255.255.255.255",
      "0.0.0.0",
      "127.0.0.1",
      "10.0.0.1",
      "169.254.1.1",
      "2001:db8::1",
      random.pick(this.servers).address,
    ]);
    return { address, port: random.pick([0, 53, 3_478, 3_479, 5_000, random.below(65_536)]) };
  }

  /** Something that may look like an answer to one of `sent`. */
  datagram(sent: readonly Transmit[]): Datagram {
    const random = this.#random;
    const request = random.pick(sent);
    const message: StunMessage = {
      class: random.pick(["success", "success", "success", "error", "request", "indication"]),
      method: random.oneIn(10) ? 3 : 1,
      transactionId: transactionIdOf(request.payload) ?? "00".repeat(12),
      attributes: {
        ...(!random.oneIn(8) && { xorMappedAddress: this.endpoint() }),
        ...(random.oneIn(2) && { otherAddress: this.endpoint() }),
        ...(random.oneIn(8) && { otherPort: random.below(65_536) }),
        ...(random.oneIn(8) && { errorCode: { code: 420, reason: "x" } }),
      },
    };
    const payload = random.oneIn(6) ? random.bytes(random.below(80)) : encodeStun(message);
    if (random.oneIn(8) && payload.length > 0) payload[random.below(payload.length)] = random.below(256);
    return {
      socket: random.oneIn(8) ? random.below(CLASSIFIER_SOCKETS) : request.socket,
      from: random.oneIn(3) ? this.endpoint() : request.to,
      payload,
    };
  }
}

function drain(classifier: NatClassifier, sent: Transmit[], events: NatEvent[]): void {
  for (let next = classifier.pollTransmit(); next !== undefined; next = classifier.pollTransmit()) sent.push(next);
  for (let next = classifier.pollEvent(); next !== undefined; next = classifier.pollEvent()) events.push(next);
}

test(
  "whatever servers and strangers say: one report in time, few packets, and none to where none may go",
  () => {
    for (const seed of [...ONCE_WRONG, ...fuzzSeeds("classifier", 300)]) {
      const random = new Random(seed);
      const chaos = new Chaos(random);
      const [sent, events]: [Transmit[], NatEvent[]] = [[], []];
      const classifier = new NatClassifier({
        now: 0,
        random: (length) => random.bytes(length),
        servers: chaos.servers.map((endpoint, i) => ({ name: `${i}`, endpoint })),
        sockets: chaos.sockets,
        interfaceAddresses: ["10.0.0.1"],
      });
      let now = 0;
      drain(classifier, sent, events);
      for (let step = 0; step < STEPS && now < 5_000; step++) {
        now = Math.min(classifier.nextTimeout(), now + random.below(40), 5_000);
        if (random.oneIn(3)) classifier.handleTimeout(now);
        else classifier.handleDatagram(now, chaos.datagram(sent));
        drain(classifier, sent, events);
      }
      classifier.handleTimeout(5_000);
      drain(classifier, sent, events);
      const forbidden = sent.filter(({ to }) => ["multicast", "unspecified", "loopback"].includes(ipScope(to.address)));
      expect([seed, events.filter(({ type }) => type === "report").length, events.at(-1)?.type]).toEqual([
        seed,
        1,
        "report",
      ]);
      expect([seed, forbidden]).toEqual([seed, []]);
      expect(sent.length).toBeLessThanOrEqual(MAX_SENDS);
      expect(classifier.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    }
  },
  SLOW_MACHINE_MS,
);
