import { describe, expect, test } from "bun:test";
import { NEVER } from "../../../../src/core/time.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { SESSIONS_PER_CN, SessionTable } from "../../../../src/core/tunnel/session-table.ts";
import { decodeControl, type Hello } from "../../../../src/core/wire/control.ts";
import { PduDecoder } from "../../../../src/core/wire/pdu.ts";
import { numbered } from "../../../bytes.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";

const LINGER_MS = 600_000;

function uuid(number: number): string {
  return `6a0c2b1e-0000-4000-8000-${String(number).padStart(12, "0")}`;
}

function hello(session: number | "", laneId = 0, caps = ["seq"]): Hello {
  const sessionId = session === "" ? "" : uuid(session);
  return { type: "hello", kind: "lane", session_id: sessionId, lane_id: laneId, node: "test", caps };
}

/** A table whose epochs are 101, 102, … in the order of their sessions. */
class Bench {
  #epoch = 100;
  readonly table = new SessionTable({
    session: SESSION_SETTINGS,
    lingerMs: LINGER_MS,
    randomU32: () => ++this.#epoch,
  });

  join(cn: string, greeting: Hello | undefined, now = 0, lane = new Lane(-1)) {
    return { lane, ...this.table.join(now, lane, cn, greeting, []) };
  }

  /** As `join`, for lanes that must be let in. */
  joined(cn: string, greeting: Hello | undefined, now = 0) {
    const result = this.join(cn, greeting, now);
    if (!result.ok) throw new Error(`refused: ${result.kind}`);
    return result;
  }

  leave(lane: Lane, now: number): void {
    const session = lane.session!; // it has joined
    session.detach(now, lane, []);
    this.table.left(now, session);
  }

  /** `cn/number` of each session. */
  get names(): string[] {
    return this.table.sessions.map((session) => `${session.clientCn}/${session.sessionId.replace(/^.*-0*/, "")}`);
  }
}

/** The control messages in a lane's outbox. */
function answers(lane: Lane): unknown[] {
  const decoder = new PduDecoder({ maxCtrlBytes: 65_535 });
  const messages: unknown[] = [];
  decoder.feed(lane.outbox.subarray(lane.start, lane.end));
  while (decoder.next() === "pdu") {
    const decoded = decodeControl(decoder.payload);
    messages.push(decoded.ok ? decoded.message : decoded);
  }
  return messages;
}

describe("joining", () => {
  test("the first HELLO makes a session, the next ones join it, each is answered with its epoch and caps", () => {
    const bench = new Bench();
    const first = bench.joined("home", hello(1, 4));
    const second = bench.joined("home", hello(1, 2, ["seq", "zstd"]));
    expect([first.created, second.created, second.session === first.session]).toEqual([true, false, true]);
    expect([first.lane.id, second.lane.id, first.replaced, second.replaced, first.evicted]).toEqual([
      4,
      2,
      undefined,
      undefined,
      undefined,
    ]);
    const ack = { type: "hello_ack", session_id: uuid(1), epoch: 101, caps: ["seq"] };
    expect([answers(first.lane), answers(second.lane)]).toEqual([[ack], [ack]]);
    expect([first.session.lanes, first.session.caps]).toEqual([[first.lane, second.lane], ["seq"]]);
    expect([first.lane.greeted, first.lane.sequenced, first.lane.epoch, first.lane.session]).toEqual([
      true,
      true,
      101,
      first.session,
    ]);
  });

  test("a session_id is looked up under its own CN only", () => {
    const bench = new Bench();
    const home = bench.joined("home", hello(1));
    const thief = bench.joined("thief", hello(1));
    expect([thief.created, thief.session === home.session, bench.names]).toEqual([true, false, ["home/1", "thief/1"]]);
    expect(answers(thief.lane)).toEqual([{ type: "hello_ack", session_id: uuid(1), epoch: 102, caps: ["seq"] }]);
    expect(home.session.lanes).toEqual([home.lane]);
  });

  test("caps are those of the first HELLO, whatever later lanes can", () => {
    const bench = new Bench();
    bench.joined("home", hello(1, 0, []));
    const later = bench.joined("home", hello(1, 1, ["seq"]));
    expect([later.session.caps, later.lane.sequenced]).toEqual([[], false]);
    expect(answers(later.lane)).toEqual([{ type: "hello_ack", session_id: uuid(1), epoch: 101, caps: [] }]);
  });

  test("a control connection is not a lane", () => {
    expect(new Bench().join("home", { ...hello(1), kind: "control" })).toMatchObject({ ok: false, kind: "bad_hello" });
  });

  test("a lane id that is taken replaces its lane, the newest one", () => {
    const bench = new Bench();
    const first = bench.joined("home", hello(1, 3));
    const second = bench.joined("home", hello(1, 3));
    // The first one has been told to end but is still there.
    const third = bench.joined("home", hello(1, 3));
    expect(second.replaced).toBe(first.lane);
    expect(third.replaced).toBe(second.lane);
    bench.leave(first.lane, 1);
    bench.leave(second.lane, 1);
    expect([third.session.lanes.length, bench.table.nextTimeout()]).toEqual([1, NEVER]);
    expect(third.session.lanes[0]).toBe(third.lane);
  });
});

