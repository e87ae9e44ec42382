import { describe, expect, test } from "bun:test";
import type { Datagram } from "../../../../src/core/machine.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../../src/core/stun/attributes.ts";
import { BINDING, decodeStun, encodeStun, type StunMessage } from "../../../../src/core/stun/message.ts";
import { MAX_ANSWERS_PER_SECOND, StunServer, type StunServerCounters } from "../../../../src/core/stun/server.ts";
import { StunTransaction } from "../../../../src/core/stun/transaction.ts";
import { hex } from "../../../bytes.ts";

const A = "203.0.113.10";
const B = "203.0.113.11";
const at = (address: string, port: number): Endpoint => ({ address, port });
/** Sockets 0 to 3. */
const SQUARE = [at(A, 3478), at(A, 3479), at(B, 3478), at(B, 3479)];
const TWO_PORTS = SQUARE.slice(0, 2);
const UNKNOWN = [at("0.0.0.0", 3478), at("0.0.0.0", 3479)];
const CLIENT = at("198.51.100.2", 40_000);
const CLIENT6 = at("2001:db8::2", 40_000);
const ID = "0102030405060708090a0b0c";
const NONE: StunServerCounters = {
  answered: 0,
  rateLimited: 0,
  malformed: 0,
  unknownAttributes: 0,
  unauthorized: 0,
  ignored: 0,
};

interface Asked {
  readonly attributes?: StunAttributes;
  readonly fingerprint?: boolean;
  readonly message?: Partial<StunMessage>;
}

function request({ attributes = {}, fingerprint = false, message = {} }: Asked = {}): Uint8Array {
  return encodeStun({ class: "request", method: BINDING, transactionId: ID, attributes, ...message }, { fingerprint });
}

/** What a server sends for one datagram, decoded; `fingerprint` only where there is one. */
function ask(server: StunServer, datagram: Partial<Datagram> = {}, now = 0): unknown {
  server.handleDatagram(now, { socket: 0, from: CLIENT, payload: request(), ...datagram });
  const transmit = server.pollTransmit();
  expect(server.pollTransmit()).toBeUndefined();
  if (transmit === undefined) return undefined;
  const decoded = decodeStun(transmit.payload);
  if (!decoded.ok) return decoded;
  const { class: kind, method, transactionId, attributes } = decoded.message;
  expect({ method, transactionId, to: transmit.to }).toEqual({
    method: BINDING,
    transactionId: ID,
    to: datagram.from ?? CLIENT,
  });
  return { socket: transmit.socket, class: kind, attributes, ...(decoded.fingerprint ? { fingerprint: true } : {}) };
}

const success = (socket: number, attributes: StunAttributes) => ({ socket, class: "success", attributes });
const refusal = (socket: number, unknownAttributes: readonly number[]) => ({
  socket,
  class: "error",
  attributes: { errorCode: { code: 420, reason: "Unknown Attribute" }, unknownAttributes },
});

describe("a Binding request of 20 bytes", () => {
  test.each([
    [
      "two addresses and two ports: RFC 5780",
      SQUARE,
      { xorMappedAddress: CLIENT, otherAddress: at(B, 3479), responseOrigin: at(A, 3478) },
    ],
    [
      "two ports: the other port, not OTHER-ADDRESS",
      TWO_PORTS,
      { xorMappedAddress: CLIENT, otherPort: 3479, responseOrigin: at(A, 3478) },
    ],
    [
      "two ports of an unknown address",
      UNKNOWN,
      { xorMappedAddress: CLIENT, otherPort: 3479, mappedAddress: CLIENT, software: "ut" },
    ],
    [
      "two addresses with a port each: no square",
      [at(A, 3478), at(B, 3479)],
      { xorMappedAddress: CLIENT, responseOrigin: at(A, 3478), mappedAddress: CLIENT },
    ],
    ["one socket", [at(A, 3478)], { xorMappedAddress: CLIENT, responseOrigin: at(A, 3478), mappedAddress: CLIENT }],
    [
      "one socket of an unknown address",
      [at("0.0.0.0", 40)],
      { xorMappedAddress: CLIENT, mappedAddress: CLIENT, software: "ut" },
    ],
    [
      "one socket each of IPv4 and IPv6",
      [at(A, 3478), at("2001:db8::10", 3479)],
      { xorMappedAddress: CLIENT, responseOrigin: at(A, 3478), mappedAddress: CLIENT },
    ],
  ])("to %s", (_what, sockets, attributes) => {
    const server = new StunServer({ sockets });
    expect(ask(server)).toEqual(success(0, attributes));
    expect(server.counters).toEqual({ ...NONE, answered: 1 });
  });

  test("over IPv6 has room for the mapped address alone, a longer one for the rest", () => {
    const sockets = [at("2001:db8::a", 1), at("2001:db8::a", 2), at("2001:db8::b", 1), at("2001:db8::b", 2)];
    const server = new StunServer({ sockets });
    expect(ask(server, { from: CLIENT6 })).toEqual(success(0, { xorMappedAddress: CLIENT6 }));
    const longer = request({ fingerprint: true, attributes: { software: "a client" } });
    expect(ask(server, { from: CLIENT6, payload: longer })).toEqual({
      ...success(0, {
        xorMappedAddress: CLIENT6,
        otherAddress: sockets[3] as Endpoint,
        responseOrigin: sockets[0] as Endpoint,
      }),
      fingerprint: true,
    });
  });
});

