import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { CTRL_PER_SECOND, Lane, PARTIAL_PDU_MS } from "../../../../src/core/tunnel/lane.ts";
import { encodeControl } from "../../../../src/core/wire/control.ts";
import { encodeCtrl, encodeData } from "../../../../src/core/wire/pdu.ts";
import { concat, hex, numbered, numberOf, utf8 } from "../../../bytes.ts";

function pdu(payload: Uint8Array, seq = -1): Uint8Array {
  const into = new Uint8Array(payload.length + 13);
  return into.subarray(0, encodeData(into, 0, payload, seq));
}

function ctrl(message: Parameters<typeof encodeControl>[0] | string): Uint8Array {
  const payload = typeof message === "string" ? utf8(message) : encodeControl(message);
  const into = new Uint8Array(payload.length + 9);
  return into.subarray(0, encodeCtrl(into, 0, payload));
}

/** Let the lane's socket take `bytes`, and return them. */
function take(lane: Lane, bytes: number, now = 0): string {
  const taken = Buffer.from(lane.outbox.subarray(lane.start, lane.start + bytes)).toString("hex");
  lane.wrote(now, bytes);
  return taken;
}

/** What `lane` makes of one chunk. */
function receive(lane: Lane, chunk: Uint8Array, now = 0): string[] {
  const events: string[] = [];
  lane.feed(chunk);
  for (;;) {
    const event = lane.next(now);
    if (event === "need-more") return events;
    if (event === "error") return [...events, `error ${lane.error}`];
    events.push(
      event === "data" ? `data ${Buffer.from(lane.decoder.payload).toString("hex")}` : `control ${lane.message?.type}`,
    );
  }
}

function numbers(lane: Lane): number[] {
  return lane.orphans().map((orphan) => numberOf(orphan.datagram));
}

describe("sending", () => {
  test("what is put leaves in order, each PDU whole", () => {
    const lane = new Lane(0);
    lane.putControl({ type: "goodbye", reason: "x" });
    lane.putData(hex("cafe"), -1);
    lane.putData(hex("beef"), 7);
    expect([lane.pendingBytes, lane.ready, lane.packetsOut]).toEqual([9 + 31 + 11 + 15, false, 2]);
    expect(take(lane, lane.pendingBytes)).toBe(
      "55540110000000001f" +
        "7b2274797065223a22676f6f64627965222c22726561736f6e223a2278227d" +
        "555401010000000002cafe" +
        "55540101010000000600000007beef",
    );
    expect([lane.pendingBytes, lane.ready, lane.bytesOut]).toEqual([0, true, 66]);
  });

  test("a short write blocks the lane until its socket has drained", () => {
    const lane = new Lane(0);
    lane.putData(numbered(1), -1);
    take(lane, 5, 100);
    expect([lane.pendingBytes, lane.writable, lane.ready, lane.blockedSince]).toEqual([12, false, false, 100]);
    // Progress moves the stall on, none does not.
    lane.wrote(200, 0);
    expect(lane.blockedSince).toBe(100);
    lane.wrote(300, 1);
    expect([lane.blockedSince, lane.writable]).toEqual([300, false]);
    lane.wrote(400, 11);
    expect([lane.pendingBytes, lane.writable, lane.ready, lane.blockedSince, lane.bytesOut]).toEqual([
      0,
      true,
      true,
      NEVER,
      17,
    ]);
  });

  test("a write of nothing at all blocks from that moment", () => {
    const lane = new Lane(0);
    lane.putData(numbered(1), -1);
    lane.wrote(50, 0);
    expect([lane.writable, lane.blockedSince, lane.pendingBytes]).toEqual([false, 50, 17]);
  });

  test("bytes survive any split into writes, with more put behind a short one", () => {
    const lane = new Lane(0);
    lane.putData(numbered(1, 3_000), 0);
    let seen = take(lane, 2_999);
    lane.putControl({ type: "goodbye", reason: "idle" });
    while (lane.pendingBytes > 0) seen += take(lane, Math.min(7, lane.pendingBytes));
    expect(seen).toBe(
      Buffer.from(concat([pdu(numbered(1, 3_000), 0), ctrl({ type: "goodbye", reason: "idle" })])).toString("hex"),
    );
  });
});

