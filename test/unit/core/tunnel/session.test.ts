import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { STALE_MS } from "../../../../src/core/tunnel/outbound.ts";
import { Scheduler } from "../../../../src/core/tunnel/scheduler.ts";
import { hex, numbered } from "../../../bytes.ts";
import { SessionBench } from "./session-bench.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";
import { initiation, transport } from "./wireguard-messages.ts";

describe("offering", () => {
  test("up to 65,531 bytes fit a PDU with their number, more are refused and counted", () => {
    const bench = new SessionBench();
    const sizes = [0, 1, 65_507, 65_531, 65_532, 65_533, 65_534, 65_535];
    expect(sizes.map((size) => bench.session.offer(0, new Uint8Array(size)))).toEqual([0, 0, 0, 0, -1, -1, -1, -1]);
    expect([bench.session.queuedPackets, bench.drops("up"), bench.counters.up.inPackets]).toEqual([
      4,
      { too_large: 4 },
      8,
    ]);
    expect(bench.counters.up.inBytes).toBe(sizes.reduce((sum, size) => sum + size));
    const lane = bench.lane(0);
    while (bench.session.nextBatch(0) !== undefined) lane.wrote(0, lane.pendingBytes);
    expect([bench.session.queuedPackets, lane.packetsOut]).toEqual([0, 4]);
  });

  test("says how many older ones had to go", () => {
    const bench = new SessionBench({ queue: { ...SESSION_SETTINGS.queue, maxPackets: 1 } });
    expect([bench.session.offer(0, numbered(1)), bench.session.offer(0, numbered(2))]).toEqual([0, 1]);
    expect(bench.drops("up")).toEqual({ oldest: 1 });
  });
});

describe("sending", () => {
  test("waits for a lane, then leaves in batches that rotate", () => {
    const bench = new SessionBench({ batchBytes: 42 });
    bench.offer(0, 1, 2, 3, 4, 5);
    expect(bench.session.nextBatch(0)).toBeUndefined();
    bench.lane(0);
    bench.lane(1);
    expect(bench.sent()).toEqual(["0: 1#0 2#1", "1: 3#2 4#3", "0: 5#4"]);
    expect([bench.counters.up.outPackets, bench.counters.up.outBytes, bench.counters.queueDelay.count]).toEqual([
      5, 40, 5,
    ]);
  });

  test("one datagram larger than a batch is a batch", () => {
    const bench = new SessionBench({ batchBytes: 100 });
    bench.lane(0);
    bench.session.offer(0, numbered(1, 1_400));
    bench.session.offer(0, numbered(2, 1_400));
    expect(bench.sent()).toEqual(["0: 1#0", "0: 2#1"]);
  });

  test("before its hello_ack a lane carries plain DATA", () => {
    const bench = new SessionBench();
    const lane = bench.plainLane(0);
    bench.offer(0, 1);
    expect(bench.sent()).toEqual(["0: 1"]);
    bench.session.acknowledge(lane, 7, ["seq"], []);
    bench.offer(0, 2);
    bench.plainLane(1);
    bench.offer(0, 3);
    expect(bench.sent()).toEqual(["1: 2 3"]);
    bench.offer(0, 4);
    expect(bench.sent()).toEqual(["0: 4#0"]);
  });

  test("a peer without SEQ never sees one", () => {
    const bench = new SessionBench();
    bench.session.acknowledge(bench.plainLane(0), 7, [], []);
    bench.offer(0, 1);
    expect(bench.sent()).toEqual(["0: 1"]);
  });

  test("by hash a batch is one flow's, even when the queue holds several", () => {
    const bench = new SessionBench({ pick: "hash" });
    for (let id = 0; id < 5; id++) bench.lane(id);
    for (let i = 0; i < 30; i++) bench.session.offer(0, transport(i % 3));
    const home = (datagram: Uint8Array) => new Scheduler("hash").pick(bench.session.lanes, datagram, 0)?.id;
    const homes = new Set<number | undefined>();
    const strangers: number[] = [];
    for (let lane = bench.session.nextBatch(0); lane !== undefined; lane = bench.session.nextBatch(0)) {
      const batch = lane.orphans();
      lane.wrote(0, lane.pendingBytes);
      homes.add(lane.id);
      strangers.push(...batch.filter(({ datagram }) => home(datagram) !== lane.id).map(({ seq }) => seq));
    }
    expect([homes, strangers]).toEqual([new Set([0, 1, 2].map((peer) => home(transport(peer)))), []]);
    expect(homes.size).toBeGreaterThan(1);
    expect(bench.session.queuedPackets).toBe(0);
  });

  test("handshakes go first", () => {
    const bench = new SessionBench({ batchBytes: 1 });
    const lane = bench.lane(0);
    bench.offer(0, 1);
    bench.session.offer(0, initiation());
    bench.session.nextBatch(0);
    expect(lane.orphans()).toEqual([{ datagram: initiation(), seq: 0, channel: -1 }]);
  });

  test("what is dropped while a batch is made does not stop the rest", () => {
    const bench = new SessionBench({ pick: "hash", queue: { ...SESSION_SETTINGS.queue, targetMs: 5 } });
    for (let id = 0; id < 5; id++) bench.lane(id);
    for (let i = 0; i < 40; i++) bench.session.offer(0, transport(i % 7));
    // The head waits far over the target for far over 100 ms: CoDel takes it away under the scheduler's eyes.
    const step = () => {
      let sent = 0;
      for (let lane = bench.session.nextBatch(500); lane !== undefined; lane = bench.session.nextBatch(500)) {
        sent += lane.orphans().length;
        lane.wrote(500, lane.pendingBytes);
      }
      return sent;
    };
    for (const lane of bench.session.lanes) lane.writable = false;
    expect(step()).toBe(0);
    for (const lane of bench.session.lanes) lane.writable = true;
    expect(step() + (bench.drops("up").codel ?? 0)).toBe(40);
  });
});

