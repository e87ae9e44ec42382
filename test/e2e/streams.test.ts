import { expect, test } from "bun:test";
import type { StreamEnd } from "../../src/app/streams/stream-link.ts";
import { FIRST_WINDOW_BYTES, MAX_WINDOW_BYTES } from "../../src/core/streams/credit.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { StreamUser, streamEnds } from "./support/stream-ends.ts";
import { until } from "./support/until.ts";

const MIB = 1024 * 1024;
const FINISHED: StreamEnd = { type: "finished" };

test("bytes both ways over a path that loses, doubles and mixes up: all of them, in their order", async () => {
  using ends = await streamEnds();
  const [seed = 0] = fuzzSeeds("weather", 1);
  const { ours, theirs } = await ends.open();
  ends.pair.weather = { random: new Random(seed), lost: 100, doubled: 50, late: 50, lateMs: 5 };
  await Promise.all([ours.write(2 * MIB), theirs.write(2 * MIB)]);
  for (const user of [ours, theirs]) user.stream?.end();
  await until("both have seen the end", () => ours.end !== undefined && theirs.end !== undefined);
  expect(theirs.outcome).toEqual({ read: 2 * MIB + 1, wrong: 0, hasEnded: true, end: FINISHED });
  expect(ours.outcome).toEqual({ read: 2 * MIB, wrong: 0, hasEnded: true, end: FINISHED });
  expect(ends.pool.status()).toMatchObject({
    streams: 0,
    streamsOpened: 1,
    streamsEnded: { finished: 1, reset: 0, lost: 0 },
    bytesOut: 2 * MIB + 1,
    bytesIn: 2 * MIB,
    bufferedBytes: 0,
  });
});

test("half-close: whoever is done first, the other one may go on for as long as it likes", async () => {
  using ends = await streamEnds();
  for (const isOursFirst of [true, false]) {
    const { ours, theirs } = await ends.open();
    const [early, late] = isOursFirst ? [ours, theirs] : [theirs, ours];
    early.stream?.end();
    await until("the end is heard", () => late.hasEnded);
    await late.write(MIB);
    await until("all of it came", () => early.read >= MIB);
    expect([early.end, late.end, early.hasEnded]).toEqual([undefined, undefined, false]);
    late.stream?.end();
    await until("both are over", () => early.end !== undefined && late.end !== undefined);
    expect([early.end, late.end]).toEqual([FINISHED, FINISHED]);
  }
});

test("resets with their codes, from either side, also when one direction has ended", async () => {
  using ends = await streamEnds();
  for (const isOurs of [true, false])
    for (const hasEnded of [true, false])
      for (const code of [0, 5, 65_535]) {
        const { ours, theirs } = await ends.open();
        const [giver, taker] = isOurs ? [ours, theirs] : [theirs, ours];
        if (hasEnded) giver.stream?.end();
        if (hasEnded) await until("the end is heard", () => taker.hasEnded);
        giver.stream?.reset(code);
        await until("the reset is heard", () => taker.end !== undefined);
        expect(giver.end).toEqual({ type: "reset", by: "self", code });
        expect(taker.end).toEqual({ type: "reset", by: "peer", code });
      }
  expect([ends.pool.status().streams, ends.service.status().streams]).toEqual([0, 0]);
});

test("a reset overtakes what waits for a reader", async () => {
  using ends = await streamEnds();
  const { ours, theirs } = await ends.open();
  theirs.rest();
  void ours.write(16 * MIB);
  await until("it waits", () => ends.service.status().bufferedBytes > FIRST_WINDOW_BYTES / 2);
  ours.stream?.reset(7);
  await until("the reset is heard", () => theirs.end !== undefined);
  expect(theirs.end).toEqual({ type: "reset", by: "peer", code: 7 });
  expect(ends.service.status().bufferedBytes).toBe(0);
});

test("a reader that rests holds its sender back, and no other stream; then everything comes", async () => {
  using ends = await streamEnds();
  const { ours, theirs } = await ends.open();
  // It reads fast first, so that its window is the largest.
  await ours.write(16 * MIB);
  await until("it is read", () => theirs.read === ours.written);
  theirs.rest();
  let isWritten = false;
  const writing = ours.write(16 * MIB).then(() => {
    isWritten = true;
  });
  const other = await ends.open();
  await other.ours.write(16 * MIB);
  await until("the other one is through", () => other.theirs.read === other.ours.written);
  expect(isWritten).toBe(false);
  expect(ends.service.status().bufferedBytes).toBeWithin(1, MAX_WINDOW_BYTES + 1);
  theirs.goOn();
  await writing;
  await until("all of it was read", () => theirs.read === ours.written);
  expect([theirs.wrong, other.theirs.wrong]).toEqual([0, 0]);
});

