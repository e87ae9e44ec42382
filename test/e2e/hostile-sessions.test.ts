import { afterAll, describe, expect, test } from "bun:test";
import { concat, numberOf } from "../bytes.ts";
import { fuzzSeeds, Random } from "../random.ts";
import { identity } from "./support/identities.ts";
import { controlPdu, dataPdu, HELLO, type RawLane, rawLane } from "./support/raw-lane.ts";
import { expectIntact, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked } from "./support/udp-end.ts";
import { turn, until } from "./support/until.ts";

/** Authenticated clients that reach for what is not theirs, come too often, or send noise. */

const mallory = await identity({ cn: "mallory" });
const alice = await identity({ cn: "alice" });

afterAll(() => expectNoSecretsInLogs(mallory, alice));

describe("sessions of others", () => {
  test("another CN's session_id is a session of one's own", async () => {
    await using at = await scene();
    const sessionId = crypto.randomUUID();
    using hers = await rawLane({ port: at.server.port, identity: alice });
    hers.hello({ session_id: sessionId });
    hers.send(dataPdu(marked(1), 0));
    await until("alice's echo", () => hers.datagrams.length === 1);
    using theirs = await rawLane({ port: at.server.port, identity: mallory });
    theirs.hello({ session_id: sessionId });
    theirs.send(dataPdu(marked(2), 0));
    await until("mallory's echo", () => theirs.datagrams.length === 1);
    hers.send(dataPdu(marked(3), 1));
    await until("alice's next echo", () => hers.datagrams.length === 2);

    expect(hers.datagrams.map(numberOf)).toEqual([1, 3]);
    expect(theirs.datagrams.map(numberOf)).toEqual([2]);
    const { sessions } = at.server.role.status();
    const found = sessions.filter((session) => session.sessionId === sessionId);
    expect(found.map((session) => session.clientCn).toSorted()).toEqual(["alice", "mallory"]);
    expect(new Set(found.map((session) => session.udp)).size).toBe(2);
    // Different epochs: not even the numbering is shared.
    expect(new Set([hers.controls[0]?.epoch, theirs.controls[0]?.epoch]).size).toBe(2);
    await expectIntact(at);
  });

  test("a lane that comes again takes the place of the one before, and the session goes on", async () => {
    await using at = await scene();
    const session_id = crypto.randomUUID();
    using before = await rawLane({ port: at.server.port, identity: mallory });
    before.hello({ session_id, lane_id: 3 });
    before.send(dataPdu(marked(1), 0));
    await until("its echo", () => before.datagrams.length === 1);
    using after = await rawLane({ port: at.server.port, identity: mallory });
    after.hello({ session_id, lane_id: 3 });
    after.send(dataPdu(marked(2), 1));
    await until("its echo", () => after.datagrams.length === 1);
    await before.closed();
    expect(after.controls[0]?.epoch).toBe(before.controls[0]?.epoch);
    expect(at.server.session("mallory")?.lanes).toMatchObject([{ id: 3, remote: after.local }]);
    await expectIntact(at);
  });

  test("fifty sessions one after the other: eight at most live on, the oldest make room", async () => {
    await using at = await scene();
    for (let i = 0; i < 50; i++) {
      using lane = await rawLane({ port: at.server.port, identity: mallory });
      lane.hello();
      await until("hello_ack", () => lane.controls.length === 1);
      lane[Symbol.dispose]();
      await until("it to leave", () => at.server.logbook.find("lane_close", { client_cn: "mallory" }).length === i + 1);
    }
    const { sessions } = at.server.role.status();
    expect(sessions.filter((session) => session.clientCn === "mallory")).toHaveLength(8);
    expect(at.server.logbook.find("session_close", { client_cn: "mallory" })).toHaveLength(42);
    await expectIntact(at);
  });

  test("a ninth session with lanes is refused, and the eight live on", async () => {
    await using at = await scene();
    const lanes: RawLane[] = [];
    for (let i = 0; i < 8; i++) {
      const lane = await rawLane({ port: at.server.port, identity: mallory });
      lanes.push(lane);
      lane.hello();
      await until("hello_ack", () => lane.controls.length === 1);
    }
    using ninth = await rawLane({ port: at.server.port, identity: mallory });
    ninth.hello();
    await ninth.closed();
    expect(ninth.controls).toEqual([{ type: "err", kind: "bad_hello", message: "" }]);
    for (const [i, lane] of lanes.entries()) lane.send(dataPdu(marked(i), 0));
    for (const lane of lanes) await until("its echo", () => lane.datagrams.length === 1);
    expect(lanes.map((lane) => lane.datagrams.map(numberOf))).toEqual(lanes.map((_, i) => [i]));
    for (const lane of lanes) lane[Symbol.dispose]();
    await expectIntact(at);
  });
});

describe("seeded noise", () => {
  const [seed = 0] = fuzzSeeds("noise on lanes", 1);
  const random = new Random(seed);

  test("100 connections of damaged frames: each ends or waits, nothing else happens", async () => {
    await using at = await scene();
    for (let round = 0; round < 100; round++) {
      using lane = await rawLane({ port: at.server.port, identity: mallory });
      const stream = concat([
        controlPdu({ ...HELLO, session_id: crypto.randomUUID() }),
        ...Array.from({ length: 5 }, (_, i) => dataPdu(marked(i, random.below(300)), random.oneIn(2) ? i : -1)),
        controlPdu({ type: "goodbye", reason: "" }),
      ]);
      for (let flips = random.between(1, 8); flips > 0; flips--) {
        const index = random.below(stream.length);
        stream[index] = (stream[index] ?? 0) ^ (1 << random.below(8));
      }
      // In pieces, as TCP may cut them.
      for (let from = 0; from < stream.length; ) {
        const to = from + random.between(1, 200);
        lane.send(stream.subarray(from, to));
        from = to;
        if (random.oneIn(3)) await turn();
      }
      await turn();
    }
    const errors = [...at.server.counters("mallory").frameErrors.values()].reduce((sum, count) => sum + count, 0);
    expect(errors).toBeGreaterThan(10);
    expect(at.server.logbook.find("lane_close").filter(({ err }) => /internal error/.test(String(err)))).toEqual([]);
    expect(at.server.role.status().sessions.filter((one) => one.clientCn === "mallory").length).toBeLessThanOrEqual(8);
    await expectIntact(at);
  });
});

describe("what must be ignored", () => {
  test("unknown control types, unknown fields and unknown capabilities", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello({ caps: ["seq", "teleport"], colour: "blue", nested: { deep: [1] } });
    lane.send(controlPdu({ type: "weather", sunny: true }));
    lane.send(dataPdu(marked(1), 0));
    await until("the echo", () => lane.datagrams.length === 1);
    expect(lane.controls).toEqual([
      { type: "hello_ack", session_id: expect.any(String), epoch: expect.any(Number), caps: ["seq"] },
    ]);
    expect([...at.server.counters("mallory").frameErrors]).toEqual([]);
    await expectIntact(at);
  });
});