describe("stale", () => {
  test("what has waited over 5 s when the first lane returns is dropped", () => {
    const bench = new SessionBench();
    bench.offer(0, 1);
    bench.offer(1_000, 2);
    bench.lane(0, 1, 1_000 + STALE_MS);
    expect([bench.sent(), bench.drops("up")]).toEqual([["0: 2#0"], { stale: 1 }]);
  });

  test("a second lane changes nothing", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    lane.writable = false;
    bench.offer(0, 1);
    bench.lane(1, 1, 60_000);
    expect([bench.sent(60_000), bench.drops("up")]).toEqual([["1: 1#0"], {}]);
  });
});

describe("what a lane leaves behind", () => {
  test("goes first, on another lane, under its number", () => {
    const bench = new SessionBench();
    const first = bench.lane(0);
    bench.offer(0, 1, 2, 3);
    expect(bench.session.nextBatch(0)).toBe(first);
    first.wrote(0, 21 + 5);
    bench.offer(0, 4);
    bench.lane(1);
    bench.session.detach(0, first, []);
    expect([bench.session.queuedPackets, bench.session.unsentPackets]).toEqual([3, 3]);
    expect(bench.sent()).toEqual(["1: 2#1 3#2", "1: 4#3"]);
    expect([bench.counters.up.outPackets, bench.drops("up")]).toEqual([4, {}]);
  });

  test("keeps its order over several lanes and batches", () => {
    const bench = new SessionBench({ batchBytes: 42 });
    const first = bench.lane(0);
    const second = bench.lane(1);
    bench.offer(0, 1, 2, 3, 4);
    bench.session.nextBatch(0);
    bench.session.nextBatch(0);
    bench.session.detach(0, first, []);
    bench.session.detach(0, second, []);
    bench.lane(2);
    expect(bench.sent()).toEqual(["2: 1#0 2#1", "2: 3#2 4#3"]);
  });

  test("waits for a lane that knows numbers, while new datagrams need not", () => {
    const bench = new SessionBench();
    const first = bench.lane(0);
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    bench.session.detach(0, first, []);
    const second = bench.plainLane(1);
    bench.offer(0, 2);
    expect([bench.sent(), bench.session.queuedPackets]).toEqual([["1: 2"], 1]);
    bench.session.acknowledge(second, 1, ["seq"], []);
    expect([bench.sent(), bench.session.queuedPackets]).toEqual([["1: 1#0"], 0]);
  });

  test("without a number it goes on any lane", () => {
    const bench = new SessionBench();
    const first = bench.plainLane(0);
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    bench.session.detach(0, first, []);
    bench.plainLane(1);
    expect(bench.sent()).toEqual(["1: 1"]);
  });

  test("is stale after 5 s; one with a number is left to the receiver's count, or it would count twice", () => {
    const bench = new SessionBench();
    const numberedLane = bench.lane(0);
    const plainLane = bench.plainLane(1);
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    bench.offer(0, 2);
    bench.session.nextBatch(0);
    bench.session.detach(0, numberedLane, []);
    bench.session.detach(0, plainLane, []);
    bench.lane(2, 1, STALE_MS + 1);
    expect([bench.sent(STALE_MS + 1), bench.session.queuedPackets, bench.drops("up")]).toEqual([[], 0, { stale: 1 }]);
  });

  test("under a new epoch it goes without its old number, whenever its lane is given up", () => {
    for (const late of [false, true]) {
      const bench = new SessionBench();
      const old = bench.lane(0);
      bench.offer(0, 1);
      bench.session.nextBatch(0);
      const giveUp = () => bench.session.detach(0, old, []);
      if (!late) giveUp();
      bench.lane(1, 2);
      if (late) giveUp();
      bench.offer(0, 2);
      expect({ late, sent: bench.sent() }).toEqual({ late, sent: ["1: 1", "1: 2#0"] });
    }
  });
});

