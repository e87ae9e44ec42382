import { describe, expect, test } from "bun:test";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import { shortTermKey } from "../../../../src/core/stun/integrity.ts";
import {
  BINDING,
  decodeStun,
  type EncodeOptions,
  encodeStun,
  type StunMessage,
} from "../../../../src/core/stun/message.ts";
import { StunTransaction, type StunTransactionOptions } from "../../../../src/core/stun/transaction.ts";
import { NEVER } from "../../../../src/core/time.ts";
import { hex } from "../../../bytes.ts";

const SERVER: Endpoint = { address: "203.0.113.10", port: 3478 };
const SECOND: Endpoint = { address: "203.0.113.11", port: 3479 };
const MAPPED: Endpoint = { address: "198.51.100.2", port: 40_000 };
const ID = "0102030405060708090a0b0c";

function start(options: Partial<StunTransactionOptions> = {}): StunTransaction {
  return new StunTransaction({ now: 0, to: SERVER, transactionId: ID, ...options });
}

/** An answer to the transaction, right in everything that is not said. */
function answer(message: Partial<StunMessage> = {}, options: EncodeOptions = {}): Uint8Array {
  const attributes = { xorMappedAddress: MAPPED };
  return encodeStun({ class: "success", method: BINDING, transactionId: ID, attributes, ...message }, options);
}

/** Runs a transaction that nobody answers; tells when it sent. */
function unanswered(transaction: StunTransaction): { sentAt: number[]; endedAt: number } {
  const sentAt: number[] = [];
  let now = 0;
  for (; transaction.outcome === undefined; now = transaction.nextTimeout()) {
    transaction.handleTimeout(now);
    if (transaction.pollTransmit() !== undefined) sentAt.push(now);
    if (transaction.outcome !== undefined) break;
  }
  return { sentAt, endedAt: now };
}

describe("requests", () => {
  test("leave at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms, and are given up at 39500 ms (RFC 8489 §6.2.1)", () => {
    const transaction = start();
    expect(unanswered(transaction)).toEqual({
      sentAt: [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500],
      endedAt: 39_500,
    });
    const discarded = { wrongSource: 0, badIntegrity: 0, malformed: 0 };
    expect(transaction.pollEvent()).toEqual({ kind: "timeout", sends: 7, discarded });
    expect(transaction.pollEvent()).toBeUndefined();
    expect(transaction.nextTimeout()).toBe(NEVER);
  });

  test("can be told to hurry", () => {
    const transaction = start({ timing: { rtoMs: 100, sends: 3, lastWait: 2 } });
    expect(unanswered(transaction)).toEqual({ sentAt: [0, 100, 300], endedAt: 500 });
    const steady = start({ timing: { rtoMs: 100, growth: 1, sends: 4, lastWait: 2 } });
    expect(unanswered(steady)).toEqual({ sentAt: [0, 100, 200, 300], endedAt: 500 });
  });

  test("are one Binding request, the same bytes each time", () => {
    const transaction = start({ socket: 2, ttl: 5, attributes: { software: "x" }, encode: { fingerprint: true } });
    const first = transaction.pollTransmit();
    expect(transaction.pollTransmit()).toBeUndefined();
    transaction.handleTimeout(499);
    expect(transaction.pollTransmit()).toBeUndefined();
    transaction.handleTimeout(500);
    expect(transaction.pollTransmit()).toBe(first);
    expect({ ...first, payload: decodeStun(first?.payload ?? hex("")) }).toEqual({
      socket: 2,
      to: SERVER,
      ttl: 5,
      payload: {
        ok: true,
        message: { class: "request", method: BINDING, transactionId: ID, attributes: { software: "x" } },
        unknownRequired: [],
        integrity: [],
        fingerprint: true,
      },
    });
  });

  test("after a machine slept, leave once and go on from there", () => {
    const transaction = start();
    transaction.pollTransmit();
    transaction.handleTimeout(60_000);
    expect(transaction.pollTransmit()).toBeDefined();
    expect(transaction.pollTransmit()).toBeUndefined();
    expect(transaction.nextTimeout()).toBe(61_000);
  });
});

