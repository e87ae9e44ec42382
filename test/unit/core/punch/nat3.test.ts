import { describe, expect, test } from "bun:test";
import { plainCodec, tokenCodec } from "../../../../src/core/punch/probe.ts";
import type { PunchHit } from "../../../../src/core/punch/punch-event.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { NAT4_ADDRESS, NONCE, nat3Bench, type Said, TOKEN } from "./bench.ts";

const PEER = 0x2222_2222_2222_2222n;
const at = (port: number) => ({ address: NAT4_ADDRESS, port });
const probe = (number: number, port: number): Said => ({
  kind: "probe",
  to: `${NAT4_ADDRESS}:${port}`,
  nonce: NONCE,
  echo: 0n,
  number,
});
const answer = (kind: "confirm" | "confirmed", port: number, number: number): Said => ({
  kind,
  to: `${NAT4_ADDRESS}:${port}`,
  nonce: NONCE,
  echo: PEER,
  number,
});
const ports = (said: readonly Said[]) => said.map(({ to }) => Number(to.split(":")[1]));
const hitOf = (port: number, some: Partial<PunchHit> = {}): PunchHit => ({
  socket: 0,
  remote: at(port),
  packet: port - 5_000,
  ports: port - 5_000,
  sent: 2,
  content: "",
  ...some,
});

describe("the scan", () => {
  const slow = { scanCount: 2, intervalMs: 100, batchIntervalMs: 200 };

  test("a batch, spread over its interval, again, then new ports", () => {
    const bench = nat3Bench(slow);
    expect(bench.sleep(0)).toEqual([probe(1, 5_001)]);
    expect(bench.machine.nextTimeout()).toBe(50);
    expect(bench.sleep(50)).toEqual([probe(2, 5_002)]);
    expect(ports(bench.sleep(449))).toEqual([5_001, 5_002, 5_003, 5_004, 5_003, 5_004, 5_005]);
    expect([bench.machine.packets, bench.machine.ports, bench.events()]).toEqual([9, 5, []]);
  });

  test("batches that change faster than they are repeated are sent once", () => {
    expect(ports(nat3Bench({ ...slow, intervalMs: 1_000 }).sleep(399))).toEqual([5_001, 5_002, 5_003, 5_004]);
  });

  test("what our NAT may hold goes round: the last batch is short, then those tried come again", () => {
    const bench = nat3Bench({ ...slow, intervalMs: 200, limits: { mappings: 5 } });
    expect(ports(bench.sleep(1_199))).toEqual([
      5_001, 5_002, 5_003, 5_004, 5_005, 5_005, 5_001, 5_002, 5_003, 5_004, 5_005, 5_005,
    ]);
    expect(bench.machine.ports).toBe(5);
  });

  test("so do all ports that there are", () => {
    const bench = nat3Bench({ ...slow, intervalMs: 200 }, {}, 3);
    expect(ports(bench.sleep(599))).toEqual([5_001, 5_002, 5_003, 5_003, 5_001, 5_002]);
  });

  test("nothing at all is sent while nothing is granted, and the deadline comes all the same", () => {
    const bench = nat3Bench({ ...slow, windowMs: 1_000, limits: { mappings: 0 } });
    expect([bench.sleep(5_000), bench.events().map(({ type }) => type)]).toEqual([[], ["failed"]]);
  });

  test("the pace is kept, whatever the settings ask for", () => {
    const bench = nat3Bench({ scanCount: 4_096, intervalMs: 20, limits: { packetsPerSecond: 500 } });
    expect(bench.sleep(1_000).length).toBe(505);
  });

  test("a machine that slept does not make up for it", () => {
    const bench = nat3Bench(slow);
    bench.machine.handleTimeout(9_000);
    expect(bench.sent().length).toBe(4);
  });
});

