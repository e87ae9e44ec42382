import { describe, expect, test } from "bun:test";
import { Consent } from "../../../../src/core/ice/consent.ts";
import type { Transmit } from "../../../../src/core/machine.ts";
import { shortTermKey } from "../../../../src/core/stun/integrity.ts";
import { BINDING, decodeStun, encodeStun } from "../../../../src/core/stun/message.ts";
import { StunTransaction } from "../../../../src/core/stun/transaction.ts";
import { Random } from "../../../random.ts";

const PEER = { address: "198.51.100.6", port: 40_000 };
const integrity = { key: shortTermKey("password of the peer"), algorithm: "sha1" } as const;

function start(seed = 1): Consent {
  const random = new Random(seed);
  const bytes = (length: number) => random.bytes(length);
  return new Consent(0, bytes, (now) => {
    return new StunTransaction({ now, to: PEER, transactionId: bytes(12).toHex(), encode: { integrity } });
  });
}

/** Runs until `end`, and says when it asked. */
function run(consent: Consent, end: number, onRequest: (now: number, request: Transmit) => void = () => {}): number[] {
  const asked: number[] = [];
  for (let now = consent.nextTimeout(); now <= end && !consent.isLost(now); now = consent.nextTimeout()) {
    consent.handleTimeout(now);
    for (let next = consent.pollTransmit(); next !== undefined; next = consent.pollTransmit()) {
      asked.push(now);
      onRequest(now, next);
    }
  }
  return asked;
}

function answer(request: Transmit, { from = PEER, key = integrity.key, code = 0 } = {}) {
  const decoded = decodeStun(request.payload);
  if (!decoded.ok) throw new Error("not a request");
  const { transactionId } = decoded.message;
  const attributes = code === 0 ? { xorMappedAddress: PEER } : { errorCode: { code, reason: "" } };
  const message = { class: code === 0 ? "success" : "error", method: BINDING, transactionId, attributes } as const;
  return { socket: 0, from, payload: encodeStun(message, { integrity: { key, algorithm: "sha1" } }) };
}

describe("consent (RFC 7675)", () => {
  test("asks every 4 to 6 s, each time anew and once, and is lost after 30 s without an answer", () => {
    const seen = new Set<string>();
    const consent = start();
    const asked = run(consent, 60_000, (_, request) => seen.add(request.payload.toHex()));
    const waits = asked.map((at, index) => at - (asked[index - 1] ?? 0));
    expect(waits.filter((wait) => wait < 4_000 || wait > 6_000)).toEqual([]);
    expect(new Set(waits).size).toBe(waits.length);
    expect(seen.size).toBe(asked.length);
    expect([consent.isLost(29_999), consent.isLost(30_000), consent.nextTimeout()]).toEqual([false, true, 30_000]);
    consent.handleTimeout(31_000);
    expect(consent.pollTransmit()).toBeUndefined();
  });

  test("lasts 30 s from each answer", () => {
    const consent = start();
    let last = 0;
    run(consent, 600_000, (now, request) => {
      if (now > 300_000) return;
      last = now + 100;
      expect(consent.handleDatagram(last, answer(request))).toBe(true);
    });
    expect(last).toBeGreaterThan(290_000);
    expect([consent.isLost(last + 29_999), consent.isLost(last + 30_000)]).toEqual([false, true]);
  });

  test("ends at once when an authentic peer says 403", () => {
    const consent = start();
    run(consent, 7_000, (now, request) => consent.handleDatagram(now, answer(request, { code: 403 })));
    expect(consent.isLost(6_000)).toBe(true);
  });

  test.each([
    ["another address", { from: { ...PEER, port: 1 } }],
    ["another key", { key: shortTermKey("guessed") }],
    ["another key, forbidding", { key: shortTermKey("guessed"), code: 403 }],
    ["another error", { code: 500 }],
    ["another role", { code: 487 }],
  ])("an answer with %s is as good as none", (_, how) => {
    const consent = start();
    run(consent, 60_000, (now, request) => consent.handleDatagram(now, answer(request, how)));
    expect([consent.isLost(29_999), consent.isLost(30_000)]).toEqual([false, true]);
  });

  test("what was lost is lost: no answer brings it back", () => {
    const consent = start();
    const requests: Transmit[] = [];
    run(consent, 60_000, (_, request) => requests.push(request));
    for (const request of requests) consent.handleDatagram(30_001, answer(request));
    expect(consent.isLost(30_002)).toBe(true);
  });

  test("an answer counts once, and not when its request is older than 30 s", () => {
    const consent = start();
    const requests: { at: number; request: Transmit }[] = [];
    run(consent, 100_000, (at, request) => {
      requests.push({ at, request });
      // Every second is answered, so that consent lives on.
      if (requests.length % 2 === 0) consent.handleDatagram(at, answer(request));
    });
    const end = requests.at(-1)?.at ?? 0;
    const claimed = requests.map(({ request }) => consent.handleDatagram(end, answer(request)));
    const open = requests.map(({ at }, index) => index % 2 === 0 && at > end - 30_000);
    expect(claimed).toEqual(open);
  });
});
