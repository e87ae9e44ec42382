import { describe, expect, test } from "bun:test";
import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import { RawMachine, startRaw } from "../contract/raw-machine.ts";
import { ADDRESSES } from "../contract/world.ts";
import { openSimWorld } from "./sim-world.ts";

const SEED = 99;
const PEER = { address: ADDRESSES.peer, port: 7_000 };
const STUN = { address: ADDRESSES.stun, port: 3478 };

/** Tells when it is woken; wants to be woken at each of `times` after its start, and sends one datagram each time. */
class AlarmClock implements Machine<number> {
  readonly #start: Instant;
  #times: number[];
  readonly #woken: number[] = [];

  constructor(start: Instant, times: number[]) {
    this.#start = start;
    this.#times = times;
  }

  set times(times: number[]) {
    this.#times = times;
  }

  handleDatagram(): void {}

  handleTimeout(now: Instant): void {
    this.#woken.push(now - this.#start);
    this.#times.shift();
  }

  pollTransmit(): undefined {}

  pollEvent(): number | undefined {
    return this.#woken.shift();
  }

  nextTimeout(): Instant {
    return this.#times[0] === undefined ? NEVER : this.#start + this.#times[0];
  }
}

/** Fills what it gets with zeros: it is the receiver's to keep. */
class Scribbler implements Machine<number> {
  readonly #sums: number[] = [];

  handleDatagram(_now: Instant, { payload }: Datagram): void {
    this.#sums.push(payload.reduce((sum, byte) => sum + byte, 0));
    payload.fill(0);
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return undefined;
  }

  pollEvent(): number | undefined {
    return this.#sums.shift();
  }

  nextTimeout(): Instant {
    return NEVER;
  }
}

describe("time", () => {
  test("machines are woken when they want to be, in their order, and not when they have changed their mind", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    const make = (times: number[]) => (_local: unknown, now: Instant) => new AlarmClock(now, times);
    const early = await world.start("a1", [], make([5, 20, 20, 21.5]));
    const late = await world.start("peer", [], make([10, 50]));
    expect(await world.until(() => late.events.length === 1, 1_000)).toBe(true);
    late.machine.times = [30];
    late.poke();
    expect(await world.until(() => false, 1_000)).toBe(false);
    expect([early.events, late.events]).toEqual([
      [5, 20, 20, 21.5],
      [10, 30],
    ]);
  });

  test("until passes exactly its limit when nothing comes, and no time at all when it is done already", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    const before = world.now();
    expect([await world.until(() => false, 250), world.now() - before]).toEqual([false, 250]);
    expect([await world.until(() => true, 250), world.now() - before]).toEqual([true, 250]);
  });

  test("a machine that is due for ever is named instead of being waited for", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    await world.start("a1", [], (_local, now) => new AlarmClock(now, Array(20_000).fill(1)));
    await expect(world.until(() => false, 10)).rejects.toThrow("A machine on a1 wants to be woken at 10001 for ever");
  });

  test("a machine that was stopped hears and says nothing more, and its port is free", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    const first = await world.start("peer", [PEER], () => new RawMachine());
    const a1 = await startRaw(world, "a1", [{}]);
    a1.send(0, PEER, "to the first");
    first.stop();
    first.poke();
    await world.until(() => false, 100);
    const second = await startRaw(world, "peer", [PEER]);
    a1.send(0, PEER, "to the second");
    await world.until(() => false, 100);
    expect([first.events, second.heard.map(({ text }) => text), world.counters.dropped.closed]).toEqual([
      [],
      ["to the second"],
      1,
    ]);
  });
});

describe("chance", () => {
  /** Every hop of a bad day: all kinds of trouble, a symmetric NAT, free ports. */
  async function badDay(seed: number): Promise<string[]> {
    const trace: string[] = [];
    const trouble = { loss: 0.1, duplication: 0.1, reordering: 0.2 };
    const map = { a: "symmetric", b: "port-restricted-random-port", carrier: "full-cone" } as const;
    const world = openSimWorld(map, { seed, ...trouble, onHop: (line) => trace.push(line) });
    await startRaw(world, "stun", [STUN]);
    const hosts = [await startRaw(world, "a1", [{}, {}]), await startRaw(world, "b1", [{}])];
    for (let round = 0; round < 50; round++) {
      for (const host of hosts) host.ask(0, STUN);
      await world.until(() => false, 7);
    }
    return trace;
  }

  test("the same seed is the same run, hop for hop; another one is another", async () => {
    const [one, again, other] = [await badDay(1), await badDay(1), await badDay(2)];
    expect(one.length).toBeGreaterThan(500);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
  });

  test("the trace says where, what and what became of it", async () => {
    const trace: string[] = [];
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED, onHop: (line) => trace.push(line) });
    const a1 = await startRaw(world, "a1", [{ port: 5_000 }]);
    a1.send(0, PEER, "hello");
    await world.until(() => false, 100);
    expect(trace).toEqual([
      "10000.000 a1: 10.1.0.11:5000 > 203.0.113.20:7000 ttl 64, 5 B, sent",
      "10000.000 nat a: 198.51.100.2:5000 > 203.0.113.20:7000 ttl 63, 5 B, translated",
      "10000.000 internet: 198.51.100.2:5000 > 203.0.113.20:7000 ttl 62, 5 B, passed on",
      "10010.000 peer: 198.51.100.2:5000 > 203.0.113.20:7000 ttl 62, 5 B, dropped: closed",
    ]);
  });
});

