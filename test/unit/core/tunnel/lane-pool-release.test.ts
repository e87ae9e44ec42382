import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { IDLE_MS, PoolBench } from "./lane-pool-bench.ts";

describe("a server that is only looked at", () => {
  test("is dialled with one lane, and with the others once lanes are wanted", () => {
    const bench = new PoolBench();
    bench.pool.probe(0);
    expect(bench.commands).toEqual(["dial 0"]);
    bench.pool.probe(1);
    bench.pool.opened(10, 0);
    bench.pool.demand(11);
    expect([bench.commands, bench.states]).toEqual([["dial 1", "dial 2"], "open dialing dialing"]);
  });

  test("goes idle as any other", () => {
    const bench = new PoolBench();
    bench.pool.probe(0);
    bench.pool.opened(10, 0);
    void bench.commands;
    bench.pool.handleTimeout(bench.pool.nextTimeout());
    expect([bench.commands, bench.states]).toEqual([["close-idle"], "closing idle idle"]);
  });
});

describe("a server that is left", () => {
  test("is not dialled any more, whatever becomes of its lanes", () => {
    const bench = new PoolBench(3);
    bench.pool.demand(0);
    bench.pool.opened(1, 0);
    bench.pool.failed(1, 1);
    void bench.commands;
    bench.pool.release();
    expect([bench.states, bench.pool.nextTimeout()]).toEqual(["closing idle dialing", NEVER]);
    bench.pool.touch(5);
    bench.pool.closed(5, 0, true);
    bench.pool.failed(6, 2);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([[], "idle idle idle", NEVER]);
  });

  test("and whose lane opens all the same: that is for its owner to say what becomes of it", () => {
    const bench = new PoolBench(1);
    bench.pool.probe(0);
    bench.pool.release();
    bench.pool.opened(10, 0);
    bench.pool.handleTimeout(IDLE_MS + 10);
    expect([bench.commands, bench.states, bench.pool.nextTimeout()]).toEqual([["dial 0"], "open", NEVER]);
    bench.pool.demand(IDLE_MS + 20);
    expect([bench.commands, bench.pool.nextTimeout()]).toEqual([[], 2 * IDLE_MS + 20]);
  });

  test("and gone back to before its lanes have ended: they are dialled again when they have", () => {
    const bench = new PoolBench(1).up(0);
    bench.pool.release();
    bench.pool.demand(10);
    expect([bench.commands, bench.states]).toEqual([[], "closing"]);
    bench.pool.closed(20, 0, true);
    expect([bench.commands, bench.states]).toEqual([["dial 0"], "dialing"]);
  });
});
