import { describe, expect, test } from "bun:test";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { Scheduler } from "../../../../src/core/tunnel/scheduler.ts";
import { numbered } from "../../../bytes.ts";
import { initiation, transport } from "./wireguard-messages.ts";

function lanes(count: number): Lane[] {
  return Array.from({ length: count }, (_, id) => new Lane(id));
}

/** Ids of the lanes picked for `count` datagrams in turn; "-" where none could take it. */
function picks(scheduler: Scheduler, among: readonly Lane[], count: number, key = 0): (number | "-")[] {
  return Array.from({ length: count }, (_, i) => scheduler.pick(among, numbered(i), key)?.id ?? "-");
}

/** A lane whose socket does not accept more. */
function block(lane: Lane): void {
  lane.writable = false;
}

describe("round robin", () => {
  test("every lane in turn", () => {
    expect(picks(new Scheduler("round_robin"), lanes(5), 12)).toEqual([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]);
    expect(picks(new Scheduler("round_robin"), lanes(1), 3)).toEqual([0, 0, 0]);
  });

  test("no lane, no pick", () => expect(picks(new Scheduler("round_robin"), [], 1)).toEqual(["-"]));

  test("lanes that cannot take more are skipped, and the rest share evenly", () => {
    const among = lanes(5);
    block(among[1]!);
    among[3]!.putControl({ type: "goodbye", reason: "" }); // its outbox is not empty
    expect(picks(new Scheduler("round_robin"), among, 7)).toEqual([0, 2, 4, 0, 2, 4, 0]);
  });

  test("a lane that said goodbye takes nothing more, even when its socket does", () => {
    const among = lanes(2);
    among[0]!.sayGoodbye("idle");
    among[0]!.wrote(0, among[0]!.pendingBytes);
    expect(picks(new Scheduler("round_robin"), among, 2)).toEqual([1, 1]);
    among[1]!.sayGoodbye("idle");
    among[1]!.wrote(0, among[1]!.pendingBytes);
    expect(picks(new Scheduler("round_robin"), among, 1)).toEqual(["-"]);
  });

  test("nobody ready: nothing, and the turn is kept", () => {
    const scheduler = new Scheduler("round_robin");
    const among = lanes(3);
    expect(picks(scheduler, among, 1)).toEqual([0]);
    for (const lane of among) block(lane);
    expect(picks(scheduler, among, 2)).toEqual(["-", "-"]);
    for (const lane of among) lane.writable = true;
    expect(picks(scheduler, among, 3)).toEqual([1, 2, 0]);
  });

  test("the turn survives lanes that come and go", () => {
    const scheduler = new Scheduler("round_robin");
    const among = lanes(3);
    expect(picks(scheduler, among, 2)).toEqual([0, 1]);
    among.length = 1;
    expect(picks(scheduler, among, 2)).toEqual([0, 0]);
    among.push(new Lane(7), new Lane(8));
    expect(picks(scheduler, among, 4)).toEqual([7, 8, 0, 7]);
  });
});

describe("stalled lanes", () => {
  test("are left alone while any other lane lives, even a busy one", () => {
    const among = lanes(3);
    among[0]!.stalled = true;
    block(among[1]!);
    expect(picks(new Scheduler("round_robin"), among, 2)).toEqual([2, 2]);
    block(among[2]!);
    expect(picks(new Scheduler("round_robin"), among, 1)).toEqual(["-"]);
  });

  test("when all are stalled they share what there is, in turn", () => {
    const among = lanes(3);
    for (const lane of among) lane.stalled = true;
    const scheduler = new Scheduler("round_robin");
    expect(picks(scheduler, among, 5)).toEqual([0, 1, 2, 0, 1]);
    block(among[2]!);
    expect(picks(scheduler, among, 2)).toEqual([0, 1]);
  });

  test("a lane that says goodbye does not count as a healthy one", () => {
    const among = lanes(2);
    among[0]!.sayGoodbye("idle");
    among[1]!.stalled = true;
    expect(picks(new Scheduler("round_robin"), among, 2)).toEqual([1, 1]);
  });
});

