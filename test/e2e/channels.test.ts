import { afterAll, expect, test } from "bun:test";
import type { ChannelEnd } from "../../src/core/tunnel/channel-switch.ts";
import type { TunnelCounters } from "../../src/core/tunnel/counters.ts";
import { concat, numberOf } from "../bytes.ts";
import { identity } from "./support/identities.ts";
import { type TestUplink, testServer, testUplink } from "./support/nodes.ts";
import { dataPdu, rawLane } from "./support/raw-lane.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** Pipes between two peers through a real server, over real lanes; who may have one is decided by the test. */

const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });

afterAll(() => expectNoSecretsInLogs(home, office));

const HOME = 0x8000_0001;
const OFFICE = 7;

function pipe(one: TestUplink, other: TestUplink): readonly [ChannelEnd, ChannelEnd] {
  return [
    { cn: "home", sessionId: one.uplink.sessionId, channel: HOME },
    { cn: "office", sessionId: other.uplink.sessionId, channel: OFFICE },
  ];
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function drops({ channels }: TunnelCounters): number {
  const all = [channels.up, channels.down].flatMap((each) => Object.values(each.drops));
  return all.reduce((sum, count) => sum + count, 0);
}

test("both ways, unchanged, under each end's own number, and no socket towards WireGuard", async () => {
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  await using other = testUplink(server.port, office);
  server.role.channels.open(pipe(one, other));
  for (let i = 0; i < 2_000; i++) {
    one.uplink.offerChannel(HOME, marked(i, 4 + (i % 1_400)));
    other.uplink.offerChannel(OFFICE, marked(i, 4 + (i % 1_400)));
    // What is waiting at the other peer's lanes is bounded, so nobody may run ahead.
    if (i % 100 === 99) await until("them to come", () => one.received.length + other.received.length === 2 * (i + 1));
  }
  for (const [end, channel] of [
    [one, HOME],
    [other, OFFICE],
  ] as const) {
    const sorted = end.received.toSorted((a, b) => numberOf(a.datagram) - numberOf(b.datagram));
    expect(sorted).toEqual(range(2_000).map((i) => ({ channel, datagram: marked(i, 4 + (i % 1_400)) })));
  }
  for (const cn of ["home", "office"]) {
    expect(server.counters(cn).channels.up).toMatchObject({ inPackets: 2_000, outPackets: 2_000 });
    expect(server.counters(cn).channels.down).toMatchObject({ inPackets: 2_000, outPackets: 2_000 });
    expect(drops(server.counters(cn))).toBe(0);
    expect(server.session(cn)).toMatchObject({ udp: "", caps: ["seq", "channel"], channels: { packets: 0, bytes: 0 } });
  }
  expect(one.uplink.counters.channels.down).toMatchObject({ inPackets: 2_000, outPackets: 2_000 });
  expect(wg.received).toEqual([]);
});

test("beside the tunnel: the socket towards WireGuard comes with its first datagram, and each gets only its own", async () => {
  using wg = await udpEnd({ echo: true });
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  await using other = testUplink(server.port, office);
  const back: number[] = [];
  one.uplink.onDatagrams = (datagrams) => back.push(...datagrams.map(numberOf));
  server.role.channels.open(pipe(one, other));
  other.uplink.demand();
  one.uplink.offerChannel(HOME, marked(0, 100));
  await until("the peer to get it", () => other.received.length === 1);
  expect(server.session("home")?.udp).toBe("");
  for (let i = 1; i <= 1_000; i++) {
    one.uplink.offer(marked(i, 1_200));
    one.uplink.offerChannel(HOME, marked(1_000 + i, 1_200));
    if (i % 100 === 0) await until("both", () => back.length === i && other.received.length === i + 1);
  }
  expect(back.toSorted((a, b) => a - b)).toEqual(range(1_001).slice(1));
  const sorted = other.received.map(({ datagram }) => numberOf(datagram)).toSorted((a, b) => a - b);
  expect(sorted).toEqual([0, ...range(2_001).slice(1_001)]);
  expect(server.session("home")?.udp).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(new Set(wg.fromPorts).size).toBe(1);
  expect([wg.received.length, server.session("office")?.udp]).toEqual([1_000, ""]);
});

test("a peer without lanes is asked for them, and gets what waited", async () => {
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  await using other = testUplink(server.port, office);
  const wanted: unknown[] = [];
  server.role.channels.onLanesWanted = (event) => {
    wanted.push(event);
    other.uplink.demand();
  };
  server.role.channels.open(pipe(one, other));
  for (let i = 0; i < 10; i++) one.uplink.offerChannel(HOME, marked(i));
  await until("them to come", () => other.received.length === 10);
  const about = { type: "lanes-wanted", cn: "office", sessionId: other.uplink.sessionId };
  expect(wanted).toEqual([{ ...about, packets: expect.any(Number) }]);
});

test("keep their lanes up, as datagrams of the tunnel do; in silence both ends let theirs go", async () => {
  using time = drivenTime();
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home, { tcp: { lanes: 1, idle_seconds: 2 } });
  await using other = testUplink(server.port, office, { tcp: { lanes: 1, idle_seconds: 2 } });
  server.role.channels.onLanesWanted = () => other.uplink.demand();
  server.role.channels.open(pipe(one, other));
  for (let i = 1; i <= 8; i++) {
    one.uplink.offerChannel(HOME, marked(i));
    await until("it to come", () => other.received.length === i);
    time.advance(1_000);
    for (let turns = 0; turns < 5; turns++) await turn();
  }
  expect([one.logbook.find("idle_close"), other.logbook.find("idle_close")]).toEqual([[], []]);
  expect([one.uplink.session.lanes.length, other.uplink.session.lanes.length]).toEqual([1, 1]);
  await until("both to be idle", () => {
    const { lanes } = one.uplink.session;
    return lanes.length === 0 && other.uplink.session.lanes.length === 0;
  });
  expect([one.logbook.find("idle_close").length, other.logbook.find("idle_close").length]).toEqual([1, 1]);
});

