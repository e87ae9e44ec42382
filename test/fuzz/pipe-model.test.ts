import { expect, test } from "bun:test";
import { DOUBT_MS } from "../../src/core/pipe/path-monitor.ts";
import { numbered, numberOf } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { cut, PipePair, type Weather } from "../unit/core/pipe/pipe-pair.ts";

/** How long a packet is under way at most, unless it is lost. */
const MAX_DELAY_MS = 150;

/** Delays, reorders and repeats; loses one in `loseOneIn`, if that is not 0. */
function weather(random: Random, loseOneIn = 0): Weather {
  const base = random.between(1, 80);
  const jitter = random.pick([0, 2, 60]);
  const repeats = random.oneIn(3);
  return () => {
    if (loseOneIn > 0 && random.oneIn(loseOneIn)) return [];
    const once = base + random.below(jitter + 1);
    return repeats && random.oneIn(5) ? [once, once + random.below(MAX_DELAY_MS - once)] : [once];
  };
}

interface Run {
  readonly pair: PipePair;
  /** When each datagram was sent, by end and number. */
  readonly sent: readonly [number[], number[]];
  /** When the direct path was taken away from whoever used it, or given to them in a state to be noticed. */
  readonly breaks: number[];
}

/** Half a minute of traffic both ways, with rests, over a relay that loses nothing and a direct path with a life. */
function live(seed: number, loseOneIn: number): Run {
  const random = new Random(seed);
  const rekeyPackets = random.oneIn(2) ? random.between(50, 2_000) : undefined;
  const pair = new PipePair({ seed, ...(rekeyPackets === undefined ? {} : { rekeyPackets }) });
  pair.relay = weather(random);
  const run: Run = { pair, sent: [[], []], breaks: [] };
  for (const until = pair.now + 30_000; pair.now < until; ) {
    happen(random, run, loseOneIn);
    traffic(random, run, random.between(200, 6_000));
    if (random.oneIn(4)) pair.run(random.between(0, 20_000));
  }
  pair.run(2 * MAX_DELAY_MS);
  return run;
}

function happen(random: Random, { pair, breaks }: Run, loseOneIn: number): void {
  const event = random.pick(["up", "up", "cut", "rebind", "slow", "relay", "owner"]);
  if (event === "up") {
    pair.direct = weather(random, loseOneIn);
    for (const end of [0, 1]) if (!random.oneIn(4)) pair.tryDirect(end);
  } else if (event === "slow") {
    if (pair.direct !== cut) pair.direct = weather(random, loseOneIn);
  } else if (event === "relay") pair.relay = weather(random);
  else {
    breaks.push(pair.now);
    if (event === "cut") pair.direct = cut;
    else if (event === "rebind") pair.rebind(random.below(2));
    else for (const end of [0, 1]) if (random.oneIn(2)) pair.pipe(end).dropDirect(pair.now);
  }
}

function traffic(random: Random, { pair, sent }: Run, ms: number): void {
  const everyMs = random.pick([10, 40, 200]);
  const ends = random.pick([[0], [1], [0, 1], [0, 1]]);
  for (const until = pair.now + ms; pair.now < until; pair.run(everyMs))
    for (const end of ends as (0 | 1)[]) {
      const length = random.oneIn(10) ? random.between(1_100, 3_000) : 16;
      pair.send(end, numbered(sent[end].push(pair.now) - 1, length));
    }
}

/** Datagrams of `end` that did not arrive, as the time that had passed since the last break when they were sent. */
function lostSince({ pair, sent, breaks }: Run, end: 0 | 1): number[] {
  const arrived = new Set(pair.arrivals[(1 - end) as 0 | 1].map(({ payload }) => numberOf(payload)));
  // A packet that is under way when the path breaks is lost with what follows.
  const age = (at: number) =>
    at - (breaks.findLast((broken) => broken - MAX_DELAY_MS <= at) ?? Number.NEGATIVE_INFINITY);
  return sent[end].filter((_, number) => !arrived.has(number)).map(age);
}

function checkAlways(seed: number, { pair, sent }: Run): void {
  for (const end of [0, 1] as const) {
    const arrivals = pair.arrivals[(1 - end) as 0 | 1];
    const whole = arrivals.filter(({ payload }) =>
      payload.every((byte, at) => at < 4 || byte === (numberOf(payload) & 0xff)),
    );
    const { counters } = pair.pipe(end);
    const { receivedRelay, receivedDirect, refused } = pair.pipe(1 - end).counters;
    expect({
      seed,
      end,
      once: new Set(arrivals.map(({ payload }) => numberOf(payload))).size,
      whole: whole.length,
      sent: counters.sentRelay + counters.sentDirect - counters.sentBoth,
      received: receivedRelay + receivedDirect,
      forged: refused.forged + refused.malformed,
      sessions: pair.sessions[end].size <= 3,
    }).toEqual({
      ...{ seed, end, once: arrivals.length, whole: arrivals.length, sent: sent[end].length },
      ...{ received: arrivals.length, forged: 0, sessions: true },
    });
  }
}

test(
  "paths that are cut, restored, moved, slowed: nothing comes twice, and lost is only what was sent before it was noticed",
  () => {
    for (const seed of fuzzSeeds("pipe model", 60)) {
      const run = live(seed, 0);
      checkAlways(seed, run);
      const worst = Math.max(0, ...lostSince(run, 0), ...lostSince(run, 1));
      // The last answer may still come one way after the break.
      expect({ seed, worst, isNoticed: worst <= DOUBT_MS + MAX_DELAY_MS }).toEqual({ seed, worst, isNoticed: true });
      // A pipe may move every five seconds, and doubt at each break and after each rest.
      const moves = run.pair.events.filter(({ event }) => event.type === "route").length;
      expect({ seed, isCalm: moves <= 12 * (run.breaks.length + run.pair.now / 2_500) }).toEqual({
        seed,
        isCalm: true,
      });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "a direct path that loses: nothing comes twice, keys change without a halt",
  () => {
    for (const seed of fuzzSeeds("lossy pipe", 40)) {
      const run = live(seed, new Random(seed).pick([3, 10, 50]));
      checkAlways(seed, run);
      const { pair } = run;
      // Whatever happened to the keys, what is sent now arrives.
      pair.direct = cut;
      for (const end of [0, 1]) pair.pipe(end).dropDirect(pair.now);
      for (const end of [0, 1] as const) {
        const before = pair.arrivals[end].length;
        pair.send(1 - end, numbered(1));
        pair.run(2 * MAX_DELAY_MS);
        expect({ seed, end, arrived: pair.arrivals[end].length - before }).toEqual({ seed, end, arrived: 1 });
      }
    }
  },
  SLOW_MACHINE_MS,
);
