import { describe, expect, test } from "bun:test";
import type { Lane } from "../../../../src/core/tunnel/lane.ts";
import { STALE_MS } from "../../../../src/core/tunnel/outbound.ts";
import { encodeChannelData, PduDecoder, TYPE_DATA } from "../../../../src/core/wire/pdu.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { pdu, SessionBench } from "./session-bench.ts";

const BOTH = ["seq", "channel"];

class Bench extends SessionBench {
  channelLane(id: number, now = 0): Lane {
    const lane = this.plainLane(id, now);
    this.session.acknowledge(lane, 1, BOTH, []);
    return lane;
  }

  offerChannel(now: number, channel: number, ...numbers: number[]): void {
    for (const number of numbers) this.session.offerChannel(now, channel, numbered(number));
  }

  channelDrops() {
    return Object.fromEntries(Object.entries(this.counters.channels.up.drops).filter(([, count]) => count > 0));
  }
}

/** What stands in an outbox: `number#seq` of the tunnel, `channel:number` of channels. */
function contents(lane: Lane): string[] {
  const decoder = new PduDecoder({ maxCtrlBytes: 65_535 });
  const seen: string[] = [];
  decoder.feed(lane.outbox.subarray(lane.start, lane.end));
  while (decoder.next() === "pdu") {
    const { type, channel, seq, payload } = decoder;
    if (type === TYPE_DATA) seen.push(channel < 0 ? `${numberOf(payload)}#${seq}` : `${channel}:${numberOf(payload)}`);
  }
  return seen;
}

function channelPdu(channel: number, datagram: Uint8Array): Uint8Array {
  const into = new Uint8Array(datagram.length + 13);
  return into.subarray(0, encodeChannelData(into, 0, datagram, channel));
}