describe("a hit", () => {
  /** Two probes out; 5001 is hit. */
  const hit = () => {
    const bench = nat3Bench({ scanCount: 2, intervalMs: 100, batchIntervalMs: 200 });
    bench.sleep(50);
    bench.hear(60, "hit", { nonce: PEER, echo: NONCE, number: 1, content: "hello" }, at(5_001));
    return bench;
  };
  const theHit = hitOf(5_001, { content: "hello" });

  test("stops the scan at once; three steps later both are sure", () => {
    const bench = hit();
    expect(bench.sent()).toEqual([answer("confirm", 5_001, 1)]);
    expect(bench.events()).toEqual([{ type: "hit", hit: theHit }]);
    expect(bench.machine.nextTimeout()).toBe(160);
    bench.hear(80, "confirmed", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    expect(bench.sent()).toEqual([answer("confirmed", 5_001, 1)]);
    expect(bench.events()).toEqual([{ type: "confirmed", hit: theHit }, { type: "done" }]);
    expect([bench.machine.nextTimeout(), bench.sleep(60_000), bench.events()]).toEqual([NEVER, [], []]);
  });

  test("duplicates, and other sockets that were hit as well, change nothing", () => {
    const bench = hit();
    bench.sent();
    for (const port of [5_001, 5_002]) bench.hear(61, "hit", { nonce: PEER + 1n, echo: NONCE, number: 2 }, at(port));
    bench.hear(62, "confirmed", { nonce: PEER + 1n, echo: NONCE, number: 2 }, at(5_002));
    expect([bench.sent(), bench.events().length]).toEqual([[], 1]);
    bench.hear(80, "confirmed", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    bench.hear(81, "confirmed", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    expect(bench.sent()).toEqual([answer("confirmed", 5_001, 1)]);
    expect(bench.events().map(({ type }) => type)).toEqual(["confirmed", "done"]);
  });

  test("a confirm that is lost is repeated, for a second; then the scan goes on", () => {
    const bench = hit();
    expect(bench.sleep(1_059)).toEqual(Array.from({ length: 10 }, () => answer("confirm", 5_001, 1)));
    expect(ports(bench.sleep(1_060))).toEqual([5_003]);
    bench.hear(1_070, "hit", { nonce: PEER, echo: NONCE, number: 2 }, at(5_002));
    expect(bench.sent()).toEqual([answer("confirm", 5_002, 2)]);
  });

  test("a confirmation under way outlives the deadline", () => {
    const bench = nat3Bench({ scanCount: 1, windowMs: 500 });
    bench.sleep(499);
    bench.hear(499, "hit", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    bench.sleep(600);
    bench.hear(601, "confirmed", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    expect(bench.events().map(({ type }) => type)).toEqual(["hit", "confirmed", "done"]);
  });

  test("from a port that was never tried counts too: the other NAT may have changed it", () => {
    const bench = nat3Bench({ scanCount: 2, intervalMs: 100 });
    bench.sleep(50);
    bench.hear(60, "hit", { nonce: PEER, echo: NONCE, number: 1 }, at(9_999));
    expect(bench.events()).toEqual([{ type: "hit", hit: hitOf(9_999, { packet: 1, ports: 2 }) }]);
  });
});

test("a probe of the other side got through our NAT: its port is tried at once, within the budget", () => {
  const bench = nat3Bench({ scanCount: 1, intervalMs: 1_000, limits: { mappings: 2, packetsPerSecond: 100 } });
  bench.sleep(0);
  for (const [now, port] of [
    [20, 7_001],
    [40, 7_001],
    [41, 7_001],
    [60, 7_002],
  ] as const)
    bench.hear(now, "probe", { nonce: PEER, number: 1 }, at(port));
  expect(bench.sent()).toEqual([probe(2, 7_001), probe(3, 7_001)]);
});

describe("what changes nothing", () => {
  const stranger = { address: "203.0.113.66", port: 5_001 };

  test.each([
    ["a hit from another address", "hit", { echo: NONCE }, stranger],
    ["a hit recorded in another run", "hit", { echo: NONCE + 1n }, at(5_001)],
    ["a hit that knows no nonce", "hit", { echo: 0n }, at(5_001)],
    ["a confirm, which is ours to give", "confirm", { echo: NONCE }, at(5_001)],
    ["a confirmed before anything was hit", "confirmed", { echo: NONCE }, at(5_001)],
  ] as const)("%s", (_, kind, body, from) => {
    const [bench, undisturbed] = [nat3Bench(), nat3Bench()];
    bench.sleep(100);
    undisturbed.sleep(100);
    bench.hear(100, kind, { nonce: PEER, number: 1, ...body }, from);
    expect([bench.sleep(2_000), bench.events()]).toEqual([undisturbed.sleep(2_000), []]);
  });

  test("what is not authentic, each kind counted", () => {
    const bench = nat3Bench();
    bench.sleep(100);
    const body = { nonce: PEER, echo: NONCE, number: 1, content: "" };
    for (const payload of [
      tokenCodec("nat4", "guess").encode("hit", body),
      plainCodec("nat4").encode("hit", body),
      tokenCodec("nat3", TOKEN).encode("hit", body),
      new Uint8Array(),
    ])
      bench.machine.handleDatagram(100, { socket: 0, from: at(5_001), payload });
    expect(bench.events()).toEqual([]);
    expect(bench.machine.rejected).toEqual({
      ...{ foreign: 1, malformed: 0, "own-role": 1 },
      ...{ "no-token": 1, "wrong-token": 1, "unasked-token": 0 },
    });
  });
});

describe("the deadline", () => {
  const verdict = (bench: ReturnType<typeof nat3Bench>) => {
    bench.sleep(60_000);
    const [event, ...more] = bench.events().slice(-1);
    expect([more, bench.machine.nextTimeout()]).toEqual([[], NEVER]);
    return event?.type === "failed" ? event.failure : undefined;
  };

  test("too little tried says nothing", () => {
    const failure = verdict(nat3Bench({ windowMs: 1_000, limits: { packets: 300 } }));
    expect(failure).toEqual({ verdict: "by-chance", missProbability: (1 - 256 / 64_512) ** 300, packets: 300 });
  });

  test("a miss below 1 in 1,000 is no chance", () => {
    const failure = verdict(nat3Bench({ limits: { mappings: 2_000 } }));
    expect(failure).toMatchObject({ verdict: "not-by-chance", missProbability: (1 - 256 / 64_512) ** 2_000 });
  });

  test("a port of ours that is known to change is the reason", () => {
    expect(verdict(nat3Bench({ portFixed: false }))?.verdict).toBe("both-symmetric");
  });

  test("another token is named, before anything is said about NATs", () => {
    const bench = nat3Bench({ portFixed: false });
    const payload = tokenCodec("nat4", "other").encode("probe", { nonce: 1n, echo: 0n, number: 1, content: "" });
    bench.machine.handleDatagram(0, { socket: 0, from: at(5_001), payload });
    expect(verdict(bench)?.verdict).toBe("wrong-token");
  });

  test("a hit that nothing came of is told as such", () => {
    const bench = nat3Bench();
    bench.hear(0, "hit", { nonce: PEER, echo: NONCE, number: 1 }, at(5_001));
    expect(verdict(bench)?.verdict).toBe("unconfirmed");
  });
});
