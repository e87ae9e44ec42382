import { describe, expect, test } from "bun:test";
import { DemoTraffic, MAX_DATAGRAM_BYTES } from "../../../../src/app/demo/demo-traffic.ts";

const SEED = 42;

/** What the verdict says, without what the tests do not look at. */
function verdict(traffic: DemoTraffic) {
  const { sent, back, lost, changed, surplus, inFlight, findings } = traffic;
  return { sent, back, lost, changed, surplus, inFlight, findings };
}

describe("DemoTraffic", () => {
  test("what comes back as it was sent, in any order, is back, with its round trip", () => {
    const traffic = new DemoTraffic(SEED);
    const datagrams = [1, 2, 3].map((now) => traffic.make(now));
    for (const datagram of datagrams.reverse()) traffic.take(10, datagram);
    expect(verdict(traffic)).toEqual({ sent: 3, back: 3, lost: 0, changed: 0, surplus: 0, inFlight: 0, findings: [] });
    expect(traffic.backBytes).toBe(traffic.sentBytes);
    expect(traffic.latencies.summary()).toEqual({ count: 3, p50: 8, p95: 9, p99: 9, max: 9 });
  });

  test("the same seed makes the same datagrams, another seed others", () => {
    const datagrams = (seed: number) => {
      const traffic = new DemoTraffic(seed);
      return Array.from({ length: 100 }, () => Bun.hash(traffic.make(0)));
    };
    expect(datagrams(SEED)).toEqual(datagrams(SEED));
    expect(datagrams(SEED)).not.toEqual(datagrams(SEED + 1));
  });

  test("no two datagrams look alike, and sizes are mixed up to the largest", () => {
    const traffic = new DemoTraffic(SEED);
    const datagrams = Array.from({ length: 5_000 }, () => traffic.make(0));
    expect(new Set(datagrams.map((datagram) => Bun.hash(datagram))).size).toBe(5_000);
    const sizes = datagrams.map(({ length }) => length);
    expect([Math.min(...sizes), Math.max(...sizes)]).toEqual([64, MAX_DATAGRAM_BYTES]);
  });

  test("one changed byte is found and named", () => {
    const traffic = new DemoTraffic(SEED);
    const datagram = traffic.make(0, 1_000);
    const was = datagram[777] ?? 0;
    datagram[777] = was ^ 0x01;
    traffic.take(1, datagram);
    const hex = (byte: number) => `0x${byte.toString(16).padStart(2, "0")}`;
    expect(verdict(traffic)).toEqual({
      sent: 1,
      back: 0,
      lost: 0,
      changed: 1,
      surplus: 0,
      inFlight: 0,
      findings: [`datagram 0 came back changed: byte 777 was ${hex(was)}, came as ${hex(was ^ 0x01)}`],
    });
  });

  test("a datagram cut short, a duplicate, a stranger and a lost one are told apart", () => {
    const traffic = new DemoTraffic(SEED);
    const [cut, twice] = [traffic.make(0, 100), traffic.make(0, 100), traffic.make(0, 64)];
    traffic.take(1, cut?.subarray(0, 99) ?? new Uint8Array());
    traffic.take(1, twice ?? new Uint8Array());
    traffic.take(1, twice ?? new Uint8Array());
    traffic.take(1, new Uint8Array(8).fill(0xff));
    traffic.giveUp();
    expect(verdict(traffic)).toEqual({
      sent: 3,
      back: 1,
      lost: 1,
      changed: 1,
      surplus: 2,
      inFlight: 0,
      findings: [
        "datagram 0 came back changed: 100 bytes were sent, 99 came",
        "datagram 1 came back twice",
        "8 bytes came that nobody sent",
        "datagram 2 of 64 bytes never came back",
      ],
    });
  });

  test("datagrams too small for a number are known by travelling alone", () => {
    const traffic = new DemoTraffic(SEED);
    for (const size of [0, 1, 2, 3]) traffic.take(1, traffic.make(0, size));
    traffic.make(0, 2);
    traffic.take(1, new Uint8Array(3));
    expect(verdict(traffic)).toEqual({
      sent: 5,
      back: 4,
      lost: 0,
      changed: 1,
      surplus: 0,
      inFlight: 0,
      findings: ["datagram 4 came back changed: 2 bytes were sent, 3 came"],
    });
  });

  test("of a thousand findings five are told, and all are counted", () => {
    const traffic = new DemoTraffic(SEED);
    for (let i = 0; i < 1_000; i++) traffic.make(0, 10);
    traffic.giveUp();
    expect(traffic.lost).toBe(1_000);
    expect(traffic.findings).toHaveLength(5);
  });
});