describe("channels of a session", () => {
  test("share its lanes with the tunnel, which numbers its own alone", () => {
    const bench = new Bench();
    const lane = bench.channelLane(0);
    bench.offer(0, 1, 2);
    bench.offerChannel(0, 9, 3, 4);
    expect(bench.session.queuedPackets).toBe(4);
    expect(bench.session.queuedChannelPackets).toBe(2);
    expect(bench.session.nextBatch(0)).toBe(lane);
    expect(contents(lane).toSorted()).toEqual(["1#0", "2#1", "9:3", "9:4"]);
    expect(bench.counters.channels.up).toMatchObject({ inPackets: 2, inBytes: 16, outPackets: 2, outBytes: 16 });
    expect(bench.counters.up).toMatchObject({ inPackets: 2, outPackets: 2 });
    expect([bench.session.queuedPackets, bench.session.unsentPackets]).toEqual([0, 4]);
  });

  test("go without the tunnel, over several lanes", () => {
    const bench = new Bench({ batchBytes: 4_096 });
    const lanes = [0, 1, 2].map((id) => bench.channelLane(id));
    for (let i = 0; i < 9; i++) bench.session.offerChannel(0, 5, numbered(i, 1_300));
    while (bench.session.nextBatch(0) !== undefined);
    expect(lanes.map((lane) => contents(lane).length)).toEqual([3, 3, 3]);
  });

  test.each(["round_robin", "hash"] as const)("%s: tunnel and two channels get the same", (pick) => {
    const bench = new Bench({ pick, queue: { maxPackets: 4_096, maxBytes: 2 ** 24, maxDelayMs: 0, targetMs: 0 } });
    for (let id = 0; id < 5; id++) bench.channelLane(id);
    for (let i = 0; i < 4_000; i++) bench.session.offer(0, numbered(i, 1_200));
    const out = new Map([
      ["tunnel", 0],
      ["1", 0],
      ["2", 0],
    ]);
    for (let round = 0; round < 300; round++) {
      while (bench.session.channels.packetsOf(1) < 40) bench.session.offerChannel(0, 1, numbered(1, 1_200));
      while (bench.session.channels.packetsOf(2) < 400) bench.session.offerChannel(0, 2, numbered(2, 300));
      const lane = bench.session.nextBatch(0);
      if (lane === undefined) break;
      for (const one of contents(lane)) {
        const flow = one.includes("#") ? "tunnel" : one.split(":")[0]!; // split gives one at least
        out.set(flow, (out.get(flow) ?? 0) + (flow === "2" ? 313 : 1_213));
      }
      lane.wrote(0, lane.pendingBytes);
    }
    const total = [...out.values()].reduce((sum, bytes) => sum + bytes, 0);
    for (const [flow, bytes] of out) expect([flow, Math.abs((3 * bytes) / total - 1) < 0.02]).toEqual([flow, true]);
  });

  test("use only lanes that were acknowledged with them; the tunnel waits for none", () => {
    const bench = new Bench();
    const plain = bench.plainLane(0);
    bench.offer(0, 1);
    bench.offerChannel(0, 9, 2);
    expect(bench.sent()).toEqual(["0: 1"]);
    expect(bench.session.queuedChannelPackets).toBe(1);
    bench.session.acknowledge(plain, 1, BOTH, []);
    expect(bench.session.nextBatch(0)).toBe(plain);
    expect(contents(plain)).toEqual(["9:2"]);
  });

  test("do not go to a peer that knows none: dropped and counted, and every byte as before", () => {
    const bench = new Bench();
    bench.offerChannel(0, 9, 1, 2);
    const lane = bench.lane(0);
    expect(bench.channelDrops()).toEqual({ unsupported: 2 });
    bench.offerChannel(0, 9, 3);
    expect(bench.channelDrops()).toEqual({ unsupported: 3 });
    bench.offer(0, 4);
    bench.session.nextBatch(0);
    expect([...lane.outbox.subarray(lane.start, lane.end)]).toEqual([...pdu(numbered(4), 0)]);
  });

  test("what comes is handed up beside the tunnel's, without order", () => {
    const bench = new Bench({ reorderMs: 100 });
    const lane = bench.channelLane(0, 50);
    lane.feed(channelPdu(7, numbered(1)));
    const out: Uint8Array[] = [];
    expect(bench.session.receive(60, lane, out)).toBe("need-more");
    expect([out, bench.session.arrivals]).toEqual([[], [{ channel: 7, datagram: numbered(1) }]]);
    expect(bench.counters.channels.down).toMatchObject({ inPackets: 1, inBytes: 8, outPackets: 0 });
    // A sign of life: the lanes stay.
    expect(bench.session.lastDataAt).toBe(60);
  });

  test("come over no lane that was not acknowledged with them", () => {
    for (const caps of [[], ["seq"]]) {
      const bench = new Bench();
      const lane = bench.plainLane(0);
      bench.session.acknowledge(lane, 1, caps, []);
      lane.feed(channelPdu(7, numbered(1)));
      expect(bench.session.receive(0, lane, [])).toBe("bad_flags");
      expect(bench.session.arrivals).toEqual([]);
    }
  });

  test("what a broken lane had not sent goes to another, whole and first", () => {
    const bench = new Bench();
    const broken = bench.channelLane(0);
    const other = bench.channelLane(1);
    bench.offerChannel(0, 9, 1, 2, 3);
    expect(bench.session.nextBatch(0)).toBe(broken);
    broken.wrote(0, 30); // the first whole, a piece of the second
    bench.session.detach(0, broken, []);
    bench.offerChannel(0, 9, 4);
    expect(bench.session.queuedChannelPackets).toBe(3);
    bench.session.nextBatch(0);
    other.wrote(0, other.pendingBytes - 42);
    expect(contents(other)).toEqual(["9:2", "9:3"]);
    other.wrote(0, 42);
    bench.session.nextBatch(0);
    expect(contents(other)).toEqual(["9:4"]);
  });

  test("what waited too long without lanes is stale; the closed one's is given up, wherever it waits", () => {
    const bench = new Bench();
    const lane = bench.channelLane(0);
    bench.offerChannel(0, 8, 1);
    bench.offerChannel(0, 9, 2);
    bench.session.nextBatch(0);
    bench.session.detach(0, lane, []);
    bench.offerChannel(0, 9, 3);
    bench.offerChannel(STALE_MS, 8, 4);
    bench.session.closeChannel(9);
    expect(bench.channelDrops()).toEqual({ closed: 2 });
    const next = bench.channelLane(1, STALE_MS + 1);
    expect(bench.channelDrops()).toEqual({ closed: 2, stale: 1 });
    bench.session.nextBatch(STALE_MS + 1);
    expect(contents(next)).toEqual(["8:4"]);
  });

  test("end with the session", () => {
    const bench = new Bench();
    const lane = bench.channelLane(0);
    bench.offerChannel(0, 8, 1);
    bench.session.nextBatch(0);
    bench.session.detach(0, lane, []);
    bench.offerChannel(0, 9, 2);
    bench.session.close([]);
    expect([bench.channelDrops(), bench.session.queuedPackets]).toEqual([{ closed: 2 }, 0]);
  });
});
