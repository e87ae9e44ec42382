import { describe, expect, test } from "bun:test";
import { plainCodec, tokenCodec } from "../../../../src/core/punch/probe.ts";
import type { PunchHit } from "../../../../src/core/punch/punch-event.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { NAT3, NONCE, nat4Bench, type Said } from "./bench.ts";

const PEER = 0x2222_2222_2222_2222n;
const TO = `${NAT3.address}:${NAT3.port}`;
const nonce = (socket: number) => NONCE + BigInt(socket);

function said(kind: Said["kind"], socket: number, some: Partial<Said>): Said {
  const common = { kind, to: TO, nonce: nonce(socket), echo: PEER, number: 0, ...some };
  return socket === 0 ? common : { ...common, socket };
}
const opener = (socket: number, number: number, ttl?: number) =>
  said("probe", socket, ttl === undefined ? { echo: 0n, number } : { echo: 0n, number, ttl });
const hit = (socket: number, number: number) => said("hit", socket, { number });
const confirmed = (socket: number, number: number) => said("confirmed", socket, { number });

const FOUR = { socketCount: 4, intervalMs: 100 };

describe("opening", () => {
  test("one packet a socket, spread over the interval, then again; the TTLs climb", () => {
    const bench = nat4Bench(FOUR);
    expect(bench.sleep(0)).toEqual([opener(0, 1, 2)]);
    expect(bench.machine.nextTimeout()).toBe(25);
    expect(bench.sleep(149)).toEqual([
      opener(1, 2, 2),
      opener(2, 3, 2),
      opener(3, 4, 2),
      opener(0, 5, 2),
      opener(1, 6, 2),
    ]);
    bench.sleep(9_900);
    expect(bench.sleep(9_999)).toEqual([opener(1, 398), opener(2, 399, 8), opener(3, 400)]);
    expect([bench.machine.packets, bench.machine.ports, bench.events()]).toEqual([400, 4, []]);
  });

  test("a given TTL, and none", () => {
    expect(nat4Bench({ ...FOUR, ttl: 5 }).sleep(30)).toEqual([opener(0, 1, 5), opener(1, 2, 5)]);
    expect(nat4Bench({ ...FOUR, noTtl: true }).sleep(30)).toEqual([opener(0, 1), opener(1, 2)]);
  });

  test("no more mappings than our NAT may hold, and no faster than the pace", () => {
    const few = nat4Bench({ ...FOUR, limits: { mappings: 2 } });
    expect(few.sleep(75).map(({ socket = 0 }) => socket)).toEqual([0, 1, 0, 1]);
    const slow = nat4Bench({ socketCount: 1_024, intervalMs: 20, limits: { packetsPerSecond: 100 } });
    expect(slow.sleep(990).length).toBe(100);
  });

  test("nothing granted, nothing sent, and the deadline comes all the same", () => {
    const bench = nat4Bench({ ...FOUR, limits: { mappings: 0 } });
    expect([bench.sleep(20_000), bench.events().map(({ type }) => type)]).toEqual([[], ["failed"]]);
  });
});

