import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { LOSS_PATIENCE_MS, PATIENCE_MS } from "../../../../src/core/tunnel/server-choice.ts";
import { fuzzSeeds, Random } from "../../../random.ts";
import { ChoiceBench, IDLE_MS } from "./server-choice-bench.ts";

describe("one server", () => {
  test("is used whatever happens, and no timer runs for it", () => {
    const { choice, ...bench } = new ChoiceBench(1);
    choice.wanted(0);
    choice.failed(5, 0);
    choice.wanted(6);
    choice.opened(10, 0);
    choice.answered(11, 0);
    choice.lost(20, 0);
    expect([choice.current, choice.nextTimeout(), choice.pollCommand(), bench.jitter]).toEqual([
      0,
      NEVER,
      undefined,
      0.999_999,
    ]);
  });

  test("that does not exist is a mistake of the caller", () =>
    expect(() => new ChoiceBench(2).choice.answered(0, 2)).toThrow(RangeError));
});

describe("the server in use fails", () => {
  test("refused: the next one is tried at once, and used as soon as it has answered", () => {
    const bench = new ChoiceBench();
    const { choice } = bench;
    expect([choice.wanted(0), choice.wanted(1)]).toEqual([true, false]);
    choice.failed(2, 0);
    expect(bench.next).toEqual([2, "try 1"]);
    choice.opened(10, 1);
    expect([choice.current, bench.commands]).toEqual([0, []]);
    choice.answered(12, 1);
    expect([choice.current, bench.commands]).toEqual([1, ["move 0 1 failed", "leave 0"]]);
  });

  test("silent: the next one is tried beside it, and whoever answers first is used", () => {
    const bench = new ChoiceBench();
    bench.choice.wanted(0);
    expect(bench.next).toEqual([PATIENCE_MS, "try 1"]);
    bench.answers(3_500, 0);
    expect([bench.choice.current, bench.commands, bench.choice.nextTimeout()]).toEqual([0, ["leave 1"], NEVER]);
  });

  test("broken: it may come back, until a dial comes to nothing or patience ends", () => {
    const again = new ChoiceBench().up(0);
    again.choice.lost(1_000, 0);
    again.answers(1_020, 0);
    expect([again.choice.nextTimeout(), again.commands]).toEqual([NEVER, []]);
    const gone = new ChoiceBench().up(0);
    gone.choice.lost(1_000, 0);
    gone.choice.failed(1_001, 0);
    expect(gone.next).toEqual([1_001, "try 1"]);
    const silent = new ChoiceBench().up(0);
    silent.choice.lost(1_000, 0);
    expect(silent.next).toEqual([1_000 + LOSS_PATIENCE_MS, "try 1"]);
  });

  test("while nothing is wanted: nothing is tried", () => {
    const bench = new ChoiceBench().up(0);
    bench.choice.lost(IDLE_MS, 0);
    expect([bench.next, bench.choice.current]).toEqual([[NEVER], 0]);
  });

  test("and nothing is wanted any more: the others are left alone", () => {
    const bench = new ChoiceBench();
    bench.choice.wanted(0);
    bench.choice.failed(IDLE_MS - 1, 0);
    expect(bench.next).toEqual([PATIENCE_MS, "try 1"]);
    bench.choice.failed(IDLE_MS - 1, 1);
    expect([bench.commands, bench.next, bench.next]).toEqual([["leave 1"], [IDLE_MS + 4_999], [NEVER]]);
    expect(bench.choice.wanted(300_000)).toBe(true);
    expect(bench.next).toEqual([300_000 + PATIENCE_MS, "try 1"]);
  });

  test("the others are tried in their order, each at once when the one before has failed, and again after 5 s", () => {
    const bench = new ChoiceBench(3);
    bench.choice.wanted(0);
    bench.choice.failed(1, 0);
    expect(bench.next).toEqual([1, "try 1"]);
    bench.choice.failed(5, 1);
    expect([bench.commands, bench.next]).toEqual([["leave 1"], [5, "try 2"]]);
    bench.choice.failed(8, 2);
    expect([bench.commands, bench.next]).toEqual([["leave 2"], [5_005, "try 1"]]);
    expect(bench.next).toEqual([5_005 + PATIENCE_MS, "try 2"]);
    bench.answers(9_000, 2);
    expect([bench.commands, bench.choice.current]).toEqual([["move 0 2 failed", "leave 0"], 2]);
  });

  test("a lane that stays open is proof enough of a server that says nothing", () => {
    const bench = new ChoiceBench();
    bench.choice.wanted(0);
    bench.choice.failed(1, 0);
    void bench.next;
    bench.choice.opened(10, 1);
    expect(bench.next).toEqual([2_010, "move 0 1 failed", "leave 0"]);
  });

  test("a server that hangs up before a word is no stand-in", () => {
    const bench = new ChoiceBench();
    bench.choice.wanted(0);
    bench.choice.failed(1, 0);
    void bench.next;
    bench.choice.opened(10, 1);
    bench.choice.failed(11, 1);
    expect([bench.commands, bench.choice.current, bench.next]).toEqual([["leave 1"], 0, [5_011, "try 1"]]);
  });

  test("one that is open may be about to answer: no stand-in takes its place before it has failed", () => {
    const bench = new ChoiceBench();
    bench.choice.wanted(0);
    bench.choice.failed(1, 0);
    void bench.next;
    bench.choice.opened(2, 0);
    bench.answers(3, 1);
    expect([bench.choice.current, bench.commands]).toEqual([0, []]);
    bench.choice.failed(4, 0);
    expect([bench.choice.current, bench.commands]).toEqual([1, ["move 0 1 failed", "leave 0"]]);
  });
});

