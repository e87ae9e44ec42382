import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { BACKOFF_MAX_MS, BACKOFF_MIN_MS } from "../../../../src/core/tunnel/lane-pool.ts";
import { Random } from "../../../random.ts";
import { IDLE_MS, PoolBench } from "./lane-pool-bench.ts";

describe("first datagram", () => {
  test("nothing happens before it", () => {
    const bench = new PoolBench();
    bench.pool.handleTimeout(1e9);
    expect([bench.commands, bench.pool.nextTimeout(), bench.states]).toEqual([[], NEVER, "idle idle idle"]);
  });

  test("dials all lanes at once, and the next ones dial none", () => {
    const bench = new PoolBench(5);
    bench.pool.demand(0);
    expect(bench.commands).toEqual(["dial 0", "dial 1", "dial 2", "dial 3", "dial 4"]);
    bench.pool.demand(1);
    bench.pool.opened(20, 3);
    bench.pool.demand(21);
    expect([bench.commands, bench.states, bench.pool.openLanes, bench.pool.redials]).toEqual([
      [],
      "dialing dialing dialing open dialing",
      1,
      0,
    ]);
  });

  test("prewarm is the same thing without a datagram, and goes idle like any other", () => {
    const bench = new PoolBench(1).up(0);
    expect([bench.states, bench.pool.nextTimeout()]).toEqual(["open", IDLE_MS]);
  });

  test("a lane that does not exist is a mistake of the caller", () => {
    expect(() => new PoolBench(2).pool.opened(0, 2)).toThrow(RangeError);
    expect(new PoolBench(2).pool.state(2)).toBe("idle");
  });
});

describe("backoff", () => {
  test("doubles from 5 s to 60 s, with full jitter", () => {
    expect([BACKOFF_MIN_MS, BACKOFF_MAX_MS]).toEqual([5_000, 60_000]);
    const bench = new PoolBench(2);
    bench.jitter = 0.999;
    bench.pool.demand(0);
    // The other lane lives, so nobody hurries.
    bench.pool.opened(0, 1);
    void bench.commands;
    const waits: number[] = [];
    let now = 0;
    for (let i = 0; i < 6; i++) {
      bench.pool.failed(now, 0);
      const at = bench.pool.nextTimeout();
      waits.push(at - now);
      now = at;
      bench.pool.touch(now);
      bench.pool.handleTimeout(now);
      expect(bench.commands).toEqual(["dial 0"]);
    }
    const full = [5_000, 10_000, 20_000, 40_000, 60_000, 60_000];
    expect(waits.map(Math.round)).toEqual(full.map((ms) => Math.round(ms * 0.999)));
    expect(bench.pool.redials).toBe(6);
  });

  test("full jitter may also mean at once", () => {
    const bench = new PoolBench(2);
    bench.jitter = 0;
    bench.pool.demand(0);
    bench.pool.opened(0, 1);
    bench.pool.failed(7, 0);
    expect(bench.pool.nextTimeout()).toBe(7);
  });

  test("begins anew once the server has answered", () => {
    const bench = new PoolBench(2);
    bench.pool.demand(0);
    for (let i = 0; i < 4; i++) bench.pool.failed(0, 0);
    bench.pool.opened(0, 0);
    bench.pool.proven(0, 0);
    bench.pool.opened(0, 1);
    void bench.commands;
    bench.pool.closed(10_000, 0, false);
    expect(bench.pool.nextTimeout()).toBe(10_000 + 0.5 * 5_000);
  });
});

