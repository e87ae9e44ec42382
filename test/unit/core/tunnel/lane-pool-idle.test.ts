import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { Random } from "../../../random.ts";
import { IDLE_MS, PoolBench } from "./lane-pool-bench.ts";

describe("idle", () => {
  test("closes all lanes 120 s after the last datagram, once", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.touch(1_000);
    expect(bench.pool.nextTimeout()).toBe(121_000);
    bench.pool.handleTimeout(120_999);
    expect(bench.commands).toEqual([]);
    bench.pool.handleTimeout(121_000);
    bench.pool.handleTimeout(121_001);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([
      ["close-idle"],
      "closing closing",
      NEVER,
    ]);
    bench.pool.closed(121_020, 0, true);
    bench.pool.closed(121_030, 1, true);
    expect([bench.commands, bench.states, bench.pool.redials]).toEqual([[], "idle idle", 0]);
  });

  test("the next datagram dials again", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.handleTimeout(IDLE_MS);
    for (const lane of [0, 1]) bench.pool.closed(IDLE_MS + 20, lane, true);
    void bench.commands;
    bench.pool.demand(IDLE_MS + 500);
    expect(bench.commands).toEqual(["dial 0", "dial 1"]);
  });

  test("a datagram while the lanes say goodbye brings each back as soon as it has closed", () => {
    const bench = new PoolBench(2).up(0);
    bench.pool.handleTimeout(IDLE_MS);
    expect(bench.commands).toEqual(["close-idle"]);
    bench.pool.demand(IDLE_MS + 5);
    expect([bench.commands, bench.pool.openLanes]).toEqual([[], 0]);
    bench.pool.closed(IDLE_MS + 20, 0, true);
    expect(bench.commands).toEqual(["dial 0"]);
    bench.pool.closed(IDLE_MS + 30, 1, true);
    // They did not break, so these are no redials.
    expect([bench.commands, bench.pool.redials]).toEqual([["dial 1"], 0]);
  });

  test("so does one from the other side, told by touch alone", () => {
    const bench = new PoolBench(1).up(0);
    bench.pool.handleTimeout(IDLE_MS);
    void bench.commands;
    bench.pool.touch(IDLE_MS + 5);
    bench.pool.closed(IDLE_MS + 20, 0, true);
    expect(bench.commands).toEqual(["dial 0"]);
  });

  test("a lane that opens while the others say goodbye is closed as well", () => {
    // Regression: it stayed open for ever, since "closing" was remembered for the whole pool.
    const bench = new PoolBench(2);
    bench.pool.demand(0);
    bench.pool.opened(10, 0);
    void bench.commands;
    bench.pool.handleTimeout(IDLE_MS);
    expect([bench.commands, bench.states]).toEqual([["close-idle"], "closing dialing"]);
    bench.pool.opened(IDLE_MS + 50, 1);
    expect(bench.pool.nextTimeout()).toBe(IDLE_MS);
    bench.pool.handleTimeout(IDLE_MS + 51);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([
      ["close-idle"],
      "closing closing",
      NEVER,
    ]);
  });

  test("a dial that fails in silence, and a lane that breaks in silence, are left alone", () => {
    const bench = new PoolBench(2);
    bench.pool.demand(0);
    bench.pool.opened(0, 0);
    void bench.commands;
    bench.pool.failed(IDLE_MS, 1);
    bench.pool.closed(IDLE_MS, 0, true);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([[], "idle idle", NEVER]);
  });

  test("traffic either way keeps the lanes up for as long as it flows", () => {
    const bench = new PoolBench(1).up(0);
    for (let now = 0; now <= 10 * IDLE_MS; now += IDLE_MS - 1) {
      bench.pool.touch(now);
      bench.pool.handleTimeout(now + IDLE_MS - 1);
    }
    expect([bench.commands, bench.states]).toEqual([[], "open"]);
  });
});

describe("any order of events", () => {
  test("never leaves a pool that has nothing due while datagrams wait and no lane is coming", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed);
      const bench = new PoolBench(3, () => random.next());
      /** What the shell would do with each lane. */
      const sockets = new Map<number, "dialing" | "open">();
      let now = 0;
      for (let step = 0; step < 300; step++) {
        now += random.below(20_000);
        const lane = random.below(3);
        const socket = sockets.get(lane);
        const event = random.below(6);
        if (event === 0) bench.pool.demand(now);
        else if (event === 1) bench.pool.touch(now);
        else if (event === 2 && bench.pool.nextTimeout() <= now) bench.pool.handleTimeout(now);
        else if (socket === "dialing" && random.oneIn(2)) {
          sockets.set(lane, "open");
          bench.pool.opened(now, lane);
        } else if (socket === "dialing") {
          sockets.delete(lane);
          bench.pool.failed(now, lane);
        } else if (socket === "open" && event === 3) bench.pool.proven(now, lane);
        else if (socket === "open") {
          sockets.delete(lane);
          bench.pool.closed(now, lane, random.oneIn(2));
        }
        for (const command of bench.commands) {
          if (command === "close-idle") continue;
          const dialled = Number(command.slice("dial ".length));
          // A lane is never dialled while it is there or on its way.
          expect({ seed, step, already: sockets.get(dialled) }).toEqual({ seed, step, already: undefined });
          sockets.set(dialled, "dialing");
        }
        // Whoever asks for lanes now gets them: they are there, on their way, or due within 5 s of the last dial.
        bench.pool.demand(now);
        for (const command of bench.commands) sockets.set(Number(command.slice("dial ".length)), "dialing");
        if (sockets.size === 0)
          expect({ seed, step, due: bench.pool.nextTimeout() <= now + 5_000 }).toEqual({ seed, step, due: true });
      }
    }
  });
});
