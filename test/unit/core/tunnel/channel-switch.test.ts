import { describe, expect, test } from "bun:test";
import { ChannelSwitch, LANES_WANTED_MS } from "../../../../src/core/tunnel/channel-switch.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import type { Session } from "../../../../src/core/tunnel/session.ts";
import { SESSIONS_PER_CN, SessionTable } from "../../../../src/core/tunnel/session-table.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";

const HOME = { cn: "home", sessionId: "6a0c2b1e-0000-4000-8000-000000000001", channel: 11 };
const OFFICE = { cn: "office", sessionId: "6a0c2b1e-0000-4000-8000-000000000002", channel: 22 };

class Bench {
  readonly table = new SessionTable({ session: SESSION_SETTINGS, lingerMs: 600_000, randomU32: () => 7 });
  readonly exchange = new ChannelSwitch({
    sessionOf: (now, cn, sessionId) => this.table.reach(now, cn, sessionId, [])?.session,
  });

  join({ cn, sessionId }: { cn: string; sessionId: string }, now = 0): { lane: Lane; session: Session } {
    const lane = new Lane(-1);
    const caps = ["seq", "channel"];
    const hello = { type: "hello", kind: "lane", session_id: sessionId, lane_id: 0, node: "", caps } as const;
    const joined = this.table.join(now, lane, cn, hello, []);
    if (!joined.ok) throw new Error(joined.kind);
    return { lane, session: joined.session };
  }

  events(): unknown[] {
    const events: unknown[] = [];
    for (let next = this.exchange.pollEvent(); next !== undefined; next = this.exchange.pollEvent()) events.push(next);
    return events;
  }

  drops(cn: string, direction: "up" | "down") {
    const { drops } = this.table.countersOf(cn).channels[direction];
    return Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0));
  }
}

function waiting(session: Session, channel: number): number | undefined {
  const datagram = session.channels.peek(channel);
  return datagram && numberOf(datagram);
}

describe("the switch", () => {
  test("carries both ways, under the number that each end knows", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    const office = bench.join(OFFICE).session;
    bench.exchange.open([HOME, OFFICE]);
    expect(bench.exchange.ends).toBe(2);
    expect(bench.exchange.route(0, home, 11, numbered(1))).toBe(office);
    expect(bench.exchange.route(0, office, 22, numbered(2))).toBe(home);
    expect([waiting(office, 22), waiting(home, 11)]).toEqual([1, 2]);
    expect([home.queuedPackets, office.queuedPackets, bench.events()]).toEqual([1, 1, []]);
    expect(home.counters.channels.up).toMatchObject({ outPackets: 1, outBytes: 8 });
    expect(office.counters.channels.down).toMatchObject({ inPackets: 1, inBytes: 8 });
  });

  test("copies: what came in is gone when its lane reads on", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    const office = bench.join(OFFICE).session;
    bench.exchange.open([HOME, OFFICE]);
    const chunk = numbered(1);
    bench.exchange.route(0, home, 11, chunk);
    chunk.fill(0xff);
    expect(waiting(office, 22)).toBe(1);
  });

  test("nobody sends under a number that is not theirs", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    bench.join(OFFICE);
    const thief = bench.join({ cn: "thief", sessionId: HOME.sessionId }).session;
    const second = bench.join({ ...HOME, sessionId: "6a0c2b1e-0000-4000-8000-000000000003" }).session;
    bench.exchange.open([HOME, OFFICE]);
    for (const [session, channel] of [
      [home, 22],
      [home, 0],
      [home, 33],
      [thief, 11],
      [second, 11],
    ] as const)
      expect(bench.exchange.route(0, session, channel, numbered(1))).toBeUndefined();
    expect([bench.drops("home", "up"), bench.drops("thief", "up")]).toEqual([{ unknown: 4 }, { unknown: 1 }]);
  });

  test("closed: what waits is given up, what comes later leads nowhere", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    const office = bench.join(OFFICE).session;
    bench.exchange.open([HOME, OFFICE]);
    bench.exchange.route(0, home, 11, numbered(1));
    bench.exchange.close([HOME, OFFICE]);
    expect([office.queuedPackets, bench.drops("office", "down"), bench.exchange.ends]).toEqual([0, { closed: 1 }, 0]);
    expect(bench.exchange.route(0, home, 11, numbered(2))).toBeUndefined();
    expect(bench.drops("home", "up")).toEqual({ unknown: 1 });
  });

  test("cleared: nothing more is taken in, what waits may still leave", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    const office = bench.join(OFFICE).session;
    bench.exchange.open([HOME, OFFICE]);
    bench.exchange.route(0, home, 11, numbered(1));
    bench.exchange.clear();
    expect(bench.exchange.route(0, home, 11, numbered(2))).toBeUndefined();
    expect([office.queuedPackets, bench.exchange.ends, bench.drops("home", "up")]).toEqual([1, 0, { unknown: 1 }]);
  });
});