describe("orphans", () => {
  /** Three datagrams of 8 bytes, 17 bytes each on the wire. */
  const loaded = (): Lane => {
    const lane = new Lane(0);
    for (const number of [1, 2, 3]) lane.putData(numbered(number), -1);
    return lane;
  };

  test("are exactly those that the socket has not taken whole", () => {
    const left: number[][] = [];
    for (let taken = 0; taken <= 50; taken++) {
      const lane = loaded();
      lane.wrote(0, taken);
      left.push(numbers(lane));
    }
    expect(left).toEqual([...Array(17).fill([1, 2, 3]), ...Array(17).fill([2, 3]), ...Array(17).fill([3])]);
    const lane = loaded();
    lane.wrote(0, 51);
    expect(lane.orphans()).toEqual([]);
  });

  test("keep their numbers, and control messages are none", () => {
    const lane = new Lane(0);
    lane.putControl({ type: "goodbye", reason: "" });
    lane.putData(hex("aa"), 5);
    lane.putData(hex("bb"), -1);
    lane.putData(hex(""), 0xffff_ffff);
    lane.wrote(0, 9);
    expect(lane.orphans()).toEqual([
      { datagram: hex("aa"), seq: 5, channel: -1 },
      { datagram: hex("bb"), seq: -1, channel: -1 },
      { datagram: hex(""), seq: 0xffff_ffff, channel: -1 },
    ]);
  });

  test("outlive the outbox they were in", () => {
    const lane = loaded();
    const orphans = lane.orphans();
    lane.outbox.fill(0);
    expect(orphans.map((orphan) => numberOf(orphan.datagram))).toEqual([1, 2, 3]);
  });

  test("of the largest datagrams", () => {
    const lane = new Lane(0);
    lane.putData(new Uint8Array(65_531).fill(1), 9);
    lane.putData(new Uint8Array(65_531).fill(2), 10);
    lane.wrote(0, 65_544);
    expect(lane.orphans()).toEqual([{ datagram: new Uint8Array(65_531).fill(2), seq: 10, channel: -1 }]);
  });
});

describe("goodbye", () => {
  test("stands behind everything that was put, and is said once", () => {
    const lane = new Lane(0);
    lane.putData(hex("aa"), -1);
    lane.sayGoodbye("idle");
    lane.sayGoodbye("again");
    expect(take(lane, lane.pendingBytes)).toBe(
      Buffer.from(concat([pdu(hex("aa")), ctrl({ type: "goodbye", reason: "idle" })])).toString("hex"),
    );
    expect([lane.saidGoodbye, lane.ready, lane.finished]).toEqual([true, false, false]);
  });

  test("a lane is finished when both have said it and the last byte has left", () => {
    const lane = new Lane(0);
    lane.heardGoodbye = true;
    expect(lane.finished).toBe(false);
    lane.sayGoodbye("answer");
    expect(lane.finished).toBe(false);
    take(lane, lane.pendingBytes);
    expect(lane.finished).toBe(true);
  });

  test("data behind the peer's goodbye breaks its word", () => {
    const lane = new Lane(0);
    expect(receive(lane, ctrl({ type: "goodbye", reason: "" }))).toEqual(["control goodbye"]);
    lane.heardGoodbye = true;
    expect(receive(lane, pdu(hex("aa")))).toEqual(["error unexpected_data"]);
  });

  test("after its own goodbye a side still reads to the end", () => {
    const lane = new Lane(0);
    lane.sayGoodbye("idle");
    expect(receive(lane, concat([pdu(hex("aa")), ctrl({ type: "goodbye", reason: "" })]))).toEqual([
      "data aa",
      "control goodbye",
    ]);
  });
});