test("a pipe that is silent, replaced, lost and opened again: streams go on and notice nothing", async () => {
  using ends = await streamEnds();
  const { ours, theirs } = await ends.open();
  const { pair } = ends;
  for (const [breaks, heals] of [
    [() => (pair.isSilent = true), () => (pair.isSilent = false)],
    [() => pair.replace(), () => {}],
    [() => pair.lose("the server is gone"), () => pair.restore()],
  ] as const) {
    const writing = ours.write(4 * MIB);
    const half = theirs.read + 2 * MIB;
    await until("half of it", () => theirs.read > half);
    breaks();
    await Bun.sleep(100);
    heals();
    await writing;
    await until("all of it", () => theirs.read === ours.written);
  }
  expect([theirs.wrong, theirs.end, ours.end]).toEqual([0, undefined, undefined]);
  expect(ends.pool.status()).toMatchObject({ connections: 2, connectionsOpened: 2, connectionsLost: 0 });
  await until("the pipes before it left nothing", () => ends.service.links === 1);
});

test("an agent that was started anew: streams are lost at once, and the pool is there again", async () => {
  using ends = await streamEnds();
  const { ours } = await ends.open();
  // Its last words do not get through.
  ends.pair.isSilent = true;
  const old = ends.restartService();
  ends.pair.isSilent = false;
  await old;
  await until("it is lost", () => ours.end !== undefined);
  expect(ours.outcome).toMatchObject({ hasEnded: false, end: { type: "lost", reason: "the agent was started anew" } });
  const { ours: next, theirs } = await ends.open();
  await next.write(MIB);
  await until("another stream works", () => theirs.read === MIB + 1);
  expect(ends.pool.status()).toMatchObject({ connectionsLost: 2, streamsEnded: { lost: 1 } });
});

test("either end that goes says so: the other one's streams are lost, none has ended", async () => {
  for (const who of ["pool", "service"] as const) {
    using ends = await streamEnds();
    const { ours, theirs } = await ends.open();
    await ends[who].end();
    await until("both know", () => ours.end !== undefined && theirs.end !== undefined);
    const lost = { hasEnded: false, end: { type: "lost", reason: "shutdown" } };
    expect([ours.outcome, theirs.outcome]).toMatchObject([lost, lost]);
  }
});

test("datagrams of a stream: small ones beside it, large ones through it, none that is too large", async () => {
  using ends = await streamEnds();
  const { ours, theirs } = await ends.open();
  const lengths = [0, 1, 1_146, 1_147, 9_000, 65_535];
  for (const length of lengths) {
    for (const [from, to] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const before = to.datagrams.length;
      expect(from.stream?.sendDatagram(new Uint8Array(length).fill(length))).toBe(true);
      await until("it came", () => to.datagrams.length > before);
      expect(to.datagrams.at(-1)).toEqual(new Uint8Array(length).fill(length));
    }
  }
  expect(ours.stream?.sendDatagram(new Uint8Array(65_536))).toBe(false);
  ours.stream?.reset(0);
  expect(ours.stream?.sendDatagram(new Uint8Array(1))).toBe(false);
  const { datagramsIn, datagramsOut, datagramsDropped } = ends.pool.status();
  expect({ datagramsIn, datagramsOut, datagramsDropped }).toEqual({
    datagramsIn: lengths.length,
    datagramsOut: lengths.length,
    datagramsDropped: 1,
  });
});

test("nobody there: opening waits as long as its signal, and says why", async () => {
  using ends = await streamEnds();
  await ends.open();
  ends.pair.lose("target-unknown");
  await ends.pool.end();
  const opening = ends.pool.open(new StreamUser(), AbortSignal.timeout(10));
  expect(opening).rejects.toMatchObject({ kind: "peer-not-reachable", message: "Cannot reach office: target-unknown" });
  await opening.catch(() => {});
});

test("streams one after another and side by side leave nothing behind", async () => {
  using ends = await streamEnds();
  for (let round = 0; round < 5; round++) {
    const users = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const user = new StreamUser();
        user.stream = await ends.pool.open(user);
        await user.write(10_000);
        user.stream.end();
        return user;
      }),
    );
    await until("the service has all of it", () => ends.served.length === 40 * (round + 1));
    await until("all of it was read", () => ends.served.every(({ hasEnded }) => hasEnded));
    for (const served of ends.served) served.stream?.end();
    await until("all are over", () => users.every(({ end }) => end !== undefined));
    expect(users.map(({ end }) => end)).toEqual(users.map(() => FINISHED));
  }
  expect(ends.served.map(({ read, wrong }) => [read, wrong])).toEqual(ends.served.map(() => [10_000, 0]));
  for (const end of [ends.pool, ends.service])
    expect(end.status()).toMatchObject({ streams: 0, streamsOpened: 200, bufferedBytes: 0 });
});
