import { describe, expect, test } from "bun:test";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { GIVE_UP_MS, LATE_MS } from "../../../../src/core/tunnel/loss-ledger.ts";
import { encodeControl } from "../../../../src/core/wire/control.ts";
import { encodeCtrl, FLAG_CHANNEL } from "../../../../src/core/wire/pdu.ts";
import { concat, hex, numbered } from "../../../bytes.ts";
import { pdu, SessionBench } from "./session-bench.ts";

describe("receiving", () => {
  test("plain DATA leaves at once and is counted", () => {
    const bench = new SessionBench({ reorderMs: 50 });
    const lane = bench.lane(0);
    lane.feed(concat([pdu(numbered(9)), pdu(numbered(8))]));
    expect(bench.leaving((out) => bench.session.receive(5, lane, out))).toEqual([9, 8]);
    expect([bench.counters.down.inPackets, bench.counters.down.inBytes, bench.session.lastDataAt]).toEqual([2, 16, 5]);
  });

  test("a number that comes twice leaves once and counts once", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    expect(bench.receive(0, lane, 0, 1, 1, 0, 2)).toEqual([0, 1, 2]);
    expect([bench.counters.down.inPackets, bench.drops("down")]).toEqual([3, {}]);
  });

  test("flags that nobody agreed on end the lane", () => {
    const bench = new SessionBench();
    const plain = bench.plainLane(0);
    plain.feed(pdu(numbered(1), 1));
    expect(bench.session.receive(0, plain, [])).toBe("bad_flags");
    const lane = bench.lane(1);
    const channel = pdu(numbered(1), 1);
    channel[4] = FLAG_CHANNEL;
    lane.feed(channel);
    expect(bench.session.receive(0, lane, [])).toBe("bad_flags");
  });

  test("stops at a control message, and goes on behind it", () => {
    const bench = new SessionBench();
    const lane = bench.lane(0);
    const into = new Uint8Array(100);
    const goodbye = into.subarray(0, encodeCtrl(into, 0, encodeControl({ type: "goodbye", reason: "idle" })));
    lane.feed(concat([pdu(numbered(1)), goodbye, hex("00")]));
    const out: Uint8Array[] = [];
    expect([bench.session.receive(0, lane, out), lane.message, out.length]).toEqual([
      "control",
      { type: "goodbye", reason: "idle" },
      1,
    ]);
    expect(bench.session.receive(0, lane, out)).toBe("bad_magic");
  });

  test("the rest of a lane from an older epoch means nothing and poisons nothing", () => {
    const bench = new SessionBench();
    const old = bench.lane(0, 1);
    expect(bench.receive(0, old, 0)).toEqual([0]);
    const fresh = bench.lane(1, 2);
    expect([bench.receive(0, old, 1_000_000), bench.receive(0, fresh, 0, 1)]).toEqual([[], [0, 1]]);
  });
});

