import { describe, expect, test } from "bun:test";
import { candidatePriority } from "../../../../src/core/ice/candidate.ts";
import { shortTermKey, verifyIntegrity } from "../../../../src/core/stun/integrity.ts";
import { decodeStun } from "../../../../src/core/stun/message.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { candidate, endpoint, IceBench, MAPPED, PEER } from "./ice-bench.ts";

const A = "203.0.113.1:6000";
const B = "203.0.113.2:6000";
const C = "203.0.113.3:6000";
const three = [candidate(A, 3), candidate(B, 2), candidate(C, 1)];
const PORT = 6_000;

describe("a check", () => {
  test("is a Binding request as RFC 8445 §7.2 wants it", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    const payload = bench.sent[0]?.transmit.payload ?? new Uint8Array();
    expect(decodeStun(payload)).toEqual({
      ok: true,
      message: {
        class: "request",
        method: 1,
        transactionId: expect.stringMatching(/^[0-9a-f]{24}$/),
        attributes: {
          username: "peer:ours",
          priority: candidatePriority("prflx", 65_535),
          iceControlling: expect.any(BigInt),
        },
      },
      unknownRequired: [],
      integrity: ["sha1"],
      fingerprint: true,
    });
    expect(verifyIntegrity(payload, shortTermKey(PEER.pwd))).toBe(true);
  });

  test("of the controlled side says so", () => {
    const [sent] = IceBench.started({ controlling: false }, [candidate(A)]).sent;
    expect(Object.keys(sent?.message.attributes ?? {}).sort()).toEqual(["iceControlled", "priority", "username"]);
  });

  test("leaves every 20 ms, the best pair's first, and again after 0.5, 1.5 and 3.5 s; 5 s are the end", () => {
    const bench = IceBench.started({}, three);
    expect(bench.until(10_000).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${B}`,
      `40 check → ${C}`,
      `500 check → ${A}`,
      `520 check → ${B}`,
      `540 check → ${C}`,
      `1500 check → ${A}`,
      `1520 check → ${B}`,
      `1540 check → ${C}`,
      `3500 check → ${A}`,
      `3520 check → ${B}`,
      `3540 check → ${C}`,
      "5000 timeout",
    ]);
    expect([bench.agent.nextTimeout(), bench.request(A), bench.log]).toEqual([NEVER, false, []]);
  });

  test("waits longer for its answer where many are made (§14.3)", () => {
    const bench = IceBench.started(
      {},
      Array.from({ length: 32 }, (_, index) => candidate(`203.0.113.${index + 1}:6000`, 32 - index)),
    );
    const first = bench.until(700).log.filter((line) => line.endsWith(` ${A}`));
    // 32 checks to make, 20 ms each.
    expect(first).toEqual([`0 check → ${A}`, `640 check → ${A}`]);
  });

  test("that is refused fails its pair; that all have failed is told at the deadline only (RFC 8863)", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    bench.answer(A, { code: 400 });
    expect(bench.states).toEqual([`${A} failed`]);
    expect(bench.until(10_000).log).toEqual([`0 check → ${A}`, "5000 no-pair"]);
  });

  test("of a pair that had failed is made again when the peer's comes", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    bench.answer(A, { code: 500 });
    bench.until(1_000);
    bench.request(A);
    bench.answer(A);
    expect(bench.log).toEqual([
      `0 check → ${A}`,
      `1000 success → ${A}`,
      `1000 check → ${A}`,
      // Nothing better can come, so it is the one at once, at the pace of checks.
    ]);
    expect(bench.until(1_020).log).toEqual([`1020 check → ${A} nominating`]);
  });

  test("nothing to try, and nothing will come: told at once", () => {
    expect(IceBench.started({}, []).log).toEqual(["0 no-pair"]);
    const bench = new IceBench();
    bench.agent.setRemote(PEER);
    expect(bench.start().until(100).log).toEqual([]);
    bench.agent.addRemotes([], true);
    expect(bench.until(100).log).toEqual(["100 no-pair"]);
  });
});

describe("a check of the peer", () => {
  test("is answered with where it came from", () => {
    const bench = new IceBench();
    expect([bench.request(A), bench.log]).toEqual([true, [`0 success → ${A}`]]);
    expect(bench.sent[0]?.message.attributes).toEqual({ xorMappedAddress: endpoint(A) });
  });

  test("makes one of ours at once, before all others; the one under way is sent no more, but its answer counts (§7.3.1.4)", () => {
    const bench = IceBench.started({}, three);
    bench.until(30);
    bench.request(A);
    expect(bench.until(700).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${B}`,
      `30 success → ${A}`,
      `40 check → ${A}`,
      `60 check → ${C}`,
      `520 check → ${B}`,
      `540 check → ${A}`,
      `560 check → ${C}`,
    ]);
    bench.answerTo(0);
    expect(bench.states[0]).toBe(`${A} succeeded`);
  });

  test("never makes checks go faster than one in 20 ms", () => {
    const bench = IceBench.started({}, [candidate(A, 9)]);
    for (const last of [1, 2, 3, 4, 5]) bench.request(`198.51.100.6:${last}`);
    const checks = bench.until(200).log.filter((line) => line.includes("check"));
    expect(checks.map((line) => line.split(" ")[0])).toEqual(["0", "20", "40", "60", "80", "100"]);
  });

  test("that comes twice makes one of ours, as the answer may be on its way; a later one another", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    bench.until(100);
    for (const _ of [1, 2, 3]) bench.request(A, { id: "ab".repeat(12) });
    expect(bench.until(599).log).toEqual([
      `0 check → ${A}`,
      ...Array(3).fill(`100 success → ${A}`).toSpliced(1, 0, `100 check → ${A}`),
    ]);
    bench.request(A);
    expect(bench.until(600).log).toEqual([`599 success → ${A}`, `600 check → ${A}`]);
  });

  test("shows that the peer is there: ours is sent again every 500 ms from then on, not ever more seldom", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    bench.until(100).request(A);
    expect(bench.until(2_200).log.slice(2)).toEqual([100, 600, 1_100, 1_600, 2_100].map((at) => `${at} check → ${A}`));
  });

  test("over a pair that works changes nothing", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.answer(A);
    bench.request(A);
    expect(bench.until(1_000).log).toEqual([`0 check → ${A}`, `0 success → ${A}`]);
  });

  test("from an address that nobody told is a candidate of its own (§7.3.1.3)", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.until(10);
    bench.request(B, { attributes: { priority: 77, iceControlling: 1n, useCandidate: true } });
    bench.until(20);
    bench.answer(B);
    expect(bench.log).toEqual([`0 check → ${A}`, `10 success → ${B}`, `20 check → ${B}`, `20 selected ${B}`]);
    const remote = { type: "prflx", foundation: "prflx 1", priority: 77, endpoint: endpoint(B) };
    expect(bench.events).toEqual([
      {
        type: "selected",
        socket: 0,
        local: {
          type: "prflx",
          foundation: "prflx",
          priority: candidatePriority("prflx", 65_535),
          endpoint: endpoint(MAPPED),
          related: { address: "10.1.0.11", port: 5_000 },
          base: { address: "10.1.0.11", port: 5_000 },
          socket: 0,
        },
        remote: remote as never,
        rttMs: 0,
      },
    ]);
  });

  test("before `start`: answered and remembered, and begins the checks where the credentials are known", () => {
    const bench = new IceBench({ controlling: false });
    bench.agent.setRemote(PEER);
    bench.agent.addRemotes([candidate(A, 1), candidate(B, 2)], true);
    bench.now = 50;
    bench.request(A);
    expect(bench.until(100).log).toEqual([`50 success → ${A}`, `50 check → ${A}`, `70 check → ${B}`]);
  });

  test("before the peer's credentials: answered, remembered, and followed once they are there (§7.3)", () => {
    const bench = new IceBench({ controlling: false });
    bench.request(A);
    bench.request(B, { attributes: { useCandidate: true, iceControlling: 1n } });
    bench.request(C, { username: "ours:else" });
    expect(bench.until(100).log).toEqual([A, B, C].map((from) => `0 success → ${from}`));
    bench.agent.setRemote(PEER);
    bench.start().until(120);
    bench.answer(B);
    expect(bench.log).toEqual([`100 check → ${A}`, `120 check → ${B}`, `120 selected ${B}`]);
  });

  test("of another name is not ours to answer; with our name and another's password neither", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    const log = bench.log;
    expect(bench.request(A, { username: "theirs:peer" })).toBe(false);
    expect(bench.request(A, { username: "our:peer" })).toBe(false);
    expect(bench.request(A, { username: "ours:else" })).toBe(true);
    expect(bench.request(A, { pwd: PEER.pwd })).toBe(true);
    expect(bench.request(A, { fingerprint: false })).toBe(true);
    expect([log, bench.log]).toEqual([[`0 check → ${A}`], []]);
    const { unauthenticated, malformed, answersSent } = bench.agent.counters;
    expect({ unauthenticated, malformed, answersSent }).toEqual({ unauthenticated: 2, malformed: 1, answersSent: 0 });
  });

  test("that is not one: 400 without PRIORITY, 420 with what must be understood and is not", () => {
    const bench = new IceBench();
    bench.request(A, { priority: null });
    bench.request(A, { attributes: { changeRequest: { changeIp: true, changePort: false } } });
    bench.request(A, { unknown: 0x7abc });
    expect(bench.log).toEqual([`0 400 → ${A}`, `0 success → ${A}`, `0 420 → ${A}`]);
    expect(bench.sent.at(-1)?.message.attributes.unknownAttributes).toEqual([0x7abc]);
    expect(bench.agent.counters.malformed).toBe(2);
  });

  test("on a socket none of whose addresses was told", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.until(20);
    bench.request(B, { socket: 9 });
    expect(bench.log.at(-1)).toBe(`20 check → ${B}`);
    expect(bench.sent.at(-1)?.transmit.socket).toBe(9);
  });
});