describe("places", () => {
  test("a delay for each way through the internet, next to none inside a home", async () => {
    const world = openSimWorld({ a: "full-cone", b: "full-cone" }, { seed: SEED, delayMs: 40 });
    const hosts = { a2: ADDRESSES.a2, b1: ADDRESSES.natB, peer: ADDRESSES.peer };
    const b1 = await startRaw(world, "b1", [{ port: 7_000 }]);
    b1.send(0, PEER, "opens its home");
    for (const host of ["a2", "peer"] as const) await startRaw(world, host, [{ port: 7_000 }]);
    const a1 = await startRaw(world, "a1", [{}]);
    const took: Record<string, number> = {};
    for (const [host, address] of Object.entries(hosts)) {
      const before = world.now();
      a1.ask(0, { address, port: 7_000 });
      await world.until(() => a1.seenFrom(0, { address, port: 7_000 }) !== undefined, 1_000);
      took[host] = Math.round((world.now() - before) * 10) / 10;
    }
    expect(took).toEqual({ a2: 0.2, b1: 80.2, peer: 80.1 });
  });

  test("private addresses, unknown ones and IPv6 lead nowhere", async () => {
    const world = openSimWorld({ a: "full-cone", b: "full-cone" }, { seed: SEED });
    await startRaw(world, "b1", [{ port: 7_000 }]);
    const a1 = await startRaw(world, "a1", [{}]);
    const nowhere = [
      ADDRESSES.b1,
      "100.64.0.2",
      "192.168.1.1",
      "203.0.113.66",
      "198.51.100.77",
      "2001:db8::1",
      "0.0.0.0",
    ];
    for (const address of nowhere) a1.send(0, { address, port: 7_000 }, "anybody?");
    await world.until(() => false, 1_000);
    expect([world.counters.dropped.unroutable, world.counters.delivered]).toEqual([nowhere.length, 0]);
  });

  test("a host of one's own on the internet, with several addresses", async () => {
    const world = openSimWorld({ a: "symmetric" }, { seed: SEED });
    world.addPublicHost("other", ["203.0.113.50", "203.0.113.51"]);
    const other = await world.start("other", [{ address: "203.0.113.51", port: 3478 }], () => new RawMachine());
    const a1 = await startRaw(world, "a1", [{}]);
    a1.ask(0, { address: "203.0.113.51", port: 3478 });
    a1.ask(0, { address: "203.0.113.50", port: 3478 });
    await world.until(() => false, 1_000);
    expect([other.events.length, a1.heard.length, world.counters.dropped.closed]).toEqual([1, 1, 1]);
  });

  test("a host reaches itself", async () => {
    const world = openSimWorld({ a: "blocked" }, { seed: SEED });
    const a1 = await startRaw(world, "a1", [{}, { port: 5_000 }]);
    a1.send(0, { address: ADDRESSES.a1, port: 5_000 }, "myself");
    await world.until(() => false, 1);
    expect(a1.heard).toMatchObject([{ socket: 1, from: { address: ADDRESSES.a1 }, text: "myself" }]);
  });

  test("whoever gets a datagram may write on it, though it came twice", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED, duplication: 1 });
    const scribbler = await world.start("peer", [PEER], () => new Scribbler());
    const stun = await startRaw(world, "stun", [{}]);
    stun.send(0, PEER, "a");
    await world.until(() => false, 100);
    expect(scribbler.events).toEqual([97, 97]);
  });
});

describe("sockets", () => {
  test("get the free ports that they ask for, or any; a machine gets all of its sockets or none", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    const taken = await world.start("stun", [STUN, { port: 9_000 }, {}], () => new RawMachine());
    expect(taken.local.slice(0, 2)).toEqual([STUN, { address: "0.0.0.0", port: 9_000 }]);
    expect(taken.local[2]?.port).toBeWithin(32_768, 61_000);
    for (const clash of [
      STUN,
      { port: STUN.port },
      { address: ADDRESSES.stunSecond, port: 9_000 },
      { address: "10.9.9.9" },
    ])
      await expect(startRaw(world, "stun", [{ port: 9_100 }, clash])).rejects.toMatchObject({ kind: "io.bind" });
    await startRaw(world, "stun", [{ port: 9_100 }, { address: ADDRESSES.stunSecond, port: STUN.port }]);
  });

  test("a host or NAT that is not on the map is named", async () => {
    const world = openSimWorld({ a: "full-cone" }, { seed: SEED });
    await expect(startRaw(world, "b1", [{}])).rejects.toThrow("This map has no host b1");
    expect(() => world.nat("carrier")).toThrow("This map has no nat carrier");
  });
});