describe("order and loss", () => {
  test("a gap is given up when every lane has brought something later, and counted a second after", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    const [a, b] = [bench.lane(0), bench.lane(1)];
    expect(bench.receive(0, a, 0, 2)).toEqual([0]);
    expect(bench.receive(0, b, 3)).toEqual([2, 3]);
    expect([bench.drops("down"), bench.session.nextTimeout()]).toEqual([{}, LATE_MS]);
    expect(bench.leaving((out) => bench.session.handleTimeout(LATE_MS, out))).toEqual([]);
    expect([bench.drops("down"), bench.counters.resequencedPackets]).toEqual([{ lane_lost: 1 }, 1]);
  });

  test("a lane that has brought nothing yet holds the gap, until its time is over", () => {
    const bench = new SessionBench({ reorderMs: 50 });
    const a = bench.lane(0);
    bench.lane(1);
    expect(bench.receive(0, a, 0, 2)).toEqual([0]);
    expect(bench.receive(0, a, 3)).toEqual([]);
    expect(bench.session.nextTimeout()).toBe(50);
    expect(bench.leaving((out) => bench.session.handleTimeout(50, out))).toEqual([2, 3]);
    expect([bench.counters.reorderTimeouts, bench.counters.resequencedPackets, bench.drops("down")]).toEqual([
      1,
      2,
      {},
    ]);
    bench.session.handleTimeout(GIVE_UP_MS, []);
    expect(bench.drops("down")).toEqual({ lane_lost: 1 });
  });

  test("a lane that waits for its hello_ack holds it too: numbers may be right behind the ack", () => {
    const bench = new SessionBench({ reorderMs: 50 });
    const a = bench.lane(0);
    bench.receive(0, a, 0);
    const late = bench.plainLane(1);
    expect(bench.receive(0, a, 2, 3)).toEqual([]);
    bench.session.acknowledge(late, 1, ["seq"], []);
    expect(bench.receive(0, late, 1)).toEqual([1, 2, 3]);
    bench.session.handleTimeout(GIVE_UP_MS, []);
    expect(bench.drops("down")).toEqual({});
  });

  test("a new lane cannot hold a gap from before its time", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    const [a, b] = [bench.lane(0), bench.lane(1)];
    expect([bench.receive(0, a, 0), bench.receive(0, b, 1), bench.receive(0, a, 3)]).toEqual([[0], [1], []]);
    bench.lane(2);
    expect(bench.leaving((out) => bench.session.detach(0, b, out))).toEqual([3]);
    // But it holds the next one.
    expect(bench.receive(0, a, 5)).toEqual([]);
  });

  test("a lane that is gone, said goodbye or failed holds nothing", () => {
    for (const end of ["gone", "goodbye", "failed"]) {
      const bench = new SessionBench({ reorderMs: 1_000 });
      const [a, b] = [bench.lane(0), bench.lane(1)];
      expect(bench.receive(0, a, 1)).toEqual([]);
      const left = bench.leaving((out) => {
        if (end === "gone") bench.session.detach(0, b, out);
        else if (end === "goodbye") b.heardGoodbye = true;
        else b.error = "bad_magic";
      });
      expect([end, ...left, ...bench.receive(0, a, 2)]).toEqual([end, 1, 2]);
    }
  });

  test("without any lane nothing is held back, and nothing is lost before the peer returns or half a minute is over", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    const a = bench.lane(0);
    bench.lane(1);
    bench.receive(0, a, 1, 3);
    expect(bench.leaving((out) => [...bench.session.lanes].map((lane) => bench.session.detach(0, lane, out)))).toEqual([
      1, 3,
    ]);
    bench.elapse(GIVE_UP_MS - 1);
    expect(bench.drops("down")).toEqual({});
    const back = bench.lane(2);
    expect(bench.receive(GIVE_UP_MS - 1, back, 0, 4)).toEqual([0, 4]);
    bench.elapse(2 * GIVE_UP_MS);
    expect(bench.drops("down")).toEqual({ lane_lost: 1 });
  });

  test("a new epoch starts at zero: held datagrams leave, gaps are lost", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    const a = bench.lane(0);
    bench.lane(1);
    bench.receive(0, a, 0, 2, 5);
    const fresh = new Lane(2);
    bench.session.attach(0, fresh);
    expect(bench.leaving((out) => bench.session.acknowledge(fresh, 2, ["seq"], out))).toEqual([2, 5]);
    expect([bench.drops("down"), bench.receive(0, fresh, 0)]).toEqual([{ lane_lost: 3 }, [0]]);
  });

  test("a new epoch forgets what lanes had brought in the old one", () => {
    const bench = new SessionBench({ reorderMs: 1_000 });
    bench.receive(0, bench.lane(0), 0, 1, 2);
    const [b, c] = [bench.plainLane(1), bench.plainLane(2)];
    for (const lane of [b, c]) bench.session.acknowledge(lane, 2, ["seq"], []);
    expect([bench.receive(0, c, 1), bench.receive(0, b, 0)]).toEqual([[], [0, 1]]);
  });

  test("caps are fixed by the first hello_ack of an epoch", () => {
    const bench = new SessionBench();
    bench.session.acknowledge(bench.plainLane(0), 1, [], []);
    const second = bench.plainLane(1);
    bench.session.acknowledge(second, 1, ["seq"], []);
    expect([bench.session.caps, second.sequenced]).toEqual([[], false]);
  });
});