describe("CHANGE-REQUEST", () => {
  const change = (changeIp: boolean, changePort: boolean) =>
    request({ attributes: { changeRequest: { changeIp, changePort } } });

  test.each([0, 1, 2, 3])("asked at socket %d of four, each of the others answers", (socket) => {
    const server = new StunServer({ sockets: SQUARE });
    const answer = (changeIp: boolean, changePort: boolean) =>
      ask(server, { socket, payload: change(changeIp, changePort) });
    const told = (from: number) =>
      success(from, {
        xorMappedAddress: CLIENT,
        otherAddress: SQUARE[socket ^ 3] as Endpoint,
        responseOrigin: SQUARE[from] as Endpoint,
        mappedAddress: CLIENT,
        software: "ut",
      });
    expect([answer(false, false), answer(false, true), answer(true, false), answer(true, true)]).toEqual([
      told(socket),
      told(socket ^ 1),
      told(socket ^ 2),
      told(socket ^ 3),
    ]);
  });

  test("with a second port alone changes the port, and refuses to change the address from where it was asked", () => {
    const server = new StunServer({ sockets: UNKNOWN });
    const told = { xorMappedAddress: CLIENT, otherPort: 3478, mappedAddress: CLIENT, software: "ut" };
    expect(ask(server, { socket: 1, payload: change(false, true) })).toEqual(success(0, told));
    expect(ask(server, { socket: 1, payload: change(true, false) })).toEqual(refusal(1, [0x0003]));
    expect(ask(server, { socket: 1, payload: change(true, true) })).toEqual(refusal(1, [0x0003]));
    expect(server.counters).toEqual({ ...NONE, answered: 1, unknownAttributes: 2 });
  });

  test("with one socket is refused, unless it wants no change", () => {
    const server = new StunServer({ sockets: [at(A, 3478)] });
    expect(ask(server, { payload: change(false, true) })).toEqual(refusal(0, [0x0003]));
    expect(ask(server, { payload: change(false, false) })).toMatchObject({ socket: 0, class: "success" });
  });
});

describe("420", () => {
  test.each([
    ["PADDING", request({ attributes: { padding: 500 } }), [0x0026]],
    ["RESPONSE-PORT", request({ attributes: { responsePort: 53 } }), [0x0027]],
    ["what belongs to ICE", request({ attributes: { priority: 1, useCandidate: true } }), [0x0024, 0x0025]],
    [
      "attributes nobody knows",
      hex(`0001 0010 2112a442 ${ID} 7001 0000 7002 0004 00000000 7001 0000`),
      [0x7001, 0x7002],
    ],
  ])("answers %s", (_what, payload, types) => {
    const server = new StunServer({ sockets: SQUARE });
    expect(ask(server, { payload })).toEqual(refusal(0, types));
    expect(server.counters).toEqual({ ...NONE, unknownAttributes: 1 });
  });

  test("carries a fingerprint where the request did", () => {
    const payload = request({ attributes: { responsePort: 53 }, fingerprint: true });
    expect(ask(new StunServer({ sockets: SQUARE }), { payload })).toEqual({
      ...refusal(0, [0x0027]),
      fingerprint: true,
    });
  });

  test("is not for attributes that may be ignored, nor for credentials", () => {
    const server = new StunServer({ sockets: SQUARE });
    const known = request({ attributes: { username: "who", realm: "x", nonce: "y", iceControlling: 1n } });
    expect(ask(server, { payload: known })).toMatchObject({ class: "success" });
    expect(ask(server, { payload: hex(`0001 0004 2112a442 ${ID} f123 0000`) })).toMatchObject({ class: "success" });
  });
});