describe("a peer that speaks only DATA", () => {
  test("gets the session without a name, the lowest free lane ids, and no answer", () => {
    const bench = new Bench();
    const lanes = [0, 1, 2].map(() => bench.joined("home", undefined));
    expect([bench.names, lanes.map(({ lane }) => lane.id), lanes.map(({ lane }) => answers(lane))]).toEqual([
      ["home/"],
      [0, 1, 2],
      [[], [], []],
    ]);
    expect([lanes[0]!.session.caps, lanes[0]!.lane.sequenced, lanes[0]!.lane.greeted]).toEqual([
      undefined,
      false,
      false,
    ]);
    bench.leave(lanes[1]!.lane, 5);
    expect(bench.joined("home", undefined).lane.id).toBe(1);
  });

  test("32 lanes and no more", () => {
    const bench = new Bench();
    for (let id = 0; id < 32; id++) expect(bench.joined("home", undefined).lane.id).toBe(id);
    expect(bench.join("home", undefined)).toMatchObject({ ok: false, kind: "bad_hello" });
    expect([bench.table.sessions[0]!.lanes.length, bench.table.nextTimeout()]).toEqual([32, NEVER]);
  });

  test("each CN has its own", () => {
    const bench = new Bench();
    expect(bench.joined("home", undefined).session).not.toBe(bench.joined("office", undefined).session);
    expect(bench.names).toEqual(["home/", "office/"]);
  });

  test("a HELLO may name it too", () => {
    const bench = new Bench();
    const bare = bench.joined("home", undefined);
    const greeted = bench.joined("home", hello("", 7));
    expect([greeted.session === bare.session, answers(greeted.lane)]).toEqual([
      true,
      [{ type: "hello_ack", session_id: "", epoch: 101, caps: ["seq"] }],
    ]);
    expect([bare.lane.sequenced, greeted.lane.sequenced]).toEqual([false, true]);
  });
});