describe("answers", () => {
  test("from another address, or without the password, are as good as none (§7.2.5.2.1)", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    expect([bench.answer(A, { from: B }), bench.answer(A, { pwd: "guessed" })]).toEqual([true, true]);
    expect([bench.states, bench.agent.counters.unauthenticated]).toEqual([[`${A} in-progress`], 2]);
    bench.answer(A);
    expect(bench.states).toEqual([`${A} succeeded`]);
  });

  test("on another socket than the check's, or our own check come back, are none", () => {
    const bench = IceBench.started({}, [candidate(A)]);
    const { payload } = bench.sent[0]?.transmit ?? { payload: new Uint8Array() };
    for (const socket of [0, 1]) bench.receive(A, payload, socket);
    expect(bench.states).toEqual([`${A} in-progress`]);
  });

  test("to nothing that was asked are nobody's", () => {
    const one = IceBench.started({}, [candidate(A)]);
    const other = IceBench.started({ seed: 2 }, [candidate(A)]);
    expect(one.answer(A)).toBe(true);
    expect(one.answer(A)).toBe(false);
    expect(other.sent[0]?.message.transactionId).not.toBe(one.sent[0]?.message.transactionId ?? "");
  });

  test("tell the round trip, where the check was sent once", () => {
    const bench = IceBench.started({}, [candidate(A, 2), candidate(B, 1)]);
    bench.until(45);
    bench.answer(A);
    bench.until(530);
    bench.answer(B);
    expect(bench.agent.pairs.map(({ rttMs }) => rttMs)).toEqual([45, undefined]);
  });
});