describe("dead lanes", () => {
  test("one whose socket takes nothing for 10 s is told once", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    lane.wrote(100, 3);
    expect(bench.session.nextTimeout()).toBe(10_100);
    expect(bench.session.handleTimeout(10_099, [])).toEqual([]);
    expect(bench.session.handleTimeout(10_100, [])).toEqual([lane]);
    expect([bench.session.handleTimeout(10_101, []), bench.session.nextTimeout()]).toEqual([[], NEVER]);
  });

  test("one whose PDU never ends is told once", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    lane.feed(hex("5554"));
    bench.session.receive(0, lane, []);
    expect(bench.session.nextTimeout()).toBe(30_000);
    expect([bench.session.handleTimeout(30_000, []), lane.error]).toEqual([[lane], "slow_pdu"]);
    expect([bench.session.handleTimeout(30_001, []), bench.session.nextTimeout()]).toEqual([[], NEVER]);
  });
});

describe("the end", () => {
  test("what waits is dropped and counted, what is held leaves, gaps are lost, and that is all", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    const [a] = [bench.lane(0), bench.lane(1)];
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    bench.receive(0, a, 0, 3);
    for (const lane of [...bench.session.lanes]) bench.session.detach(0, lane, []);
    bench.offer(0, 2, 3);
    bench.session.offer(0, initiation());
    for (let twice = 0; twice < 2; twice++) {
      expect(bench.leaving((out) => bench.session.close(out))).toEqual([]);
      expect([bench.drops("up"), bench.drops("down"), bench.session.queuedPackets]).toEqual([
        { closed: 4 },
        { lane_lost: 2 },
        0,
      ]);
    }
  });

  test("a lane detached twice counts once", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    bench.offer(0, 1);
    bench.session.nextBatch(0);
    bench.session.detach(0, lane, []);
    bench.session.detach(0, lane, []);
    expect(bench.session.queuedPackets).toBe(1);
  });
});

describe("another server", () => {
  test("gets what waits, since when it has waited, without the numbers of the one before", () => {
    const old = new SessionBench();
    const other = new SessionBench();
    const lane = old.lane(0);
    old.offer(0, 1, 2);
    expect(old.session.nextBatch(0)).toBe(lane);
    old.session.detach(1, lane, []);
    old.offer(2, 3);
    old.session.offer(3, initiation());
    other.lane(0);
    old.session.moveTo(10, other.session);
    expect([old.session.queuedPackets, other.session.queuedPackets, other.session.oldestMs(10)]).toEqual([
      0,
      4,
      Number.POSITIVE_INFINITY,
    ]);
    const [orphans, ...rest] = other.sent(12);
    expect([orphans, rest.length]).toEqual(["0: 1 2", 1]);
    expect([other.counters.queueDelay.count, other.counters.queueDelay.sumMs, old.drops("up")]).toEqual([2, 19, {}]);
  });

  test("gets nothing that is stale, and nothing of channels: their numbers are the other server's", () => {
    const old = new SessionBench();
    const other = new SessionBench();
    old.offer(0, 1);
    old.offer(STALE_MS, 2);
    old.session.offerChannel(STALE_MS, 5, numbered(3));
    old.session.moveTo(STALE_MS + 1, other.session);
    expect([old.session.queuedPackets, other.session.queuedPackets]).toEqual([0, 1]);
    expect([old.drops("up"), old.counters.channels.up.drops.closed]).toEqual([{ stale: 1 }, 1]);
  });
});