describe("lingering", () => {
  test("a session outlives its last lane by ten minutes, then it is closed and handed back once", () => {
    const bench = new Bench();
    const { lane, session } = bench.joined("home", hello(1));
    const other = bench.joined("home", hello(1, 1));
    bench.leave(lane, 100);
    expect(bench.table.nextTimeout()).toBe(NEVER);
    bench.leave(other.lane, 200);
    expect(bench.table.nextTimeout()).toBe(200 + LINGER_MS);
    session.offer(300, numbered(1));
    expect(bench.table.expire(199 + LINGER_MS, [])).toEqual([]);
    expect(bench.table.expire(200 + LINGER_MS, [])).toEqual([session]);
    expect(bench.table.expire(1e9, [])).toEqual([]);
    expect([bench.names, bench.table.nextTimeout()]).toEqual([[], NEVER]);
    expect(bench.table.countersOf("home").down.drops.closed).toBe(1);
  });

  test("a lane that comes back in time finds its session and epoch as they were", () => {
    const bench = new Bench();
    const { lane, session } = bench.joined("home", hello(1));
    bench.leave(lane, 0);
    const back = bench.joined("home", hello(1), LINGER_MS - 1);
    expect([back.created, back.session === session, answers(back.lane)]).toEqual([
      false,
      true,
      [{ type: "hello_ack", session_id: uuid(1), epoch: 101, caps: ["seq"] }],
    ]);
    expect(bench.table.expire(1e9, [])).toEqual([]);
  });

  test("after that the same name is a new session with a new epoch", () => {
    const bench = new Bench();
    const { lane, session } = bench.joined("home", hello(1));
    bench.leave(lane, 0);
    bench.table.expire(LINGER_MS, []);
    const back = bench.joined("home", hello(1), LINGER_MS + 1);
    expect([back.created, back.session === session, answers(back.lane)]).toEqual([
      true,
      false,
      [{ type: "hello_ack", session_id: uuid(1), epoch: 102, caps: ["seq"] }],
    ]);
  });

  test("late news of a session that is gone does not touch its successor", () => {
    const bench = new Bench();
    const old = bench.joined("home", hello(1));
    bench.leave(old.lane, 0);
    bench.table.expire(LINGER_MS, []);
    const successor = bench.joined("home", hello(1));
    bench.table.left(LINGER_MS, old.session);
    bench.table.remove(old.session, []);
    expect([bench.table.sessions.length, bench.table.nextTimeout()]).toEqual([1, NEVER]);
    expect(bench.table.sessions[0]).toBe(successor.session);
  });

  test("counters belong to the CN and never start again", () => {
    const bench = new Bench();
    const { lane, session } = bench.joined("home", hello(1));
    session.offer(0, numbered(1));
    bench.leave(lane, 0);
    bench.table.expire(LINGER_MS, []);
    bench.joined("home", hello(2)).session.offer(0, numbered(2));
    expect(bench.table.countersOf("home").down.inPackets).toBe(2);
    expect([...bench.table.counters.keys()]).toEqual(["home"]);
  });
});

describe("eight sessions of a CN", () => {
  test("the ninth takes the place of the one that has been without lanes longest", () => {
    expect(SESSIONS_PER_CN).toBe(8);
    const bench = new Bench();
    const joined = Array.from({ length: 8 }, (_, i) => bench.joined("home", hello(i + 1)));
    bench.joined("office", hello(1));
    bench.leave(joined[5]!.lane, 100);
    bench.leave(joined[2]!.lane, 200);
    const ninth = bench.joined("home", hello(9), 300);
    expect([ninth.created, ninth.evicted === joined[5]!.session]).toEqual([true, true]);
    expect(bench.names).toEqual([
      "home/1",
      "home/2",
      "home/3",
      "home/4",
      "home/5",
      "home/7",
      "home/8",
      "office/1",
      "home/9",
    ]);
    expect(bench.joined("home", hello(10), 300).evicted).toBe(joined[2]!.session);
  });

  test("when all of them have lanes, the ninth is refused and nobody else notices", () => {
    const bench = new Bench();
    const joined = Array.from({ length: 8 }, (_, i) => bench.joined("home", hello(i + 1)));
    const refused = bench.join("home", hello(9));
    expect(refused).toMatchObject({ ok: false, kind: "bad_hello" });
    expect([refused.lane.session, refused.lane.pendingBytes]).toEqual([undefined, 0]);
    expect(bench.table.sessions).toEqual(joined.map(({ session }) => session));
    expect(bench.joined("home", hello(3, 1)).created).toBe(false);
    expect(bench.joined("office", hello(9)).created).toBe(true);
  });

  test("the session without a name is one of the eight", () => {
    const bench = new Bench();
    for (let i = 0; i < 8; i++) bench.joined("home", hello(i + 1));
    expect(bench.join("home", undefined)).toMatchObject({ ok: false, kind: "bad_hello" });
  });
});