describe("no answer goes", () => {
  const datagrams: [string, Partial<Datagram>, keyof StunServerCounters][] = [
    ["to an indication", { payload: request({ message: { class: "indication" } }) }, "ignored"],
    ["to a response", { payload: request({ message: { class: "success" } }) }, "ignored"],
    ["to an error response", { payload: request({ message: { class: "error" } }) }, "ignored"],
    ["to another method", { payload: request({ message: { method: 3 } }) }, "ignored"],
    ["to one of its own sockets", { from: at(B, 3478) }, "ignored"],
    ["to multicast", { from: at("224.0.0.1", 40_000) }, "ignored"],
    ["to everybody", { from: at("255.255.255.255", 40_000) }, "ignored"],
    ["to nobody", { from: at("0.0.0.0", 40_000) }, "ignored"],
    ["to port 0", { from: at("198.51.100.2", 0) }, "ignored"],
    ["to nothing", { payload: hex("") }, "malformed"],
    ["to what is cut short", { payload: request({ fingerprint: true }).subarray(0, 24) }, "malformed"],
    ["to a wrong fingerprint", { payload: hex(`0001 0008 2112a442 ${ID} 8028 0004 00000000`) }, "malformed"],
    ["to RFC 3489 without a cookie", { payload: hex(`0001 0000 00000000 ${ID}`) }, "malformed"],
  ];
  test.each(datagrams)("%s", (_what, datagram, counter) => {
    const server = new StunServer({ sockets: SQUARE });
    expect(ask(server, datagram)).toBeUndefined();
    expect(server.counters).toEqual({ ...NONE, [counter]: 1 });
  });
});

describe("more than twenty requests a second of one address", () => {
  test("go unanswered, refusals too, whatever port they come from; one event tells of it", () => {
    const server = new StunServer({ sockets: SQUARE });
    const refused = request({ attributes: { responsePort: 53 } });
    let answers = 0;
    for (let i = 0; i < 100; i++) {
      const from = at(CLIENT.address, 40_000 + i);
      if (ask(server, { from, payload: i % 2 === 0 ? refused : request() }, i) !== undefined) answers++;
    }
    expect(answers).toBe(MAX_ANSWERS_PER_SECOND);
    expect(server.counters).toEqual({ ...NONE, answered: 10, unknownAttributes: 10, rateLimited: 80 });
    expect([server.pollEvent(), server.pollEvent()]).toEqual([
      { type: "limited", from: at(CLIENT.address, 40_020) },
      undefined,
    ]);
    expect(ask(server, { from: at("198.51.100.3", 1) }, 100)).toMatchObject({ class: "success" });
    expect(ask(server, {}, 1_000)).toMatchObject({ class: "success" });
  });
});

test("a client sees at a server with one address that only the port can change", () => {
  const server = new StunServer({ sockets: UNKNOWN });
  const client = new StunTransaction({ now: 0, to: at(A, 3478), transactionId: ID });
  server.handleDatagram(0, { socket: 0, from: CLIENT, payload: client.pollTransmit()?.payload ?? hex("") });
  client.handleDatagram(7, { socket: 0, from: at(A, 3478), payload: server.pollTransmit()?.payload ?? hex("") });
  expect(client.outcome).toEqual({
    kind: "success",
    message: {
      class: "success",
      method: BINDING,
      transactionId: ID,
      attributes: {
        xorMappedAddress: CLIENT,
        otherPort: 3479,
        mappedAddress: CLIENT,
        software: "ut",
        otherAddress: at(A, 3479),
      },
    },
    from: at(A, 3478),
    rttMs: 7,
  });
});