describe("a probe that gets through", () => {
  const open = () => {
    const bench = nat4Bench({ ...FOUR, intervalMs: 10_000 });
    bench.sleep(7_500);
    return bench;
  };
  const probe = { nonce: PEER, number: 312, content: "hello" };
  const theHit: PunchHit = { socket: 2, remote: NAT3, packet: 312, sent: 4, content: "hello" };

  test("is answered with the full TTL, at 0, 200, 400, 600 and 800 ms, while the others are kept open", () => {
    const bench = open();
    bench.hear(8_000, "probe", probe, NAT3, 2);
    expect(bench.events()).toEqual([{ type: "hit", hit: theHit }]);
    expect(bench.sent()).toEqual([hit(2, 312)]);
    expect([bench.machine.nextTimeout(), bench.sleep(9_999)]).toEqual([
      8_200,
      Array.from({ length: 4 }, () => hit(2, 312)),
    ]);
  });

  test("again is answered again, with its own number, and told once", () => {
    const bench = open();
    for (const number of [312, 500]) bench.hear(8_000, "probe", { ...probe, number }, NAT3, 2);
    expect([bench.sent(), bench.events().length]).toEqual([[hit(2, 312), hit(2, 500)], 1]);
  });

  test("comes from another port of the same address where the other NAT changed it: answered there", () => {
    const bench = open();
    bench.hear(8_000, "probe", probe, { ...NAT3, port: 4_001 }, 2);
    expect(bench.sent()).toEqual([{ ...hit(2, 312), to: `${NAT3.address}:4001` }]);
  });

  test("a flood of them is answered at the pace of the budget", () => {
    const bench = nat4Bench({ ...FOUR, limits: { packetsPerSecond: 100 } });
    bench.sleep(0);
    for (let i = 0; i < 1_000; i++) bench.hear(20, "probe", { ...probe, number: i }, NAT3, 2);
    expect(bench.sent().length).toBe(1);
  });

  test("the confirm of one socket settles it: no other packet leaves, until the other side has heard", () => {
    const bench = open();
    for (const socket of [1, 2]) bench.hear(8_000, "probe", probe, NAT3, socket);
    bench.sent();
    bench.events();
    bench.hear(8_050, "confirm", { nonce: PEER, echo: nonce(2), number: 312, content: "hello" }, NAT3, 2);
    expect(bench.sent()).toEqual([confirmed(2, 312)]);
    expect(bench.events()).toEqual([{ type: "confirmed", hit: { ...theHit, sent: 6 } }]);
    expect(bench.machine.nextTimeout()).toBe(9_050);
    bench.hear(8_150, "confirm", { nonce: PEER, echo: nonce(2), number: 312 }, NAT3, 2);
    bench.hear(8_160, "confirm", { nonce: PEER, echo: nonce(1), number: 312 }, NAT3, 1);
    expect([bench.sent(), bench.events()]).toEqual([[confirmed(2, 312)], []]);
    bench.hear(8_170, "confirmed", { nonce: PEER, echo: nonce(2), number: 312 }, NAT3, 2);
    expect([bench.events(), bench.machine.nextTimeout(), bench.sleep(60_000)]).toEqual([[{ type: "done" }], NEVER, []]);
  });

  test("without the other side's last word it is done a second later", () => {
    const bench = open();
    bench.hear(8_000, "confirm", { nonce: PEER, echo: nonce(0), number: 1 }, NAT3, 0);
    bench.events();
    expect([bench.sleep(8_999), bench.events()]).toEqual([[confirmed(0, 1)], []]);
    expect([bench.sleep(9_000), bench.events()]).toEqual([[], [{ type: "done" }]]);
  });

  test("just before the deadline still gets its answers, and its confirm counts", () => {
    const bench = nat4Bench({ ...FOUR, windowMs: 500 });
    bench.sleep(499);
    bench.hear(499, "probe", probe, NAT3, 2);
    bench.sent();
    expect(bench.sleep(1_200)).toEqual([hit(2, 312), hit(2, 312), hit(2, 312)]);
    bench.hear(1_250, "confirm", { nonce: PEER, echo: nonce(2), number: 312 }, NAT3, 2);
    expect(bench.events().map(({ type }) => type)).toEqual(["hit", "confirmed"]);
  });

  test("after the deadline is too late", () => {
    const bench = nat4Bench({ ...FOUR, windowMs: 500 });
    bench.sleep(500);
    expect(bench.events().map(({ type }) => type)).toEqual(["failed"]);
    bench.hear(501, "probe", probe, NAT3, 2);
    expect([bench.sent(), bench.events()]).toEqual([[], []]);
  });
});

describe("what changes nothing", () => {
  const stranger = { address: "203.0.113.66", port: NAT3.port };

  test.each([
    ["a probe from another address", "probe", {}, stranger],
    ["a confirm of another run", "confirm", { echo: NONCE - 1n }, NAT3],
    ["a confirm that was said to another socket", "confirm", { echo: nonce(2) }, NAT3],
    ["a hit, which is ours to give", "hit", { echo: nonce(1) }, NAT3],
    ["a confirmed before anything is settled", "confirmed", { echo: nonce(1) }, NAT3],
  ] as const)("%s", (_, kind, body, from) => {
    const [bench, undisturbed] = [nat4Bench(FOUR), nat4Bench(FOUR)];
    bench.sleep(100);
    undisturbed.sleep(100);
    bench.hear(100, kind, { nonce: PEER, number: 1, ...body }, from, 1);
    expect([bench.sleep(9_000), bench.events()]).toEqual([undisturbed.sleep(9_000), []]);
  });

  test("a probe recorded in an earlier run is answered, and that is all", () => {
    const [bench, undisturbed] = [nat4Bench(FOUR), nat4Bench(FOUR)];
    bench.sleep(100);
    undisturbed.sleep(100);
    bench.hear(100, "probe", { nonce: PEER, number: 1 }, NAT3, 1);
    const openers = ({ kind }: Said) => kind === "probe";
    const unnumbered = (all: Said[]) => all.filter(openers).map(({ number: _, ...rest }) => rest);
    expect(unnumbered(bench.sleep(9_000))).toEqual(unnumbered(undisturbed.sleep(9_000)));
  });

  test("what is not authentic, each kind counted", () => {
    const bench = nat4Bench(FOUR);
    bench.sleep(10);
    const body = { nonce: PEER, echo: nonce(1), number: 1, content: "" };
    for (const payload of [
      tokenCodec("nat3", "guess").encode("confirm", body),
      plainCodec("nat3").encode("probe", body),
    ])
      bench.machine.handleDatagram(10, { socket: 1, from: NAT3, payload });
    expect([
      bench.sent(),
      bench.events(),
      bench.machine.rejected["wrong-token"],
      bench.machine.rejected["no-token"],
    ]).toEqual([[], [], 1, 1]);
  });
});

test.each([
  ["by-chance", { socketCount: 16 }],
  ["not-by-chance", { socketCount: 256 }],
  ["both-symmetric", { socketCount: 256, portFixed: false }],
] as const)("at the deadline: %s", (verdict, plan) => {
  const bench = nat4Bench(plan);
  const packets = bench.sleep(10_000).length;
  const missProbability = (1 - plan.socketCount / 64_512) ** 2_048;
  expect(bench.events()).toEqual([{ type: "failed", failure: { verdict, missProbability, packets } }]);
});
