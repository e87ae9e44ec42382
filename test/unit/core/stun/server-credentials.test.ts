import { describe, expect, test } from "bun:test";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../../src/core/stun/attributes.ts";
import { type IntegrityAlgorithm, shortTermKey, verifyIntegrity } from "../../../../src/core/stun/integrity.ts";
import { BINDING, decodeStun, encodeStun } from "../../../../src/core/stun/message.ts";
import { MAX_AMPLIFICATION, MAX_ANSWERS_PER_SECOND, StunServer } from "../../../../src/core/stun/server.ts";
import { hex } from "../../../bytes.ts";

const OWN = { address: "203.0.113.10", port: 3478 };
const CLIENT = { address: "198.51.100.2", port: 40_000 };
const ID = "0102030405060708090a0b0c";
const KEY = shortTermKey("open sesame");

interface Asked {
  readonly username?: string;
  readonly key?: Uint8Array;
  readonly algorithm?: IntegrityAlgorithm;
  readonly fingerprint?: boolean;
  readonly attributes?: StunAttributes;
}

/** A Binding request; without integrity where there is no key. */
function request({ username, key, algorithm = "sha256", fingerprint = false, attributes = {} }: Asked): Uint8Array {
  return encodeStun(
    {
      class: "request",
      method: BINDING,
      transactionId: ID,
      attributes: { ...attributes, ...(username === undefined ? {} : { username }) },
    },
    { fingerprint, ...(key === undefined ? {} : { integrity: { key, algorithm } }) },
  );
}

function server(): StunServer {
  const passwordOf = (name: string) => (name === "ali" ? "open sesame" : undefined);
  return new StunServer({ sockets: [OWN], users: { passwordOf, secret: hex("07".repeat(32)) } });
}

/** What one request comes to: the answer, whether it is `KEY`'s, and who was seen. */
function ask(payload: Uint8Array, { at = server(), from = CLIENT, now = 0 } = {}): unknown {
  at.handleDatagram(now, { socket: 0, from, payload });
  const transmit = at.pollTransmit();
  expect(at.pollTransmit()).toBeUndefined();
  if (transmit === undefined) return undefined;
  expect(transmit.to).toEqual(from);
  expect(transmit.payload.length).toBeLessThanOrEqual(MAX_AMPLIFICATION * payload.length);
  const decoded = decodeStun(transmit.payload);
  if (!decoded.ok) return decoded;
  const { errorCode, xorMappedAddress, unknownAttributes, nonce } = decoded.message.attributes;
  const events = [at.pollEvent(), at.pollEvent()].filter((event) => event !== undefined);
  return {
    says: decoded.message.class === "error" ? [errorCode?.code, ...(unknownAttributes ?? [])] : xorMappedAddress,
    integrity: decoded.integrity,
    isKeys: verifyIntegrity(transmit.payload, KEY),
    fingerprint: decoded.fingerprint,
    events,
    hasNonce: nonce !== undefined,
  };
}

/** The NONCE that an answer to ali's request from `from` has. */
function nonceAt(from: Endpoint): string {
  const at = server();
  at.handleDatagram(0, { socket: 0, from, payload: request({ username: "ali", key: KEY }) });
  const decoded = decodeStun(at.pollTransmit()?.payload ?? hex("00"));
  return (decoded.ok && decoded.message.attributes.nonce) || "none";
}

const seen = (from: Endpoint) => [{ type: "observed", username: "ali", from }];
const nobody = { integrity: [], isKeys: false, fingerprint: false, events: [], hasNonce: false };

describe("a request of a user with its password", () => {
  test.each<[IntegrityAlgorithm, boolean, Endpoint]>([
    ["sha256", false, CLIENT],
    ["sha256", true, CLIENT],
    ["sha1", false, CLIENT],
    ["sha1", true, { address: "2001:db8::2", port: 1 }],
  ])(
    "%s, fingerprint %p: is answered with the same integrity, and told of once it shows the answer's NONCE",
    (algorithm, fingerprint, from) => {
      const asked = { username: "ali", key: KEY, algorithm, fingerprint };
      const answer = { says: from, integrity: [algorithm], isKeys: true, fingerprint };
      expect(ask(request(asked), { from })).toEqual({ ...answer, events: [], hasNonce: true });
      const showing = request({ ...asked, attributes: { nonce: nonceAt(from) } });
      expect(ask(showing, { from })).toEqual({ ...answer, events: seen(from), hasNonce: false });
    },
  );

  test("who shows the NONCE of another place, as one who only poses as being there must, is not believed", () => {
    const elsewhere = { address: "192.0.2.9", port: 40_000 };
    const payload = request({ username: "ali", key: KEY, attributes: { nonce: nonceAt(elsewhere) } });
    expect(ask(payload)).toMatchObject({ says: CLIENT, events: [], hasNonce: true });
  });

  test("also when it asks for what is refused", () => {
    const payload = request({ username: "ali", key: KEY, attributes: { responsePort: 53, nonce: nonceAt(CLIENT) } });
    expect(ask(payload)).toEqual({
      says: [420, 0x0027],
      integrity: ["sha256"],
      isKeys: true,
      fingerprint: false,
      events: seen(CLIENT),
      hasNonce: false,
    });
  });
});

describe("401 is for a name of ours with another password, and tells of nobody", () => {
  const payload = request({ username: "ali", key: shortTermKey("guess") });
  const at = server();
  test.each([
    ["another password", payload],
    ["a value changed on the way", request({ username: "ali", key: KEY }).with(40, 0xff)],
    ["before what it cannot do", request({ username: "ali", key: hex("00"), attributes: { responsePort: 53 } })],
  ])("%s", (_what, bytes) => {
    expect(ask(bytes, { at })).toEqual({ ...nobody, says: [401] });
    expect(at.counters).toMatchObject({ answered: 0, unknownAttributes: 0 });
  });
});

describe("everybody else is answered as everybody", () => {
  test.each<[string, Asked]>([
    ["an unknown name", { username: "baba", key: KEY }],
    ["a name without integrity", { username: "ali" }],
    ["an integrity without a name", { key: KEY }],
  ])("%s", (_what, asked) => {
    expect(ask(request(asked))).toEqual({ ...nobody, says: CLIENT });
  });
});

test("who asks too often is not seen either, whoever it is", () => {
  const at = server();
  const answers = Array.from({ length: 100 }, () => ask(request({ username: "ali", key: KEY }), { at }));
  expect(answers.filter((answer) => answer !== undefined)).toHaveLength(MAX_ANSWERS_PER_SECOND);
  expect(at.counters).toMatchObject({ answered: MAX_ANSWERS_PER_SECOND, rateLimited: 100 - MAX_ANSWERS_PER_SECOND });
  expect([at.pollEvent(), at.pollEvent()]).toEqual([{ type: "limited", from: CLIENT }, undefined]);
});

test("a user is answered however often others ask from its address, and no oftener than they are", () => {
  const at = server();
  const flood = (payload: Uint8Array) => {
    let answers = 0;
    for (let i = 0; i < 2 * MAX_ANSWERS_PER_SECOND; i++) if (ask(payload, { at }) !== undefined) answers++;
    return answers;
  };
  const known = request({ username: "ali", key: KEY });
  const posing = request({ username: "ali", key: shortTermKey("guessed") });
  expect([request({}), posing, known, known].map(flood)).toEqual([
    MAX_ANSWERS_PER_SECOND,
    0,
    MAX_ANSWERS_PER_SECOND,
    0,
  ]);
});
