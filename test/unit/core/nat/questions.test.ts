import { expect, test } from "bun:test";
import { type Asked, type Question, Questions } from "../../../../src/core/nat/questions.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../../src/core/stun/attributes.ts";
import { encodeStun, type StunClass, transactionIdOf } from "../../../../src/core/stun/message.ts";
import { Random } from "../../../random.ts";

const SERVER: Endpoint = { address: "203.0.113.1", port: 3_478 };
const OTHER: Endpoint = { address: "203.0.113.2", port: 3_479 };
const MAPPED: Endpoint = { address: "198.51.100.2", port: 4_000 };
const PLAIN: Question = { socket: 0, to: SERVER, sendsMs: [0, 100, 300], sendsIfLossyMs: [700], waitMs: 200 };
const CHANGED: Question = { ...PLAIN, from: OTHER, change: { changeIp: true, changePort: true } };

/** Questions, and the transactions that they have sent. */
class Bench {
  readonly questions: Questions;
  readonly sent: string[] = [];

  constructor() {
    const random = new Random(1);
    this.questions = new Questions((length) => random.bytes(length));
  }

  /** Lets time pass up to `now`, on time, and returns when something was sent. */
  run(from: number, now: number): number[] {
    const times: number[] = [];
    for (let at = from; at <= now; at = this.questions.nextTimeout(at)) {
      this.questions.handleTimeout(at);
      if (this.#poll() > 0) times.push(at);
    }
    return times;
  }

  answer(now: number, send: number, from: Endpoint, how: Partial<Answer> = {}): void {
    this.#poll();
    const { socket = 0, kind = "success", attributes = { xorMappedAddress: MAPPED } } = how;
    const message = { class: kind, method: 1, transactionId: this.sent[send] ?? "", attributes };
    this.questions.handleDatagram(now, { socket, from, payload: encodeStun(message) });
  }

  #poll(): number {
    let count = 0;
    for (let next = this.questions.pollTransmit(); next !== undefined; next = this.questions.pollTransmit()) {
      this.sent.push(transactionIdOf(next.payload) ?? "");
      count++;
    }
    return count;
  }
}

interface Answer {
  readonly socket: number;
  readonly kind: StunClass;
  readonly attributes: StunAttributes;
}

function asked(question: Question): { bench: Bench; one: Asked } {
  const bench = new Bench();
  return { bench, one: bench.questions.ask(0, question) };
}

test("it is asked at its times, each with a transaction of its own, and then is silent", () => {
  const { bench, one } = asked(PLAIN);
  expect(bench.run(0, 10_000)).toEqual([0, 100, 300]);
  expect(new Set(bench.sent).size).toBe(3);
  expect([299, 499, 500].map((now) => bench.questions.isSilent(now, one))).toEqual([false, false, true]);
});

test("the round trip is that of the send which was answered", () => {
  const { bench, one } = asked(PLAIN);
  bench.run(0, 100);
  bench.answer(130, 0, SERVER);
  expect([one.reply, one.rttMs, bench.questions.lossy]).toEqual([
    { kind: "mapped", mapped: MAPPED, otherAddress: undefined },
    130,
    false,
  ]);
  expect(bench.questions.nextTimeout(130)).toBe(Number.POSITIVE_INFINITY);
});

test("a lost request has everything asked more often, also what was silent already", () => {
  const { bench, one } = asked(PLAIN);
  bench.run(0, 2_000);
  expect(bench.questions.isSilent(2_000, one)).toBe(true);
  bench.questions.ask(2_000, PLAIN);
  bench.run(2_000, 2_100);
  bench.answer(2_120, 4, SERVER);
  expect([bench.questions.lossy, bench.questions.isSilent(2_120, one)]).toEqual([true, false]);
  expect(bench.run(2_120, 10_000)).toEqual([2_120]);
  expect([2_319, 2_320].map((now) => bench.questions.isSilent(now, one))).toEqual([false, true]);
});

test("a process that was stopped reads what came meanwhile before it takes anything for silence", () => {
  const { bench, one } = asked(PLAIN);
  bench.run(0, 300);
  bench.questions.handleTimeout(3_000);
  expect(bench.questions.isSilent(3_000, one)).toBe(false);
  expect(bench.questions.nextTimeout(3_000)).toBe(3_050);
  bench.answer(3_001, 2, SERVER);
  expect(one.reply?.kind).toBe("mapped");
});

test.each<[string, Question, Endpoint, Partial<Answer>, Asked["reply"]]>([
  ["another source", PLAIN, OTHER, {}, undefined],
  ["another socket", PLAIN, SERVER, { socket: 1 }, undefined],
  ["a request of the same transaction", PLAIN, SERVER, { kind: "request" }, undefined],
  ["the other endpoint, as was asked", CHANGED, OTHER, {}, { kind: "mapped", mapped: MAPPED, otherAddress: undefined }],
  ["the endpoint that was asked to answer from elsewhere", CHANGED, SERVER, {}, { kind: "elsewhere" }],
  [
    "an error",
    PLAIN,
    SERVER,
    { kind: "error", attributes: { errorCode: { code: 500, reason: "no" } } },
    { kind: "error", code: 500, message: "no" },
  ],
  [
    "no address",
    PLAIN,
    SERVER,
    { attributes: {} },
    { kind: "error", code: null, message: "the answer has no address in it" },
  ],
  [
    "an address in plain, as before RFC 5389",
    PLAIN,
    SERVER,
    { attributes: { mappedAddress: MAPPED, otherAddress: OTHER } },
    { kind: "mapped", mapped: MAPPED, otherAddress: OTHER },
  ],
  [
    "a second port of the same address",
    PLAIN,
    SERVER,
    { attributes: { xorMappedAddress: MAPPED, otherPort: 3_479 } },
    { kind: "mapped", mapped: MAPPED, otherAddress: { ...SERVER, port: 3_479 } },
  ],
  [
    "its own request, come back",
    { ...PLAIN, toOurselves: true },
    MAPPED,
    { kind: "request", socket: 2 },
    { kind: "arrived" },
  ],
])("an answer from or with %s", (_, question, from, how, expected) => {
  const { bench, one } = asked(question);
  bench.answer(20, 0, from, how);
  expect(one.reply).toEqual(expected);
});

test("nonsense from where an answer was expected is counted, from elsewhere it is not", () => {
  const { bench, one } = asked(PLAIN);
  for (const from of [SERVER, SERVER, OTHER])
    bench.questions.handleDatagram(1, { socket: 0, from, payload: Uint8Array.of(1, 2, 3) });
  expect([one.nonsense, one.reply]).toEqual([2, undefined]);
});