describe("trickled candidates (RFC 8838)", () => {
  test("are checked when they come", () => {
    const bench = new IceBench();
    bench.agent.setRemote(PEER);
    bench.start().until(1_000);
    bench.agent.addRemotes([candidate(A)], false);
    expect(bench.until(1_100).log).toEqual([`1000 check → ${A}`]);
    bench.agent.addRemotes([candidate(B, 1)], true);
    expect(bench.until(1_200).log).toEqual([`1100 check → ${B}`]);
  });
});

test("32 candidates of a peer and 32 addresses that it sprays, no more", () => {
  const all = Array.from({ length: 40 }, (_, index) => candidate(`203.0.113.${index + 1}:${PORT}`, index + 1));
  const bench = IceBench.started({}, all);
  for (let port = 1; port <= 1_000; port++) bench.request(`198.51.100.6:${port}`);
  bench.until(4_999);
  const { counters, pairs } = bench.agent;
  expect(pairs.length).toBe(64);
  // 64 addresses are answered, half of which become candidates.
  expect(counters).toEqual({ ...counters, answersSent: 64, answersWithheld: 936, refused: 8 + 32 });
});

test("7 checks to an address that never answers, though the peer's come from there; what was withheld is counted", () => {
  const bench = IceBench.started({ controlling: false }, [candidate(A)]);
  for (let at = 100; at < 4_900; at += 100) {
    bench.until(at);
    bench.request(A);
  }
  bench.until(4_999);
  const sent = bench.log;
  expect(sent.filter((line) => line.includes("check")).length).toBe(7);
  expect(sent.filter((line) => line.includes("success")).length).toBe(28);
  const { counters } = bench.agent;
  expect(counters.checksSent).toBe(7);
  expect(counters.checksWithheld).toBeGreaterThan(0);
  expect(counters.answersWithheld).toBe(48 - 28);
});

test("stopped: says, sends and answers nothing more", () => {
  const bench = IceBench.started({}, three);
  bench.agent.stop();
  expect([bench.request(A), bench.until(60_000).log.slice(1), bench.agent.nextTimeout()]).toEqual([false, [], NEVER]);
});
