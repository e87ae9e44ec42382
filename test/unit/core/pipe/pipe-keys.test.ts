import { describe, expect, test } from "bun:test";
import type { PipeControl } from "../../../../src/core/pipe/control-message.ts";
import { TYPE_WHOLE } from "../../../../src/core/pipe/packet.ts";
import { OLD_KEY_MS, PipeKeys, REKEY_MS } from "../../../../src/core/pipe/pipe-keys.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { hex } from "../../../bytes.ts";
import { Random } from "../../../random.ts";
import { agreements } from "./pipe-pair.ts";

type Rekey = Extract<PipeControl, { type: "rekey" | "rekeyed" }>;

interface End {
  readonly keys: PipeKeys;
  /** Session numbers in use. */
  readonly held: Set<number>;
}

function ends(rekeyPackets?: number): [initiator: End, responder: End] {
  const random = new Random(7);
  const [one, other] = agreements().map((agreement, index): End => {
    const held = new Set([agreement.receive.session]);
    let next = index === 0 ? 100 : 200;
    const keys = new PipeKeys({
      now: 0,
      agreement,
      initiator: index === 0,
      random: (length) => random.bytes(length),
      takeSession: () => {
        held.add(next);
        return next++;
      },
      releaseSession: (session) => void held.delete(session),
      ...(rekeyPackets === undefined ? {} : { rekeyPackets }),
    });
    return { keys, held };
  });
  // Invariant: there are two agreements.
  return [one as End, other as End];
}

function asked(end: End, now: number): Rekey {
  const message = end.keys.handleTimeout(now);
  if (typeof message !== "object" || message.type !== "rekey") throw new Error(`asked nothing, but ${message}`);
  return message;
}

function answered(end: End, now: number, request: Rekey): Rekey {
  const message = end.keys.answer(now, request.session, request.key);
  if (message?.type !== "rekeyed") throw new Error(`answered nothing, but ${message?.type}`);
  return message;
}

function seal(end: End): Uint8Array {
  return end.keys.seal(TYPE_WHOLE, 2, hex("01"));
}

function opens(end: End, now: number, packet: Uint8Array): boolean | string {
  const opened = end.keys.open(now, packet);
  return opened.ok || opened.kind;
}

const session = (packet: Uint8Array) => packet[4];

