import { describe, expect, test } from "bun:test";
import { MAX_CANDIDATES } from "../../../../src/core/ice/candidate.ts";
import { MAX_START_DELAY_MS, PUNCH_WAIT_MS, PUNCHES_PER_WINDOW } from "../../../../src/core/signal/limits.ts";
import { SIGHTING_MS } from "../../../../src/core/signal/sightings.ts";
import type { PeerInfoInput, PunchReject, SignalInput } from "../../../../src/core/wire/signal.ts";
import { HOST, HubBench, outline, UNKNOWN } from "./hub-bench.ts";

const HOME = { address: "198.51.100.2", port: 5_000 };
const OFFICE = { address: "203.0.113.9", port: 6_000 };
const reflexOf: Record<string, string> = { home: "198.51.100.2:5000", office: "203.0.113.9:6000" };

interface Pair {
  readonly bench: HubBench;
  /** The channel of each end. */
  readonly channels: Record<string, number>;
  candidates(end: string, attempt: number, candidates?: string[], last?: boolean, peer?: PeerInfoInput): SignalInput;
  punch(end: string, attempt: number, role: "nat3" | "nat4", reflex?: string): SignalInput;
}

/** `home` and `office` with an open pipe, both seen by STUN. */
function pair(homeRttMs: number | "silent" = 40, officeRttMs: number | "silent" = 100): Pair {
  const bench = new HubBench();
  bench.connect("home", homeRttMs);
  bench.connect("office", officeRttMs);
  bench.say("office", { type: "register", node: "" });
  bench.pass(5_000);
  const { ours, theirs } = bench.openPipe("home", "office");
  bench.sight("home", HOME.address, HOME.port);
  bench.sight("office", OFFICE.address, OFFICE.port);
  const channels: Record<string, number> = { home: ours, office: theirs };
  const channelOf = (end: string) => channels[end] ?? 0;
  return {
    bench,
    channels,
    candidates: (end, attempt, candidates = [HOST], last = true, peer = UNKNOWN) => ({
      type: "candidates",
      channel: channelOf(end),
      attempt,
      candidates,
      last,
      peer,
    }),
    punch: (end, attempt, role, reflex = reflexOf[end] ?? "") => ({
      type: "punch_request",
      channel: channelOf(end),
      attempt,
      role,
      reflex,
    }),
  };
}

