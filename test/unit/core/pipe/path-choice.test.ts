import { describe, expect, test } from "bun:test";
import { PathChoice, type PathPreference, type Route } from "../../../../src/core/pipe/path-choice.ts";
import { PathMonitor } from "../../../../src/core/pipe/path-monitor.ts";
import { Random } from "../../../random.ts";

/** One with a round trip, of whose last 40 probes `lost` were lost; it was heard at `now`. */
function path(now: number, rttMs: number | undefined, lost = 0): PathMonitor {
  const random = new Random(1);
  const monitor = new PathMonitor((length) => random.bytes(length));
  if (rttMs === undefined) return monitor;
  monitor.answered(rttMs - 200_000, monitor.probe(-200_000));
  for (let i = 0; i < lost; i++) monitor.probe(i * 2_000 - 190_000);
  monitor.answered(now, monitor.probe(now - rttMs));
  return monitor;
}

describe("whether a direct path is taken", () => {
  const cases: [prefer: PathPreference, relay: number | undefined, rtt: number, lost: number, route: Route][] = [
    ["auto", 40, 60, 0, "direct"],
    ["auto", 40, 60.5, 0, "relay"],
    ["auto", undefined, 500, 0, "direct"],
    ["auto", 40, 10, 1, "direct"],
    ["auto", 40, 10, 2, "relay"],
    ["direct", 40, 900, 9, "direct"],
    ["relay", 900, 1, 0, "relay"],
  ];
  test.each(cases)("prefer %s, relay %p ms, direct %d ms and %d of 40 lost: %s", (prefer, relay, rtt, lost, route) => {
    expect(new PathChoice(prefer).route(0, path(0, relay), path(0, rtt, lost))).toBe(route);
  });
});

test("one that was taken is kept for five seconds, and then up to 1.5 × the relay's round trip + 20 ms", () => {
  const choice = new PathChoice("auto");
  const relay = path(0, 40);
  const routes = [
    [0, 60],
    [4_999, 81],
    [5_000, 80],
    [5_001, 81],
    [5_002, 60],
    [15_000, 60],
    [15_001, 60],
  ].map(([now = 0, rtt = 0]) => choice.route(now, relay, path(now, rtt)));
  expect(routes).toEqual(["direct", "direct", "direct", "relay", "relay", "relay", "direct"]);
});

test("each one that is left within half a minute makes the next one wait longer, up to a minute", () => {
  const choice = new PathChoice("auto");
  const relay = path(0, 40);
  const waits: number[] = [];
  let now = 0;
  for (let round = 0; round < 6; round++) {
    const from = now;
    while (choice.route(now, relay, path(now, 10)) === "relay") now += 100;
    waits.push(Math.round((now - from) / 1_000));
    now += round === 4 ? 30_000 : 1_000;
    choice.route(now, relay, undefined);
  }
  expect(waits).toEqual([0, 10, 20, 40, 60, 5]);
});

test("a chosen path in doubt gets company, whichever it is", () => {
  const relay = path(0, 40);
  const direct = path(0, 10);
  direct.probe(100);
  const choice = new PathChoice("auto");
  expect([choice.route(1_499, relay, direct), choice.route(1_500, relay, direct)]).toEqual(["direct", "both"]);
  relay.probe(100);
  const other = new PathChoice("relay");
  const well = path(1_600, 10);
  expect([other.route(1_599, relay, well), other.route(1_600, relay, well)]).toEqual(["relay", "both"]);
  // Without another one there is nothing to doubt.
  expect(other.route(1_600, relay, undefined)).toBe("relay");
});
