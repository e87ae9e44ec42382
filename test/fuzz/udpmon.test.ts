import { expect, test } from "bun:test";
import { decodeProbe, encodeProbe, HEADER_BYTES, MAX_PROBE_BYTES } from "../../src/core/udpmon/probe-header.ts";
import { Prober } from "../../src/core/udpmon/prober.ts";
import { Reflector } from "../../src/core/udpmon/reflector.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const TARGET = { address: "192.0.2.1", port: 9 };
const number64 = (random: Random) => new DataView(random.bytes(8).buffer).getBigUint64(0);

test("what was encoded comes back; whatever arrives, an answer is never larger than it", () => {
  for (const seed of fuzzSeeds("udpmon header", 2_000)) {
    const random = new Random(seed);
    const header = { seq: number64(random) >> 1n, ns: number64(random), isAnswer: random.oneIn(2) };
    const bytes = random.between(HEADER_BYTES, MAX_PROBE_BYTES);
    expect(decodeProbe(encodeProbe(header, bytes))).toEqual({ ok: true, ...header });
    const payload = random.bytes(random.below(2_000));
    const reflector = new Reflector();
    reflector.handleDatagram(0, { socket: 0, from: TARGET, payload });
    const answer = reflector.pollTransmit();
    expect(answer === undefined || answer.payload.length === payload.length).toBe(true);
    expect(reflector.pollTransmit()).toBeUndefined();
  }
});

/** A network that loses, repeats, delays, damages and makes up. */
test(
  "every probe is counted once, whatever the network does",
  () => {
    for (const seed of fuzzSeeds("udpmon prober", 200)) {
      const random = new Random(seed);
      const payloadBytes = random.between(HEADER_BYTES, 64);
      const count = random.between(1, 60);
      const options = { now: 0, to: TARGET, intervalMs: random.between(1, 50), timeoutMs: random.between(1, 200) };
      const prober = new Prober({ ...options, payloadBytes, count });
      const arrivals: { at: number; payload: Uint8Array }[] = [];
      let arrived = 0;
      let ends = 0;
      for (let now = 0; now < 60_000 && (arrivals.length > 0 || Number.isFinite(prober.nextTimeout())); ) {
        for (let next = prober.pollTransmit(); next !== undefined; next = prober.pollTransmit())
          for (let copies = random.below(3); copies > 0; copies--) {
            const damaged = random.oneIn(5) ? random.bytes(random.below(80)) : next.payload;
            arrivals.push({ at: now + random.below(300), payload: damaged });
          }
        arrivals.sort((a, b) => a.at - b.at);
        now = Math.max(now, Math.min(prober.nextTimeout(), arrivals[0]?.at ?? Number.POSITIVE_INFINITY));
        const arrival = arrivals[0]?.at === now ? arrivals.shift() : undefined;
        if (arrival === undefined) prober.handleTimeout(now);
        else prober.handleDatagram(now, { socket: 0, from: TARGET, payload: arrival.payload });
        arrived += arrival === undefined ? 0 : 1;
        for (let event = prober.pollEvent(); event !== undefined; event = prober.pollEvent())
          if (event.type === "done") ends += 1;
      }
      const { sent, received, dropped, duplicates, unexpected, loss, rttMs } = prober.stats.summary();
      expect({ seed, sent, settled: received + dropped, arrived: received + duplicates + unexpected, ends }).toEqual({
        seed,
        sent: count,
        settled: count,
        arrived,
        ends: 1,
      });
      expect(loss).toBe(dropped / count);
      expect((rttMs?.max ?? 0) < options.timeoutMs).toBe(true);
    }
  },
  SLOW_MACHINE_MS,
);