describe("a peer without lanes", () => {
  test("has a session made for it, is asked for lanes once a second, and gets what waited", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    bench.exchange.open([HOME, OFFICE]);
    const session = bench.exchange.route(0, home, 11, numbered(1));
    const wanted = { type: "lanes-wanted", cn: OFFICE.cn, sessionId: OFFICE.sessionId };
    expect(bench.events()).toEqual([{ ...wanted, packets: 1 }]);
    bench.exchange.route(LANES_WANTED_MS - 1, home, 11, numbered(2));
    expect(bench.events()).toEqual([]);
    bench.exchange.route(LANES_WANTED_MS, home, 11, numbered(3));
    expect(bench.events()).toEqual([{ ...wanted, packets: 3 }]);
    const office = bench.join(OFFICE, LANES_WANTED_MS);
    expect(office.session).toBe(session as Session);
    expect(bench.exchange.route(LANES_WANTED_MS, home, 11, numbered(4))).toBe(office.session);
    expect([office.session.queuedPackets, bench.events()]).toEqual([4, []]);
  });

  test("whose lanes have said goodbye is asked for new ones", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    const office = bench.join(OFFICE);
    bench.exchange.open([HOME, OFFICE]);
    office.lane.sayGoodbye("idle");
    bench.exchange.route(0, home, 11, numbered(1));
    expect(bench.events()).toHaveLength(1);
  });

  test("waits in bounds: 512 datagrams a channel", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    bench.exchange.open([HOME, OFFICE]);
    for (let number = 0; number < 600; number++) bench.exchange.route(0, home, 11, numbered(number));
    expect(bench.table.reach(0, OFFICE.cn, OFFICE.sessionId, [])?.session.queuedPackets).toBe(512);
    expect(bench.drops("office", "down")).toEqual({ oldest: 88 });
  });

  test("never comes: its session goes like one whose lanes have gone, and a new one is made when needed", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    bench.exchange.open([HOME, OFFICE]);
    const first = bench.exchange.route(0, home, 11, numbered(1));
    expect(bench.table.nextTimeout()).toBe(600_000);
    expect(bench.table.expire(600_000, [])).toEqual([first as Session]);
    expect(bench.drops("office", "down")).toEqual({ closed: 1 });
    const second = bench.exchange.route(600_000, home, 11, numbered(2));
    expect([second === first, second?.queuedPackets]).toEqual([false, 1]);
  });

  test("of a CN that has all the sessions it may have, each with lanes: counted", () => {
    const bench = new Bench();
    const home = bench.join(HOME).session;
    for (let i = 0; i < SESSIONS_PER_CN; i++)
      bench.join({ cn: "office", sessionId: `6a0c2b1e-0000-4000-8000-0000000001${String(i).padStart(2, "0")}` });
    bench.exchange.open([HOME, OFFICE]);
    expect(bench.exchange.route(0, home, 11, numbered(1))).toBeUndefined();
    expect(bench.drops("home", "up")).toEqual({ no_session: 1 });
  });
});