describe("receiving", () => {
  test("data and control in their order, counted", () => {
    const lane = new Lane(0);
    const bytes = concat([pdu(hex("aa")), ctrl({ type: "goodbye", reason: "" }), pdu(hex(""), 3)]);
    expect(receive(lane, bytes)).toEqual(["data aa", "control goodbye", "data "]);
    expect([lane.packetsIn, lane.bytesIn]).toEqual([2, bytes.length]);
  });

  test("messages of a type that this build does not know are skipped and counted", () => {
    const lane = new Lane(0);
    expect(receive(lane, concat([ctrl('{"type":"lanes_wanted"}'), pdu(hex("aa"))]))).toEqual(["data aa"]);
    expect(lane.ignoredControls).toBe(1);
  });

  test("a control message that is none ends the lane; before the greeting it is a bad greeting", () => {
    expect(receive(new Lane(0), ctrl("{}"))).toEqual(["error bad_hello"]);
    const greeted = new Lane(0);
    greeted.greeted = true;
    expect(receive(greeted, ctrl("GET /"))).toEqual(["error bad_ctrl"]);
  });

  test("frame errors carry the decoder's name for them", () => {
    expect(receive(new Lane(0), hex("1603"))).toEqual(["error bad_magic"]);
    expect(receive(new Lane(0), concat([pdu(hex("aa")), hex("5554 02")]))).toEqual(["data aa", "error bad_version"]);
    expect(receive(new Lane(0), hex("5554 01 10 00 00004001"))).toEqual(["error ctrl_too_large"]);
  });

  test("an error is for good, whatever was wrong", () => {
    const lane = new Lane(0);
    expect(receive(lane, concat([ctrl("[]"), pdu(hex("aa"))]))).toEqual(["error bad_hello"]);
    expect(receive(lane, pdu(hex("bb")))).toEqual(["error bad_hello"]);
  });
});

describe("control flood", () => {
  const goodbyes = (count: number) => concat(Array(count).fill(ctrl({ type: "goodbye", reason: "" })));

  test("50 in a second pass, the 51st ends the lane", () => {
    expect(CTRL_PER_SECOND).toBe(50);
    const lane = new Lane(0);
    expect(receive(lane, goodbyes(50), 1_000)).toEqual(Array(50).fill("control goodbye"));
    expect(receive(lane, goodbyes(1), 1_999)).toEqual(["error ctrl_flood"]);
  });

  test("the next second begins anew", () => {
    const lane = new Lane(0);
    for (const second of [0, 1_000, 2_000, 3_500])
      expect(receive(lane, goodbyes(50), second)).toEqual(Array(50).fill("control goodbye"));
  });

  test("messages that are ignored count as well", () => {
    const lane = new Lane(0);
    expect(receive(lane, concat(Array(51).fill(ctrl('{"type":"noise"}'))))).toEqual(["error ctrl_flood"]);
  });
});

describe("slow senders", () => {
  test("a PDU that has begun must end within 30 s, however many bytes trickle in", () => {
    expect(PARTIAL_PDU_MS).toBe(30_000);
    const lane = new Lane(0);
    const slow = pdu(hex("00112233445566778899"));
    expect(lane.nextTimeout()).toBe(NEVER);
    for (let i = 0; i < slow.length - 1; i++) {
      expect(receive(lane, slow.subarray(i, i + 1), 100 + i * 1_000)).toEqual([]);
      expect(lane.nextTimeout()).toBe(30_100);
    }
    expect(lane.handleTimeout(30_099)).toBeUndefined();
    expect([lane.handleTimeout(30_100), lane.error]).toEqual(["error", "slow_pdu"]);
  });

  test("the error is told once, and no timer is left that would fire for ever", () => {
    const lane = new Lane(0);
    receive(lane, hex("55"), 0);
    expect([lane.handleTimeout(30_000), lane.handleTimeout(30_001), lane.nextTimeout()]).toEqual([
      "error",
      undefined,
      NEVER,
    ]);
  });

  test("each PDU has its own 30 s", () => {
    const lane = new Lane(0);
    const whole = pdu(hex("aabb"));
    receive(lane, whole.subarray(0, 3), 0);
    expect(receive(lane, concat([whole.subarray(3), whole.subarray(0, 1)]), 20_000)).toEqual(["data aabb"]);
    expect(lane.nextTimeout()).toBe(50_000);
    expect(receive(lane, whole.subarray(1), 49_999)).toEqual(["data aabb"]);
    expect(lane.nextTimeout()).toBe(NEVER);
  });

  test("a quiet lane between PDUs may stay quiet", () => {
    const lane = new Lane(0);
    receive(lane, pdu(hex("aa")), 0);
    expect([lane.nextTimeout(), lane.handleTimeout(1e9)]).toEqual([NEVER, undefined]);
  });
});