describe("an answer", () => {
  test("to the only request tells the round trip, and ends it", () => {
    const transaction = start();
    expect(transaction.handleDatagram(37, { socket: 0, from: SERVER, payload: answer() })).toBe(true);
    expect(transaction.pollEvent()).toEqual({
      kind: "success",
      message: { class: "success", method: BINDING, transactionId: ID, attributes: { xorMappedAddress: MAPPED } },
      from: SERVER,
      rttMs: 37,
    });
    expect([transaction.pollEvent(), transaction.pollTransmit(), transaction.nextTimeout()]).toEqual([
      undefined,
      undefined,
      NEVER,
    ]);
  });

  test("to one of two requests tells no round trip (Karn)", () => {
    const transaction = start();
    transaction.handleTimeout(500);
    transaction.handleDatagram(510, { socket: 0, from: SERVER, payload: answer() });
    expect(transaction.outcome).toMatchObject({ kind: "success", rttMs: undefined });
  });

  test("that comes twice counts once", () => {
    const transaction = start();
    transaction.handleDatagram(10, { socket: 0, from: SERVER, payload: answer() });
    const outcome = transaction.pollEvent();
    const again = answer({ class: "error", attributes: { errorCode: { code: 500, reason: "" } } });
    expect(transaction.handleDatagram(11, { socket: 0, from: SERVER, payload: again })).toBe(true);
    expect(transaction.outcome).toBe(outcome);
    expect(transaction.pollEvent()).toBeUndefined();
  });

  test("with an error code is an error, also one that is unknown", () => {
    const transaction = start();
    const attributes = { errorCode: { code: 599, reason: "Odd" } };
    transaction.handleDatagram(5, { socket: 0, from: SERVER, payload: answer({ class: "error", attributes }) });
    expect(transaction.outcome).toEqual({
      kind: "error",
      code: 599,
      reason: "Odd",
      message: { class: "error", method: BINDING, transactionId: ID, attributes },
      from: SERVER,
      rttMs: 5,
    });
  });

  test("that is an error without a code is unusable", () => {
    const transaction = start();
    transaction.handleDatagram(5, { socket: 0, from: SERVER, payload: answer({ class: "error", attributes: {} }) });
    expect(transaction.outcome).toEqual({ kind: "unusable", unknownRequired: [], from: SERVER });
  });

  test("that demands what nobody here understands is unusable", () => {
    const transaction = start();
    const payload = hex(`0101 0008 2112a442 ${ID} 7777 0002 abcd 0000`);
    transaction.handleDatagram(5, { socket: 0, from: SERVER, payload });
    expect(transaction.outcome).toEqual({ kind: "unusable", unknownRequired: [0x7777], from: SERVER });
  });

  test.each([
    ["another transaction", { payload: answer({ transactionId: "ff02030405060708090a0b0c" }) }],
    ["another socket", { socket: 1 }],
    ["something that is not STUN", { payload: hex("d0 00") }],
  ])("for %s is none of ours", (_what, datagram) => {
    const transaction = start();
    expect(transaction.handleDatagram(5, { socket: 0, from: SERVER, payload: answer(), ...datagram })).toBe(false);
    expect(transaction.outcome).toBeUndefined();
  });

  const KEY = shortTermKey("secret");
  const SIGNED: Partial<StunTransactionOptions> = { encode: { integrity: { key: KEY, algorithm: "sha1" } } };
  const signed = (password: string) => answer({}, { integrity: { key: shortTermKey(password), algorithm: "sha1" } });
  test.each([
    ["from another port", {}, { from: { ...SERVER, port: 3479 } }, { wrongSource: 1 }],
    ["from another address", {}, { from: SECOND }, { wrongSource: 1 }],
    ["from the asked address when another one was meant", { from: SECOND }, { from: SERVER }, { wrongSource: 1 }],
    ["that is a request", {}, { payload: answer({ class: "request" }) }, { malformed: 1 }],
    ["of another method", {}, { payload: answer({ method: 3 }) }, { malformed: 1 }],
    ["cut short", {}, { payload: answer().subarray(0, 28) }, { malformed: 1 }],
    ["without the integrity asked for", SIGNED, {}, { badIntegrity: 1 }],
    ["with the integrity of another key", SIGNED, { payload: signed("guess") }, { badIntegrity: 1 }],
  ] as const)("%s is as if it had never come, and the timeout tells of it", (_what, options, datagram, discarded) => {
    const transaction = start(options);
    expect(transaction.handleDatagram(5, { socket: 0, from: SERVER, payload: answer(), ...datagram })).toBe(true);
    expect(transaction.outcome).toBeUndefined();
    unanswered(transaction);
    expect(transaction.outcome).toEqual({
      kind: "timeout",
      sends: 7,
      discarded: { wrongSource: 0, badIntegrity: 0, malformed: 0, ...discarded },
    });
  });

  test("with the integrity asked for counts", () => {
    const transaction = start(SIGNED);
    transaction.handleDatagram(5, { socket: 0, from: SERVER, payload: signed("secret") });
    expect(transaction.outcome).toMatchObject({ kind: "success", from: SERVER });
  });

  test.each([["anywhere" as const], [SECOND]])("may come from %o when it was asked for", (from) => {
    const transaction = start({ from, attributes: { changeRequest: { changeIp: true, changePort: true } } });
    transaction.handleDatagram(5, { socket: 0, from: SECOND, payload: answer() });
    expect(transaction.outcome).toMatchObject({ kind: "success", from: SECOND });
  });
});