describe("windows and repairs (TCP_INFO)", () => {
  test("a lane that can send at once goes before one whose window is full, that before one that repairs a loss", () => {
    const among = lanes(4);
    among[0]!.recovering = true;
    among[1]!.window = 0;
    among[3]!.window = 1;
    const scheduler = new Scheduler("round_robin");
    expect(picks(scheduler, among, 4)).toEqual([2, 3, 2, 3]);
    block(among[2]!);
    block(among[3]!);
    expect(picks(scheduler, among, 2)).toEqual([1, 1]);
    block(among[1]!);
    expect(picks(scheduler, among, 2)).toEqual([0, 0]);
  });

  test("lanes of one kind share in turn", () => {
    const among = lanes(3);
    for (const lane of among) lane.window = -100;
    expect(picks(new Scheduler("round_robin"), among, 4)).toEqual([0, 1, 2, 0]);
    for (const lane of among) lane.recovering = true;
    expect(picks(new Scheduler("round_robin"), among, 4)).toEqual([0, 1, 2, 0]);
  });
});

describe("hash", () => {
  test("a WireGuard peer keeps its lane, whatever the source port and the data", () => {
    const among = lanes(5);
    const scheduler = new Scheduler("hash");
    const seen = Array.from(
      { length: 20 },
      (_, i) => scheduler.pick(among, transport(0xcafe_0001, 96 + 16 * i), i)?.id,
    );
    expect(seen).toEqual(Array(20).fill(seen[0]));
  });

  test("everything else keeps the lane of its source port, handshakes too", () => {
    const among = lanes(5);
    const scheduler = new Scheduler("hash");
    const lane = scheduler.pick(among, initiation(), 51_820)?.id;
    expect(picks(scheduler, among, 10, 51_820)).toEqual(Array(10).fill(lane));
  });

  test("a thousand peers spread evenly, also when their indices are consecutive", () => {
    const among = lanes(5);
    for (const step of [1, 2, 256, 65_536, 0x0101_0101]) {
      const counts = [0, 0, 0, 0, 0];
      for (let i = 0; i < 1_000; i++) {
        const lane = new Scheduler("hash").pick(among, transport((i * step) >>> 0), 0)!;
        counts[lane.id]!++;
      }
      for (const count of counts) expect(count).toBeWithin(120, 281);
    }
  });

  test("a busy home costs order, not delay: the next lane takes it, and the home again when it can", () => {
    const among = lanes(3);
    const scheduler = new Scheduler("hash");
    const home = scheduler.pick(among, transport(9), 0)!.id;
    const next = (home + 1) % 3;
    block(among[home]!);
    expect(scheduler.pick(among, transport(9), 0)!.id).toBe(next);
    among[next]!.stalled = true;
    expect(scheduler.pick(among, transport(9), 0)!.id).toBe((home + 2) % 3);
    among[home]!.writable = true;
    expect(scheduler.pick(among, transport(9), 0)!.id).toBe(home);
  });
});

describe("who may ride in one batch", () => {
  const peers = Array.from({ length: 40 }, (_, i) => transport(i));
  const among = lanes(5);

  test("by turn: everybody", () => {
    const scheduler = new Scheduler("round_robin");
    expect(peers.every((peer) => scheduler.together(among, peers[0]!, peer, 0))).toBe(true);
  });

  test("by hash: those whose home is the same lane", () => {
    const scheduler = new Scheduler("hash");
    const homes = peers.map((peer) => scheduler.pick(among, peer, 0)!.id);
    expect(peers.map((peer) => scheduler.together(among, peers[0]!, peer, 0))).toEqual(
      homes.map((home) => home === homes[0]),
    );
    expect(new Set(homes).size).toBe(5);
  });
});