describe("new keys", () => {
  test("after two hours the initiator asks, again every two seconds with the same key, and nobody else does", () => {
    const [initiator, responder] = ends();
    expect([initiator.keys.nextTimeout(), responder.keys.nextTimeout()]).toEqual([REKEY_MS, NEVER]);
    expect([initiator.keys.handleTimeout(REKEY_MS - 1), responder.keys.handleTimeout(2 * REKEY_MS)]).toEqual([
      ...[undefined, undefined],
    ]);
    const first = asked(initiator, REKEY_MS);
    expect([initiator.keys.nextTimeout(), initiator.keys.handleTimeout(REKEY_MS + 1)]).toEqual([
      ...[REKEY_MS + 2_000, undefined],
    ] as never);
    expect(asked(initiator, REKEY_MS + 2_000)).toEqual(first);
  });

  test.each(["sent", "received"])("are due after so many packets %s", (way) => {
    const [initiator, responder] = ends(3);
    const [from, to] = way === "sent" ? [initiator, responder] : [responder, initiator];
    for (let i = 0; i < 3; i++) {
      expect(initiator.keys.handleTimeout(10)).toBeUndefined();
      opens(to, 10, seal(from));
    }
    expect(initiator.keys.nextTimeout()).toBe(Number.NEGATIVE_INFINITY);
    expect(asked(initiator, 10).session).toBe(100);
  });

  test("each end changes when it knows that the other one can read it, and reads the old ones for a minute more", () => {
    const [initiator, responder] = ends();
    const now = REKEY_MS;
    const reply = answered(responder, now, asked(initiator, now));
    const old = [seal(initiator), seal(responder)] as const;
    // The responder cannot know yet that its answer arrived.
    expect(session(seal(responder))).toBe(1);
    initiator.keys.complete(now, reply.session, reply.key);
    const shown = seal(initiator);
    expect(session(shown)).toBe(200);
    expect(opens(initiator, now, seal(responder))).toBe(true);
    expect(opens(responder, now, shown)).toBe(true);
    expect(session(seal(responder))).toBe(100);
    expect(opens(initiator, now, seal(responder))).toBe(true);
    expect([initiator.held, responder.held]).toEqual([new Set([1, 100]), new Set([2, 200])]);
    expect([opens(responder, now, old[0]), opens(initiator, now, old[1])]).toEqual([true, true]);

    const late = [seal(initiator), seal(responder)];
    for (const { keys } of [initiator, responder]) keys.handleTimeout(now + OLD_KEY_MS);
    expect([initiator.held, responder.held]).toEqual([new Set([100]), new Set([200])]);
    expect(opens(initiator, now + OLD_KEY_MS, old[1])).toBe("wrong-session");
    expect(opens(responder, now + OLD_KEY_MS, late[0] ?? hex(""))).toBe(true);
  });

  test("the initiator shows its new keys until they are used, and keeps the old ones for as long as that takes", () => {
    const [initiator, responder] = ends();
    const now = REKEY_MS;
    const reply = answered(responder, now, asked(initiator, now));
    initiator.keys.complete(now, reply.session, reply.key);
    // All it says is lost for ten minutes, in which the responder goes on with the keys it has.
    for (let at = now; at < now + 600_000; at += 2_000) {
      expect(initiator.keys.nextTimeout()).toBe(at);
      expect(initiator.keys.handleTimeout(at)).toBe("show");
      expect(opens(initiator, at, seal(responder))).toBe(true);
    }
    const at = now + 600_000;
    expect(opens(responder, at, seal(initiator))).toBe(true);
    expect(opens(initiator, at, seal(responder))).toBe(true);
    expect(initiator.keys.nextTimeout()).toBe(at + OLD_KEY_MS);
  });

  test("a request that comes again gets the same answer; one that comes late gets none", () => {
    const [initiator, responder] = ends();
    const request = asked(initiator, REKEY_MS);
    const reply = answered(responder, REKEY_MS, request);
    expect(answered(responder, REKEY_MS + 2_000, request)).toEqual(reply);
    initiator.keys.complete(REKEY_MS, reply.session, reply.key);
    initiator.keys.complete(REKEY_MS, reply.session, reply.key);
    expect(opens(responder, REKEY_MS, seal(initiator))).toBe(true);
    expect(responder.keys.answer(REKEY_MS + 3_000, request.session, request.key)).toBeUndefined();
    expect(responder.held).toEqual(new Set([2, 200]));
  });

  test("they go on from each other, time after time", () => {
    const [initiator, responder] = ends();
    for (let round = 1; round <= 20; round++) {
      const now = round * REKEY_MS;
      responder.keys.handleTimeout(now);
      const reply = answered(responder, now, asked(initiator, now));
      initiator.keys.complete(now, reply.session, reply.key);
      expect([opens(responder, now, seal(initiator)), opens(initiator, now, seal(responder))]).toEqual([true, true]);
    }
    for (const { keys, held } of [initiator, responder]) {
      keys.release();
      expect(held).toEqual(new Set());
    }
  });
});

describe("a peer that misbehaves", () => {
  test("gets keys made no oftener than every two seconds, and holds no more numbers than two", () => {
    const [, responder] = ends();
    const key = ends()[0].keys.handleTimeout(REKEY_MS) as Rekey;
    let answers = 0;
    for (let i = 0; i < 1_000; i++) if (responder.keys.answer(i, 5_000 + i, key.key) !== undefined) answers += 1;
    expect([answers, responder.held.size]).toEqual([1, 2]);
    for (let i = 0; i < 10; i++) responder.keys.answer(10_000 + 2_000 * i, 9_000 + i, key.key);
    expect(responder.held.size).toBe(2);
    responder.keys.release();
    expect(responder.held.size).toBe(0);
  });

  test("sends keys that are none: nothing changes, and no number is lost", () => {
    const [initiator, responder] = ends();
    expect(responder.keys.answer(0, 9, new Uint8Array(32))).toBeUndefined();
    expect(responder.held).toEqual(new Set([2]));
    asked(initiator, REKEY_MS);
    initiator.keys.complete(REKEY_MS, 9, new Uint8Array(32));
    expect(session(seal(initiator))).toBe(2);
  });

  test("asks the one that asks, or answers what nobody asked: nothing", () => {
    const [initiator, responder] = ends();
    const { key } = ends()[0].keys.handleTimeout(REKEY_MS) as Rekey;
    expect(initiator.keys.answer(0, 9, key)).toBeUndefined();
    responder.keys.complete(0, 9, key);
    initiator.keys.complete(0, 9, key);
    expect([session(seal(initiator)), session(seal(responder))]).toEqual([2, 1]);
  });
});