describe("candidates", () => {
  test("go to the other end alone, under its own number; the start follows the second one's", () => {
    const { bench, channels, candidates } = pair();
    bench.connect("eve");
    expect(bench.say("home", candidates("home", 3)).said).toEqual([["office", candidates("office", 3)]]);
    expect(bench.say("office", candidates("office", 3)).said).toEqual([
      ["home", candidates("home", 3)],
      ["office", { type: "start_punching", channel: channels.office ?? 0, attempt: 3, delay_ms: 0 }],
      ["home", { type: "start_punching", channel: channels.home ?? 0, attempt: 3, delay_ms: 30 }],
    ]);
  });

  test("may come in parts, before and after the start, which comes once", () => {
    const { bench, candidates } = pair();
    bench.say("home", candidates("home", 0, [HOST], false));
    expect(outline(bench.say("home", candidates("home", 0, [HOST], false)))).toEqual(["office: candidates"]);
    expect(outline(bench.say("office", candidates("office", 0, [], false)))).toEqual([
      "home: candidates",
      "office: start_punching",
      "home: start_punching",
    ]);
    expect(outline(bench.say("home", candidates("home", 0)))).toEqual(["office: candidates"]);
    expect(outline(bench.say("office", candidates("office", 0)))).toEqual(["home: candidates"]);
  });

  test("of different attempts start nothing until both are at the same one", () => {
    const { bench, candidates } = pair();
    bench.say("home", candidates("home", 1));
    expect(outline(bench.say("office", candidates("office", 2)))).toEqual(["home: candidates"]);
    expect(outline(bench.say("home", candidates("home", 2)))).toEqual([
      "office: candidates",
      "home: start_punching",
      "office: start_punching",
    ]);
  });

  test("no more than 32 of an end and attempt are carried", () => {
    const { bench, candidates } = pair();
    const many = Array.from({ length: 20 }, (_, i) => HOST.replace("5000", `${5_000 + i}`));
    const carried = () => {
      const [first] = bench.say("home", candidates("home", 1, many)).said;
      return first?.[1].type === "candidates" ? first[1].candidates.length : undefined;
    };
    expect([carried(), carried(), carried()]).toEqual([20, MAX_CANDIDATES - 20, 0]);
  });

  test("bring what the sender knows of its network, but an address only if STUN has seen it there", () => {
    const { bench, candidates } = pair();
    const claim = (reflex: string): PeerInfoInput => ({ nat: "cone", filtering: null, reflex, caps: ["v1"] });
    const carried = (reflex: string) => {
      const [first] = bench.say("home", candidates("home", 1, [], true, claim(reflex))).said;
      return first?.[1].type === "candidates" ? first[1].peer : undefined;
    };
    expect(carried(reflexOf.home ?? "")).toEqual(claim(reflexOf.home ?? ""));
    expect(carried(reflexOf.office ?? "")).toEqual({ ...claim(""), reflex: null });
    expect(carried("198.51.100.2:5001")).toEqual({ ...claim(""), reflex: null });
  });

  test("for an end without a control connection are dropped, and start nothing when it is back", () => {
    const { bench, channels, candidates } = pair();
    bench.say("office", candidates("office", 1));
    bench.disconnect("office");
    expect(bench.say("home", candidates("home", 1)).said).toEqual([]);
    bench.connect("office");
    bench.say("office", { type: "resume", channels: [channels.office ?? 0] });
    expect(outline(bench.say("home", candidates("home", 1)))).toEqual(["office: candidates"]);
    expect(bench.hub.counters.dropped.absent).toBe(1);
  });
});

describe("both begin at the same moment", () => {
  test.each([
    [20, 20, 0, 0],
    [0, 300, 150, 0],
    [300, 0, 0, 150],
    [10, 5_000, MAX_START_DELAY_MS, 0],
    // Not measured yet: nobody waits.
    ["silent", 300, 0, 0],
  ] as const)("%p ms and %p ms away: %p ms and %p ms later", (home, office, homeDelay, officeDelay) => {
    const { bench, candidates } = pair(home, office);
    bench.say("home", candidates("home", 1));
    const { said } = bench.say("office", candidates("office", 1));
    const starts = said.flatMap(([to, signal]) => (signal.type === "start_punching" ? [[to, signal.delay_ms]] : []));
    expect(Object.fromEntries(starts)).toEqual({ home: homeDelay, office: officeDelay });
  });
});

describe("nobody is told more than eight starts in ten seconds", () => {
  test("ICE waits for its turn", () => {
    const { bench, candidates } = pair();
    for (let attempt = 0; attempt < PUNCHES_PER_WINDOW; attempt++) {
      bench.say("home", candidates("home", attempt));
      expect(outline(bench.say("office", candidates("office", attempt))).length).toBe(3);
    }
    bench.say("home", candidates("home", 99));
    expect(outline(bench.say("office", candidates("office", 99)))).toEqual(["home: candidates"]);
    expect(bench.pass(9_999).said).toEqual([]);
    expect(outline(bench.pass(1))).toEqual(["home: start_punching", "office: start_punching"]);
  });

  test("of one that was left for another attempt, or whose pipe is closed, nothing comes", () => {
    const { bench, channels, candidates } = pair();
    const tooMany = () => {
      for (let attempt = 0; attempt <= PUNCHES_PER_WINDOW; attempt++) {
        bench.say("home", candidates("home", attempt));
        bench.say("office", candidates("office", attempt));
      }
    };
    tooMany();
    bench.say("home", candidates("home", 99));
    expect(bench.pass(20_000).said).toEqual([]);
    tooMany();
    bench.say("home", { type: "p2p_close", channel: channels.home ?? 0, reason: "" });
    expect(bench.pass(20_000).said).toEqual([]);
  });

  test("hard-NAT is refused: both ends hear of it", () => {
    const { bench, channels, candidates, punch } = pair();
    for (let attempt = 0; attempt < PUNCHES_PER_WINDOW; attempt++) {
      bench.say("home", candidates("home", attempt));
      bench.say("office", candidates("office", attempt));
    }
    bench.say("home", punch("home", 9, "nat3"));
    expect(bench.say("office", punch("office", 9, "nat4")).said).toEqual(
      ["office", "home"].map((end) => [
        end,
        { type: "punch_reject", channel: channels[end] ?? 0, attempt: 9, reason: "rate-limited" },
      ]),
    );
  });
});

