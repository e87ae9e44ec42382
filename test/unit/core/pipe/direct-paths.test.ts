import { expect, test } from "bun:test";
import { type DirectPath, DirectPaths } from "../../../../src/core/pipe/direct-paths.ts";
import type { DirectAddress } from "../../../../src/core/pipe/pipe-output.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { fuzzSeeds, Random } from "../../../random.ts";

const at = (port: number, socket = 0): DirectAddress => ({ socket, remote: { address: "192.0.2.1", port } });

function empty(): DirectPaths {
  const random = new Random(1);
  return new DirectPaths((length) => random.bytes(length));
}

function found(paths: DirectPaths, address: DirectAddress): DirectPath {
  const path = paths.find(address);
  if (path === undefined) throw new Error(`Nobody knows port ${address.remote.port}`);
  return path;
}

/** Challenged and answered at `now`. */
function prove(paths: DirectPaths, now: number, address: DirectAddress): void {
  const { monitor } = found(paths, address);
  monitor.answered(now, monitor.probe(now));
}

/** One whose path is port 1, proven at 0. */
function withPath(): DirectPaths {
  const paths = empty();
  paths.propose(0, at(1), true);
  prove(paths, 0, at(1));
  paths.settle(0);
  return paths;
}

test("an address is a path once it has answered", () => {
  const paths = empty();
  expect([paths.isEmpty, paths.propose(0, at(1), true), paths.isEmpty]).toEqual([true, true, false]);
  expect([paths.settle(0), paths.current]).toEqual([undefined, undefined]);
  prove(paths, 20, at(1));
  expect(paths.settle(20)).toEqual({ type: "direct-up", address: at(1), rttMs: 0 });
  expect([paths.current?.address, paths.settle(20), paths.nextTimeout()]).toEqual([at(1), undefined, NEVER]);
});

test("one that has not answered within five seconds is forgotten", () => {
  const paths = empty();
  paths.propose(0, at(1), true);
  expect(paths.nextTimeout()).toBe(5_000);
  paths.settle(4_999);
  expect(paths.isEmpty).toBe(false);
  paths.settle(5_000);
  expect(paths.isEmpty).toBe(true);
});

test("it may be asked seven times", () => {
  const paths = empty();
  paths.propose(0, at(1), true);
  for (let i = 0; i < 7; i++) {
    expect(paths.askable.map(({ address }) => address)).toEqual([at(1)]);
    found(paths, at(1)).monitor.probe(i * 500);
  }
  expect(paths.askable).toEqual([]);
});

test("a wanted address replaces a path that lives; one that was heard waits until the path has been silent", () => {
  const wanted = withPath();
  wanted.propose(100, at(2), true);
  prove(wanted, 100, at(2));
  expect(wanted.settle(100)).toEqual({ type: "direct-up", address: at(2), rttMs: 0 });

  const heard = withPath();
  expect(heard.propose(100, at(2), false)).toBe(true);
  prove(heard, 100, at(2));
  expect([heard.settle(100), heard.nextTimeout()]).toEqual([undefined, 5_100]);
  found(heard, at(1)).monitor.probe(100);
  expect([heard.settle(1_599), heard.nextTimeout()]).toEqual([undefined, 1_600]);
  expect(heard.settle(1_600)).toEqual({ type: "direct-up", address: at(2), rttMs: 0 });
});

test("one at a time: a wanted address takes the place of any, a heard one of none; the same one is nothing new", () => {
  const paths = withPath();
  const told = (
    [
      [1, true],
      [2, false],
      [2, false],
      [3, false],
      [3, true],
      [4, false],
      [4, true],
    ] as const
  ).map(([port, isWanted]) => paths.propose(10, at(port), isWanted));
  expect(told).toEqual([false, true, false, false, true, false, true]);
  expect([2, 3].map((port) => paths.find(at(port)))).toEqual([undefined, undefined]);
  // Heard first, and then wanted as well.
  const both = withPath();
  both.propose(0, at(2), false);
  both.propose(0, at(2), true);
  prove(both, 0, at(2));
  expect(both.settle(0)?.type).toBe("direct-up");
});

test("the same port at another socket is another path", () => {
  const paths = withPath();
  expect([paths.find(at(1, 5)), paths.propose(0, at(1, 5), false)]).toEqual([undefined, true]);
});

test("what is dropped by socket, or altogether, and what is lost to silence", () => {
  const down = { type: "direct-down", address: at(1) } as const;
  expect(withPath().drop(3)).toBeUndefined();
  expect([withPath().drop(0), withPath().drop()]).toEqual([down, down]);
  const silent = withPath();
  for (const now of [500, 1_000, 1_500, 2_000, 2_500]) silent.current?.monitor.probe(now);
  expect([silent.settle(2_999), silent.settle(3_000), silent.settle(3_000)]).toEqual([undefined, down, undefined]);
  const next = withPath();
  next.propose(0, at(2, 7), false);
  next.drop(0);
  expect(next.find(at(2, 7))?.address).toEqual(at(2, 7));
});

test("the time that it names is the time at which it acts, whatever fractions the clock has", () => {
  for (const seed of fuzzSeeds("direct-paths", 500)) {
    const random = new Random(seed);
    const paths = empty();
    paths.propose(random.next() * 2 ** random.below(30), at(1), true);
    paths.settle(paths.nextTimeout());
    expect({ seed, isEmpty: paths.isEmpty }).toEqual({ seed, isEmpty: true });
  }
});
