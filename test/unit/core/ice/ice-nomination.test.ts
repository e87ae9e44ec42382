import { describe, expect, test } from "bun:test";
import { candidate, IceBench } from "./ice-bench.ts";

const A = "203.0.113.1:6000";
const B = "203.0.113.2:6000";
const two = [candidate(A, 2), candidate(B, 1)];
const NOMINATES = { attributes: { useCandidate: true, iceControlling: 1n } } as const;

describe("the controlling side (RFC 8445 §8.1.1)", () => {
  test("checks the best pair once more as soon as nothing can beat it, and selects it when that is answered", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.until(30).answer(A);
    bench.until(40);
    bench.answer(A);
    expect(bench.until(60).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${B}`,
      `40 check → ${A} nominating`,
      `40 selected ${A}`,
    ]);
    expect(bench.events).toEqual([expect.objectContaining({ type: "selected", socket: 0, rttMs: 30 })]);
  });

  test("waits 100 ms for something better than the first that works", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.until(30).answer(B);
    expect(bench.until(130).log).toEqual([`0 check → ${A}`, `20 check → ${B}`, `130 check → ${B} nominating`]);
    const better = IceBench.started({ controlling: true }, two);
    better.until(30).answer(B);
    better.until(60).answer(A);
    expect(better.until(130).log.slice(2)).toEqual([`60 check → ${A} nominating`]);
  });

  test("says it again until it is answered, and checks nothing else meanwhile", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    bench.answer(A);
    expect(bench.until(2_000).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${A} nominating`,
      `520 check → ${A} nominating`,
      `1020 check → ${A} nominating`,
      `1520 check → ${A} nominating`,
    ]);
    bench.answer(A);
    expect(bench.log).toEqual([`2000 selected ${A}`]);
  });

  test("an answer to an earlier check of the pair is no confirmation", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    bench.until(100);
    bench.request(A);
    bench.answerTo(2);
    bench.until(150);
    expect(bench.log.slice(-1)).toEqual([`120 check → ${A} nominating`]);
    bench.answerTo(0);
    expect([bench.log, bench.events]).toEqual([[], []]);
    bench.answer(A);
    expect(bench.log).toEqual([`150 selected ${A}`]);
  });

  test("USE-CANDIDATE from the controlled side means nothing", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.until(30);
    bench.request(B, { attributes: { useCandidate: true, iceControlled: 1n } });
    bench.until(60);
    bench.answer(B);
    expect(bench.until(100).log.slice(2)).toEqual([`30 success → ${B}`, `40 check → ${B}`]);
  });

  test("a nomination that is refused is the end (§7.2.5.3.4)", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    bench.answer(A);
    bench.until(20).answer(A, { code: 400 });
    expect(bench.log.slice(-1)).toEqual(["20 no-pair"]);
  });

  test("one that nobody answers ends at twice the deadline: the peer may be sending already", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    bench.until(4_900).answer(A);
    const log = bench.until(20_000).log;
    const nominations = log.filter((line) => line.endsWith("nominating")).map((line) => Number.parseInt(line, 10));
    expect(nominations).toEqual(Array.from({ length: 11 }, (_, index) => 4_900 + 500 * index));
    expect(log.at(-1)).toBe("10000 timeout");
  });

  test("answers the peer's checks of any pair after it has selected one, and checks no more", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.answer(A);
    bench.until(20).answer(A);
    bench.request(B);
    bench.request("198.51.100.9:1");
    expect(bench.until(3_000).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${A} nominating`,
      `20 selected ${A}`,
      `20 success → ${B}`,
      "20 success → 198.51.100.9:1",
    ]);
  });
});

describe("the controlled side (§7.3.1.5)", () => {
  const controlled = () => IceBench.started({ controlling: false }, two);

  test("selects what was nominated, at once where its own check of it has succeeded", () => {
    const bench = controlled();
    bench.until(30).answer(A);
    bench.answer(B);
    bench.request(B, NOMINATES);
    expect(bench.log).toEqual([`0 check → ${A}`, `20 check → ${B}`, `30 success → ${B}`, `30 selected ${B}`]);
  });

  test("otherwise as soon as it does", () => {
    const bench = controlled();
    bench.until(30).request(B, NOMINATES);
    bench.until(60).answer(B);
    expect(bench.log.slice(2)).toEqual([`30 success → ${B}`, `40 check → ${B}`, `60 selected ${B}`]);
  });

  test("also by the answer of a check that was cancelled for it", () => {
    const bench = controlled();
    bench.until(30).request(B, NOMINATES);
    bench.answerTo(1);
    expect(bench.until(200).log.slice(2)).toEqual([`30 success → ${B}`, `30 selected ${B}`]);
  });

  test("never selects by itself", () => {
    const bench = controlled();
    bench.answer(A);
    expect(bench.until(20_000).log.slice(-1)).toEqual(["10000 timeout"]);
  });

  test("a nomination that comes again is answered again; one of another pair changes nothing", () => {
    const bench = controlled();
    bench.until(30).answer(A);
    bench.answer(B);
    for (const to of [A, A, B, A]) bench.request(to, NOMINATES);
    expect(bench.log.slice(2)).toEqual([
      `30 success → ${A}`,
      `30 selected ${A}`,
      `30 success → ${A}`,
      `30 success → ${B}`,
      `30 success → ${A}`,
    ]);
  });

  test("what was nominated and is refused is the end", () => {
    const bench = controlled();
    bench.until(30).request(A, NOMINATES);
    bench.until(40).answer(A, { code: 500 });
    bench.until(50);
    expect(bench.states).toContain(`${A} in-progress`);
    bench.answerTo(0, { code: 500 });
    expect(bench.log.slice(-1)).toEqual(["50 no-pair"]);
  });

  test("that end is the last word: what was just about to be checked is not", () => {
    const bench = IceBench.started({ controlling: false, deadlineMs: 60_000 }, [candidate(A)]);
    bench.request(A, NOMINATES);
    // Its first check, seven requests and the wait for an answer to the last one.
    bench.until(32_499);
    bench.agent.addRemotes([candidate(B)], false);
    bench.agent.handleTimeout(32_500);
    bench.now = 32_500;
    const log = bench.start().log;
    expect(log.filter((line) => line.includes(B))).toEqual([]);
    expect(log.at(-1)).toBe("32500 no-pair");
  });
});

describe("role conflicts (§7.3.1.1, §7.2.5.1)", () => {
  /** Seeded so that the tie-breaker is known. */
  const tie = (bench: IceBench) => {
    const { iceControlling, iceControlled } = bench.sent[0]?.message.attributes ?? {};
    return iceControlling ?? iceControlled ?? 0n;
  };

  test.each([
    [true, "iceControlling", -1n, "487", true],
    [true, "iceControlling", 0n, "487", true],
    [true, "iceControlling", 1n, "success", false],
    [false, "iceControlled", -1n, "success", true],
    [false, "iceControlled", 0n, "success", true],
    [false, "iceControlled", 1n, "487", false],
  ] as const)("controlling %p; the peer %s with ours %p: %s, controlling %p", (ours, claim, more, answered, after) => {
    const bench = IceBench.started({ controlling: ours }, [candidate(A)]);
    bench.request(A, { attributes: { [claim]: tie(bench) + more } });
    expect([bench.log[1], bench.agent.controlling]).toEqual([`0 ${answered} → ${A}`, after]);
  });

  test("487: checks again in the other role, with another tie-breaker", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    bench.until(10).answer(A, { code: 487 });
    bench.until(20);
    const [first, second] = bench.sent.map(({ message }) => message.attributes);
    expect([bench.agent.controlling, Object.keys(second ?? {}).sort()]).toEqual([
      false,
      ["iceControlled", "priority", "username"],
    ]);
    expect(second?.iceControlled).not.toBe(first?.iceControlling ?? 0n);
    bench.answer(A);
    bench.request(A, NOMINATES);
    expect(bench.log.slice(-1)).toEqual([`20 selected ${A}`]);
  });

  test("487 to a nomination: it is forgotten, and the peer chooses", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.answer(A);
    bench.until(20).answer(A, { code: 487 });
    bench.until(60);
    bench.answer(A);
    expect(bench.until(100).log).toEqual([
      `0 check → ${A}`,
      `20 check → ${A} nominating`,
      `40 check → ${A}`,
      `60 check → ${B}`,
    ]);
    bench.request(A, NOMINATES);
    expect(bench.log.slice(-1)).toEqual([`100 selected ${A}`]);
  });

  test("a peer that only ever answers 487 gets its seven checks", () => {
    const bench = IceBench.started({ controlling: true }, [candidate(A)]);
    for (let at = 0; at < 1_000; at += 20) {
      bench.until(at);
      bench.answer(A, { code: 487 });
    }
    expect(bench.until(1_000).log.filter((line) => line.includes("check")).length).toBe(7);
  });

  test("who becomes the controlling side with a pair that works nominates it", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.answer(A);
    bench.until(100);
    bench.request(A, { attributes: { iceControlled: 0n } });
    expect(bench.until(120).log).toEqual([`0 check → ${A}`, `100 success → ${A}`, `100 check → ${A} nominating`]);
  });

  test("who stops being it forgets what it was about to nominate", () => {
    const bench = IceBench.started({ controlling: true }, two);
    bench.until(30).answer(B);
    bench.request(A, { attributes: { iceControlling: 2n ** 64n - 1n } });
    expect(bench.until(400).log.filter((line) => line.includes("nominating"))).toEqual([]);
  });
});

describe("consent (RFC 7675)", () => {
  test("a pair that nobody answers any more: asked every 4 to 6 s, lost after 30 s", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.answer(A);
    bench.request(A, NOMINATES);
    const log = bench.until(100_000).log;
    expect(log.slice(0, 3)).toEqual([`0 check → ${A}`, `0 success → ${A}`, `0 selected ${A}`]);
    expect(log.at(-1)).toBe("30000 consent-lost");
    expect(log.slice(3, -1).every((line) => line.endsWith(` check → ${A}`))).toBe(true);
    expect(log.length - 4).toBeWithin(5, 8);
    expect([bench.request(A), bench.log]).toEqual([false, []]);
  });

  test("answered, it goes on for hours; 403 ends it at once", () => {
    const bench = IceBench.started({ controlling: false }, [candidate(A)]);
    bench.answer(A);
    bench.request(A, NOMINATES);
    for (let sent = bench.sent.length; bench.now < 7_200_000; sent = bench.sent.length) {
      bench.until(bench.agent.nextTimeout());
      if (bench.sent.length > sent) bench.answer(A);
    }
    expect(bench.events.length).toBe(1);
    bench.until(bench.agent.nextTimeout()).answer(A, { code: 403 });
    expect(bench.log.slice(-1)).toEqual([expect.stringMatching(/ consent-lost$/)]);
  });
});
