import { afterAll, describe, expect, test } from "bun:test";
import type { FrameErrorKind } from "../../src/core/wire/pdu.ts";
import { concat, hex, numberOf, utf8 } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { controlPdu, ctrlPdu, dataPdu, HELLO, type RawLane, rawLane } from "./support/raw-lane.ts";
import { expectIntact, type Scene, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/**
 * Authenticated clients that send what no client should: each costs the sender its connection, is counted and logged
 * under its CN, and touches nobody else.
 */

const mallory = await identity({ cn: "mallory" });

afterAll(() => expectNoSecretsInLogs(mallory));

const HEADER = "5554 01";
const someHello = () => controlPdu({ ...HELLO, session_id: crypto.randomUUID() });

interface Attack {
  readonly name: string;
  readonly bytes: () => Uint8Array;
  /** What it is called as the first bytes of a connection, and behind a HELLO. */
  readonly kind: FrameErrorKind | { readonly first: FrameErrorKind; readonly later: FrameErrorKind };
}

const ATTACKS: readonly Attack[] = [
  { name: "garbage", bytes: () => Uint8Array.from({ length: 300 }, (_, i) => (i * 7) & 0xff), kind: "bad_magic" },
  { name: "one wrong byte", bytes: () => hex("00"), kind: "bad_magic" },
  { name: "half a magic", bytes: () => hex("5558"), kind: "bad_magic" },
  { name: "another version", bytes: () => hex("5554 02 01 00 00000000"), kind: "bad_version" },
  { name: "another type", bytes: () => hex(`${HEADER} 02 00 00000000`), kind: "bad_type" },
  { name: "DATA longer than it may be", bytes: () => hex(`${HEADER} 01 00 00010000`), kind: "bad_length" },
  { name: "a length of 4 GB", bytes: () => hex(`${HEADER} 01 00 ffffffff`), kind: "bad_length" },
  { name: "SEQ without room for its number", bytes: () => hex(`${HEADER} 01 01 00000003 000000`), kind: "bad_length" },
  { name: "a flag nobody knows", bytes: () => hex(`${HEADER} 01 80 00000004 00000000`), kind: "bad_flags" },
  { name: "SEQ and CHANNEL at once", bytes: () => hex(`${HEADER} 01 03 00000008 0000000000000000`), kind: "bad_flags" },
  { name: "a channel nobody opened", bytes: () => hex(`${HEADER} 01 02 00000004 00000001`), kind: "bad_flags" },
  { name: "flags on control", bytes: () => hex(`${HEADER} 10 01 00000002 7b7d`), kind: "bad_flags" },
  { name: "control over 16 KiB", bytes: () => hex(`${HEADER} 10 00 00004001`), kind: "ctrl_too_large" },
  {
    name: "control that is not JSON",
    bytes: () => ctrlPdu(utf8("{oops")),
    kind: { first: "bad_hello", later: "bad_ctrl" },
  },
  {
    name: "control that is not UTF-8",
    bytes: () => ctrlPdu(hex("ff fe")),
    kind: { first: "bad_hello", later: "bad_ctrl" },
  },
  {
    name: "control without a type",
    bytes: () => controlPdu({ a: 1 }),
    kind: { first: "bad_hello", later: "bad_ctrl" },
  },
  {
    name: "control that is a list",
    bytes: () => ctrlPdu(utf8("[1]")),
    kind: { first: "bad_hello", later: "bad_ctrl" },
  },
  { name: "an empty control", bytes: () => ctrlPdu(hex("")), kind: { first: "bad_hello", later: "bad_ctrl" } },
  {
    name: "the server's own words",
    bytes: () => controlPdu({ type: "hello_ack", session_id: "", epoch: 0, caps: [] }),
    kind: { first: "bad_hello", later: "bad_ctrl" },
  },
  {
    name: "a flood of control",
    bytes: () => concat(Array.from({ length: 60 }, (_, i) => controlPdu({ type: "chatter", i }))),
    kind: "ctrl_flood",
  },
];

const FIRST_ONLY: readonly { name: string; hello: Record<string, unknown> }[] = [
  { name: "lane_id 32", hello: { lane_id: 32 } },
  { name: "lane_id -1", hello: { lane_id: -1 } },
  { name: "lane_id 1.5", hello: { lane_id: 1.5 } },
  { name: "lane_id as text", hello: { lane_id: "1" } },
  { name: "no lane_id", hello: { lane_id: undefined } },
  { name: "a session_id that is no UUID", hello: { session_id: "../../etc/passwd" } },
  { name: "a session_id of 15 kB", hello: { session_id: "a".repeat(15_000) } },
  { name: "a session_id that is a number", hello: { session_id: 7 } },
  { name: "an unknown kind", hello: { kind: "sideways" } },
  { name: "a control connection of no session", hello: { kind: "control", session_id: "" } },
  { name: "33 capabilities", hello: { caps: Array.from({ length: 33 }, (_, i) => `c${i}`) } },
  { name: "a capability of 33 letters", hello: { caps: ["c".repeat(33)] } },
  { name: "a node name of 129 letters", hello: { node: "n".repeat(129) } },
];

/** The connection is gone and its sender was told, counted and named once; the bystander lost nothing. */
async function expectRefused(at: Scene, lane: RawLane, kind: FrameErrorKind): Promise<void> {
  await lane.closed();
  expect(lane.controls.at(-1)).toEqual({ type: "err", kind, message: "" });
  expect([...at.server.counters("mallory").frameErrors]).toEqual([[kind, 1]]);
  const lines = at.server.logbook.find("frame_err");
  expect(lines.map(({ level, client_cn, kind }) => ({ level, client_cn, kind }))).toEqual([
    { level: "warn", client_cn: "mallory", kind },
  ]);
  expect(lines[0]?.remote).toBe(lane.local);
  await until("its lane to leave the session", () => (at.server.session("mallory")?.lanes.length ?? 0) === 0);
  await expectIntact(at);
}

describe("as the first bytes of a connection", () => {
  for (const { name, bytes, kind } of ATTACKS) {
    test(name, async () => {
      await using at = await scene();
      using lane = await rawLane({ port: at.server.port, identity: mallory });
      lane.send(bytes());
      await expectRefused(at, lane, typeof kind === "string" ? kind : kind.first);
    });
  }

  for (const { name, hello } of FIRST_ONLY) {
    test(`HELLO with ${name}`, async () => {
      await using at = await scene();
      using lane = await rawLane({ port: at.server.port, identity: mallory });
      lane.hello(hello);
      await expectRefused(at, lane, "bad_hello");
    });
  }

  test("SEQ before anybody agreed to it", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.send(dataPdu(marked(1), 0));
    await expectRefused(at, lane, "bad_flags");
  });

  test("GOODBYE", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.send(controlPdu({ type: "goodbye", reason: "" }));
    await expectRefused(at, lane, "bad_hello");
  });
});