describe("hard-NAT", () => {
  const rejected = ({ channels }: Pair, end: string, attempt: number, reason: PunchReject) => [
    end,
    { type: "punch_reject", channel: channels[end] ?? 0, attempt, reason },
  ];

  test("both ask, both are introduced; each tells the other that it has begun", () => {
    const { bench, channels, punch } = pair();
    const [home, office] = [channels.home ?? 0, channels.office ?? 0];
    expect(bench.say("home", punch("home", 4, "nat3")).said).toEqual([]);
    const met: SignalInput = {
      type: "punch_introduce",
      channel: 0,
      attempt: 4,
      role: "nat3",
      peer_reflex: "",
      delay_ms: 0,
    };
    expect(bench.say("office", punch("office", 4, "nat4")).said).toEqual([
      ["office", { ...met, channel: office, role: "nat4", peer_reflex: "198.51.100.2:5000" }],
      ["home", { ...met, channel: home, peer_reflex: "203.0.113.9:6000", delay_ms: 30 }],
    ]);
    const ack = (channel: number): SignalInput => ({ type: "punch_ack", channel, attempt: 4 });
    expect(bench.say("home", ack(home)).said).toEqual([["office", ack(office)]]);
    expect(bench.say("office", ack(office)).said).toEqual([["home", ack(home)]]);
    // Each once, and only for what was introduced.
    expect(bench.say("office", ack(office), { ...ack(office), attempt: 5 } as SignalInput).said).toEqual([]);
    expect(bench.hub.counters.introductions).toBe(1);
    expect(bench.pass(PUNCH_WAIT_MS * 2).said).toEqual([]);
  });

  test("unknown-target: the other end has no control connection, does not ask in time, or goes", () => {
    const world = pair();
    const { bench, channels, punch } = world;
    bench.say("home", punch("home", 1, "nat3"));
    expect(bench.pass(PUNCH_WAIT_MS - 1).said).toEqual([]);
    expect(bench.pass(1).said).toEqual([rejected(world, "home", 1, "unknown-target")] as never);
    bench.say("home", punch("home", 2, "nat3"));
    expect(bench.disconnect("office").said).toEqual([rejected(world, "home", 2, "unknown-target")] as never);
    expect(bench.say("home", punch("home", 3, "nat3")).said).toEqual([
      rejected(world, "home", 3, "unknown-target"),
    ] as never);
    expect(channels.home).toBeGreaterThan(0);
  });

  test("no-session: a channel that is not ours, an attempt that was left, two alike", () => {
    const world = pair();
    const { bench, channels, punch } = world;
    const foreign = { ...punch("home", 1, "nat3"), channel: channels.office ?? 0 } as SignalInput;
    expect(bench.say("home", foreign).said).toEqual([
      ["home", { type: "punch_reject", channel: channels.office ?? 0, attempt: 1, reason: "no-session" }],
    ]);
    bench.say("home", punch("home", 1, "nat3"));
    expect(bench.say("home", punch("home", 2, "nat3")).said).toEqual([
      rejected(world, "home", 1, "no-session"),
    ] as never);
    expect(bench.say("office", punch("office", 2, "nat3")).said).toEqual([
      rejected(world, "office", 2, "no-session"),
      rejected(world, "home", 2, "no-session"),
    ] as never);
    expect(bench.hub.counters.punchRejects["no-session"]).toBe(4);
  });

  test("reflex-mismatch: another's address, another port, another connection's sighting, one that is old", () => {
    const world = pair();
    const { bench, punch } = world;
    const refused = [rejected(world, "home", 1, "reflex-mismatch")] as never;
    for (const reflex of ["203.0.113.9:6000", "198.51.100.2:5001", "[2001:db8::1]:5000"])
      expect(bench.say("home", punch("home", 1, "nat3", reflex)).said).toEqual(refused);
    // Whoever knows somebody's user name only helps them.
    bench.hub.observed(bench.now, "nobody", { address: "192.0.2.77", port: 1 });
    expect(bench.say("home", punch("home", 1, "nat3", "192.0.2.77:1")).said).toEqual(refused);
    bench.pass(SIGHTING_MS);
    expect(outline(bench.say("home", punch("home", 1, "nat3")))).toEqual([]);
    bench.pass(1);
    expect(bench.say("home", punch("home", 1, "nat3")).said).toEqual(refused);
  });

  test("a new control connection has to be seen anew", () => {
    const world = pair();
    const { bench, channels, punch } = world;
    bench.disconnect("home");
    bench.connect("home");
    bench.say("home", { type: "resume", channels: [channels.home ?? 0] });
    expect(bench.say("home", punch("home", 1, "nat3")).said).toEqual([
      rejected(world, "home", 1, "reflex-mismatch"),
    ] as never);
  });

  test("rate-limited: more than eight requests in ten seconds", () => {
    const world = pair();
    const { bench, punch } = world;
    for (let attempt = 0; attempt < PUNCHES_PER_WINDOW; attempt++) bench.say("home", punch("home", attempt, "nat3"));
    expect(bench.say("home", punch("home", 8, "nat3")).said).toEqual([
      rejected(world, "home", 7, "no-session"),
      rejected(world, "home", 8, "rate-limited"),
    ] as never);
    bench.pass(PUNCH_WAIT_MS);
    expect(bench.say("home", punch("home", 9, "nat3")).said).toEqual([]);
  });

  test("the same attempt asked for twice is one request", () => {
    const { bench, punch } = pair();
    bench.say("home", punch("home", 1, "nat3"), punch("home", 1, "nat3"));
    expect(outline(bench.say("office", punch("office", 1, "nat4")))).toEqual([
      "office: punch_introduce",
      "home: punch_introduce",
    ]);
    expect(bench.pass(PUNCH_WAIT_MS * 2).said).toEqual([]);
  });

  test("a pipe that closes takes its requests with it", () => {
    const { bench, channels, punch } = pair();
    bench.say("home", punch("home", 1, "nat3"));
    const close: SignalInput = { type: "p2p_close", channel: channels.office ?? 0, reason: "idle" };
    expect(outline(bench.say("office", close))).toEqual(["home: p2p_close"]);
    expect(bench.pass(PUNCH_WAIT_MS * 2).said).toEqual([]);
  });
});

test("what is said of a pipe is its owners' alone", () => {
  const { bench, channels, candidates, punch } = pair();
  bench.connect("eve");
  const [home, office] = [channels.home ?? 0, channels.office ?? 0];
  for (const thief of ["eve", "home"])
    for (const channel of thief === "eve" ? [home, office] : [office]) {
      const heard = bench.say(
        thief,
        { ...candidates("home", 1), channel } as SignalInput,
        { type: "p2p_close", channel, reason: "" },
        { type: "punch_ack", channel, attempt: 1 },
        { type: "p2p_result", channel, winner: "ice", elapsed_ms: 0, cause: "" },
        { ...punch("home", 1, "nat3"), channel } as SignalInput,
      );
      expect(outline(heard)).toEqual([`${thief}: punch_reject`]);
      expect(heard.events).toEqual([]);
    }
  expect(bench.hub.counters.dropped["unknown-channel"]).toBe(15);
  expect(bench.hub.pipes).toBe(1);
});