describe("a server that is away", () => {
  test("is tried at least every 5 s, however long it has been away", () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const random = new Random(seed);
      const bench = new PoolBench(5, () => random.next());
      bench.pool.demand(0);
      for (const command of bench.commands) bench.pool.failed(0, Number(command.slice("dial ".length)));
      let last = 0;
      const gaps: number[] = [];
      for (let hour = 0; hour < 60; hour++) {
        bench.pool.touch(last);
        for (const at of bench.failing(last + 60_000)) {
          gaps.push(at - last);
          last = at;
        }
      }
      expect({ seed, longest: Math.max(...gaps) <= BACKOFF_MIN_MS, many: gaps.length > 700 }).toEqual({
        seed,
        longest: true,
        many: true,
      });
    }
  });

  test("a dial that took long is followed at once when it was the only one", () => {
    const bench = new PoolBench(1);
    bench.pool.demand(0);
    bench.pool.failed(10_000, 0);
    expect(bench.pool.nextTimeout()).toBe(5_000);
    bench.pool.handleTimeout(10_000);
    expect(bench.commands).toEqual(["dial 0", "dial 0"]);
  });

  test("when one lane proves to work, the others follow at once", () => {
    const bench = new PoolBench(3);
    bench.pool.demand(0);
    for (const lane of [0, 1, 2]) for (let i = 0; i < 5; i++) bench.pool.failed(0, lane);
    void bench.commands;
    expect(bench.states).toBe("waiting waiting waiting");
    const at = bench.pool.nextTimeout();
    bench.pool.handleTimeout(at);
    expect(bench.commands).toEqual(["dial 0"]);
    bench.pool.opened(at + 20, 0);
    expect(bench.commands).toEqual([]);
    bench.pool.proven(at + 40, 0);
    expect([bench.commands, bench.states]).toEqual([["dial 1", "dial 2"], "open dialing dialing"]);
  });

  test("silence ends the trying: nobody waits for these lanes any more", () => {
    const bench = new PoolBench(3);
    bench.pool.demand(0);
    for (const command of bench.commands) bench.pool.failed(0, Number(command.slice("dial ".length)));
    const dials = bench.failing(1e9);
    expect(Math.max(...dials)).toBeLessThan(IDLE_MS);
    expect([bench.states, bench.pool.nextTimeout()]).toEqual(["idle idle idle", NEVER]);
    bench.pool.demand(1e9);
    expect(bench.commands).toEqual(["dial 0", "dial 1", "dial 2"]);
  });
});

describe("a server that refuses", () => {
  test("after each handshake, is tried ever more rarely by each lane, and not by all because one opened", () => {
    // Regression: a lane opens before the server has judged its certificate, and each one that did woke all others.
    const random = new Random(7);
    const bench = new PoolBench(5, () => random.next());
    bench.pool.demand(0);
    let dials = 0;
    let now = 0;
    while (now < 3_600_000) {
      for (let commands = bench.commands; commands.length > 0; commands = bench.commands) {
        for (const command of commands) {
          const lane = Number(command.slice("dial ".length));
          dials++;
          bench.pool.opened(now, lane);
          bench.pool.closed(now, lane, false);
        }
      }
      bench.pool.touch(now);
      now = bench.pool.nextTimeout();
      bench.pool.handleTimeout(now);
    }
    // The 5 s rule alone allows 720 an hour; five lanes at 30 s in the mean would add 600.
    expect(dials).toBeWithin(700, 1_400);
  });
});

describe("a lane that breaks", () => {
  test("after it has worked is dialled again at once", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.closed(50, 1, true);
    expect([bench.commands, bench.states, bench.pool.redials]).toEqual([["dial 1"], "open dialing", 1]);
  });

  test("again within 5 s waits its turn, so that nothing can make the client hammer", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.closed(50, 1, true);
    bench.pool.opened(60, 1);
    bench.pool.proven(70, 1);
    void bench.commands;
    bench.pool.closed(80, 1, true);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([[], "open waiting", 80 + 2_500]);
    bench.pool.handleTimeout(2_580);
    bench.pool.opened(2_600, 1);
    bench.pool.proven(2_600, 1);
    void bench.commands;
    bench.pool.closed(5_050, 1, true);
    expect(bench.commands).toEqual(["dial 1"]);
  });

  test("after it has worked has no failures to answer for", () => {
    const bench = new PoolBench(2);
    bench.pool.demand(0);
    bench.pool.opened(0, 1);
    for (let i = 0; i < 4; i++) bench.pool.failed(0, 0);
    // The server's goodbye is a sign of life as well, though nothing was proven before it.
    for (const at of [100, 200]) {
      bench.pool.opened(at, 0);
      bench.pool.closed(at, 0, true);
    }
    expect([bench.states, bench.pool.nextTimeout()]).toEqual(["waiting open", 200 + 2_500]);
  });

  test("before it has worked waits", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.closed(100, 1, true);
    bench.pool.opened(110, 1);
    void bench.commands;
    bench.pool.closed(120, 1, false);
    expect([bench.commands, bench.pool.nextTimeout()]).toEqual([[], 120 + 2_500]);
  });

  test("and its redial that fails goes on with backoff", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.closed(50, 1, true);
    bench.pool.failed(60, 1);
    expect(bench.pool.nextTimeout()).toBe(60 + 2_500);
  });

  test("late news of a lane that is gone proves nothing", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.closed(50, 1, false);
    bench.pool.proven(50, 1);
    expect([bench.commands, bench.states]).toEqual([[], "open waiting"]);
  });
});