test("closed, or another's: leads nowhere, is counted, and costs nobody a lane", async () => {
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  await using other = testUplink(server.port, office);
  const ends = pipe(one, other);
  server.role.channels.open(ends);
  other.uplink.demand();
  one.uplink.offerChannel(HOME, marked(1));
  await until("it to come", () => other.received.length === 1);
  other.uplink.offerChannel(HOME, marked(2));
  await until("it to be refused", () => server.counters("office").channels.up.drops.unknown === 1);
  server.role.channels.close(ends);
  one.uplink.offerChannel(HOME, marked(3));
  await until("it to be refused", () => server.counters("home").channels.up.drops.unknown === 1);
  expect([one.received, other.received.length, server.role.channels.ends]).toEqual([[], 1, 0]);
  expect([...server.counters("office").frameErrors, ...server.counters("home").frameErrors]).toEqual([]);
});

test("an older client that names no channels may send none, and gets none", async () => {
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  const sessionId = crypto.randomUUID();
  using old = await rawLane({ port: server.port, identity: office });
  old.hello({ session_id: sessionId });
  await until("its greeting", () => old.controls.length === 1);
  expect(old.controls).toMatchObject([{ type: "hello_ack", caps: ["seq"] }]);
  server.role.channels.open([
    { cn: "home", sessionId: one.uplink.sessionId, channel: HOME },
    { cn: "office", sessionId, channel: OFFICE },
  ]);
  one.uplink.offerChannel(HOME, marked(1));
  await until("it to be dropped", () => server.counters("office").channels.down.drops.unsupported === 1);
  const channelPdu = dataPdu(concat([Uint8Array.of(0, 0, 0, OFFICE), marked(1)]));
  channelPdu[4] = 0x02;
  old.send(channelPdu);
  await old.closed();
  expect(old.controls.at(-1)).toMatchObject({ type: "err", kind: "bad_flags" });
  expect([old.datagrams, one.received]).toEqual([[], []]);
});

test("a peer that knows nothing of its channel counts what comes", async () => {
  using wg = await udpEnd();
  await using server = await testServer(wg.port);
  await using one = testUplink(server.port, home);
  await using other = testUplink(server.port, office);
  other.uplink.onChannel = undefined;
  server.role.channels.open(pipe(one, other));
  server.role.channels.onLanesWanted = () => other.uplink.demand();
  one.uplink.offerChannel(HOME, marked(1));
  await until("it to come", () => other.uplink.counters.channels.down.drops.unknown === 1);
});