describe("away from the first server", () => {
  test("it is tried with backoff, and returned to when it answers; the other is left when nothing is under way any more", () => {
    const bench = away(new ChoiceBench());
    const tries: number[] = [];
    for (let i = 0; i < 6; i++) {
      const [at, ...commands] = bench.next;
      expect(commands).toEqual(["try 0"]);
      tries.push(at);
      bench.choice.wanted(at);
      bench.choice.failed(at, 0);
      expect(bench.commands).toEqual(["leave 0"]);
    }
    const pauses = tries.map((at, index) => at - (tries[index - 1] ?? 0));
    expect(pauses).toEqual([5_000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    const [at] = bench.next;
    bench.choice.wanted(at);
    bench.answers(at + 40, 0);
    expect([bench.commands, bench.next, bench.next]).toEqual([["move 1 0 returned"], [at + 2_040, "leave 1"], [NEVER]]);
  });

  test("idle, it is tried when something is wanted again", () => {
    const bench = away(new ChoiceBench());
    bench.choice.lost(IDLE_MS + 1, 1);
    expect([bench.next, bench.next]).toEqual([[5_000, "try 0"], [NEVER]]);
    bench.choice.failed(6_000, 0);
    void bench.commands;
    expect(bench.choice.wanted(500_000)).toBe(true);
    expect(bench.next).toEqual([16_000, "try 0"]);
  });

  test("a return that does not last makes the next one wait twice as long, up to five minutes", () => {
    const bench = away(new ChoiceBench());
    const rests: number[] = [];
    for (let i = 0, movedAt = 0; i < 9; i++) {
      const [at] = bench.next;
      rests.push(at - movedAt);
      bench.choice.wanted(at);
      bench.answers(at, 0);
      bench.choice.wanted(at + 100);
      bench.choice.lost(at + 100, 0);
      movedAt = at + 100;
      // What was under way is still up.
      expect(bench.commands).toEqual(["move 1 0 returned", "move 0 1 failed", "leave 0"]);
    }
    expect(rests).toEqual([5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
    const [at] = bench.next;
    bench.choice.wanted(at);
    bench.answers(at, 0);
    void bench.commands;
    expect(bench.next).toEqual([at + 2_000, "leave 1"]);
    bench.choice.wanted(at + 300_000);
    bench.choice.failed(at + 300_000, 0);
    void bench.next;
    bench.choice.wanted(at + 300_001);
    bench.choice.failed(at + 300_001, 0);
    void bench.next;
    bench.answers(at + 300_002, 1);
    expect(bench.next[0]).toBe(at + 305_002);
  });

  test("both that stand before it are tried, and the better one is gone on to from the other", () => {
    const bench = new ChoiceBench(3);
    bench.choice.wanted(0);
    bench.choice.failed(0, 0);
    void bench.next;
    bench.choice.failed(0, 1);
    void bench.next;
    bench.answers(0, 2);
    void bench.commands;
    expect(bench.next).toEqual([5_000, "try 0", "try 1"]);
    bench.answers(5_010, 1);
    expect(bench.commands).toEqual(["move 2 1 returned"]);
    bench.answers(5_020, 0);
    expect([bench.commands, bench.choice.current]).toEqual([["move 1 0 returned"], 0]);
    expect([bench.next, bench.next]).toEqual([
      [7_010, "leave 2"],
      [7_020, "leave 1"],
    ]);
  });
});

test("over any weather: used is who has answered, the first that works in the end, and nobody is pestered", () => {
  for (const seed of fuzzSeeds("server-choice", 300)) {
    const random = new Random(seed);
    const servers = 2 + random.below(3);
    const bench = new ChoiceBench(servers);
    const { choice } = bench;
    bench.jitter = random.below(1_000) / 1_000;
    const works = Array.from({ length: servers }, () => random.below(2) === 0);
    const connected = new Set<number>();
    const tries: number[] = [];
    let moves = 0;
    let now = 0;
    const stormUntil = 200_000;
    /** What the sockets would say to a dial. */
    const dial = (server: number): void => {
      if (!works[server]) choice.failed(now, server);
      else {
        connected.add(server);
        bench.answers(now, server);
      }
    };
    const obey = (): void => {
      for (let next = choice.pollCommand(); next !== undefined; next = choice.pollCommand()) {
        if (next.type === "try") {
          tries.push(now);
          dial(next.server);
        } else if (next.type === "leave") {
          connected.delete(next.server);
        } else {
          moves += 1;
          expect([seed, connected.has(next.to)]).toEqual([seed, true]);
        }
      }
    };
    while (now < stormUntil + 400_000) {
      now = Math.min(Math.max(now, choice.nextTimeout()), now + 500);
      if (now < stormUntil && random.below(20) === 0) {
        const server = random.below(servers);
        works[server] = !works[server];
        if (!works[server] && connected.delete(server)) choice.lost(now, server);
      }
      if (now >= stormUntil && !works.includes(true)) works[random.below(servers)] = true;
      choice.wanted(now);
      // The lanes of the server in use are dialled again by themselves.
      if (!connected.has(choice.current) && random.below(4) === 0) dial(choice.current);
      choice.handleTimeout(now);
      obey();
    }
    expect([seed, choice.current]).toEqual([seed, works.indexOf(true)]);
    expect([seed, connected.has(choice.current)]).toEqual([seed, true]);
    // One try of each server in 2.5 s is the most that there ever is.
    expect([seed, tries.length < (now / 2_500) * servers]).toEqual([seed, true]);
    expect([seed, moves < 400]).toEqual([seed, true]);
  }
});

/** The first server is gone, the second has taken its place at 0. */
function away(bench: ChoiceBench): ChoiceBench {
  bench.choice.wanted(0);
  bench.choice.failed(0, 0);
  void bench.next;
  bench.answers(0, 1);
  void bench.commands;
  return bench;
}