describe("behind a HELLO and a datagram", () => {
  for (const { name, bytes, kind } of ATTACKS) {
    test(name, async () => {
      await using at = await scene();
      using lane = await rawLane({ port: at.server.port, identity: mallory });
      lane.hello();
      lane.send(dataPdu(marked(1)));
      await until("the echo", () => lane.datagrams.length === 1);
      lane.send(bytes());
      await expectRefused(at, lane, typeof kind === "string" ? kind : kind.later);
    });
  }

  test("all in one piece with what was good: that is delivered", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    const before = at.wg.received.length;
    lane.send(concat([someHello(), dataPdu(marked(1_000_001)), dataPdu(marked(1_000_002)), hex("ff")]));
    await expectRefused(at, lane, "bad_magic");
    const mine = at.wg.received
      .slice(before)
      .map(numberOf)
      .filter((number) => number > 1_000_000);
    expect(mine).toEqual([1_000_001, 1_000_002]);
  });

  test("HELLO twice", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello();
    lane.hello();
    await expectRefused(at, lane, "duplicate_hello");
  });

  test("HELLO twice in one piece", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.send(concat([someHello(), someHello()]));
    await expectRefused(at, lane, "duplicate_hello");
  });

  test("DATA after GOODBYE", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory, keepOpen: true });
    lane.hello();
    await until("hello_ack", () => lane.controls.length === 1);
    lane.send(concat([controlPdu({ type: "goodbye", reason: "" }), dataPdu(marked(1))]));
    await until("the log line", () => at.server.logbook.has("frame_err"));
    expect([...at.server.counters("mallory").frameErrors]).toEqual([["unexpected_data", 1]]);
    await expectIntact(at);
  });

  test("SEQ where HELLO did not offer it", async () => {
    await using at = await scene();
    using lane = await rawLane({ port: at.server.port, identity: mallory });
    lane.hello({ caps: [] });
    lane.send(dataPdu(marked(1), 0));
    await expectRefused(at, lane, "bad_flags");
  });
});
