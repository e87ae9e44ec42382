import { expect, test } from "bun:test";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { canonicalIp, formatIp } from "../../src/core/net/ip.ts";
import type { StunAttributes } from "../../src/core/stun/attributes.ts";
import { type IntegrityAlgorithm, verifyIntegrity } from "../../src/core/stun/integrity.ts";
import {
  decodeStun,
  type EncodeOptions,
  encodeStun,
  looksLikeStun,
  type StunMessage,
} from "../../src/core/stun/message.ts";
import { MAX_AMPLIFICATION, MAX_ANSWERS_PER_SECOND, StunServer } from "../../src/core/stun/server.ts";
import { StunTransaction } from "../../src/core/stun/transaction.ts";
import { concat } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const RUNS = 3_000;

function endpoint(random: Random): Endpoint {
  // An IPv4-mapped address is read as the IPv4 one that it is.
  const address = canonicalIp(formatIp(random.bytes(random.oneIn(2) ? 4 : 16))) as string;
  return { address, port: random.below(65_536) };
}

function text(random: Random): string {
  const letters = ["a", "Z", "0", " ", "é", "マ", "\u{1f600}", "\u{feff}", "\0", ":"];
  return Array.from({ length: random.pick([0, 1, 2, 3, 20, 127]) }, () => random.pick(letters)).join("");
}

const types = (random: Random) => Array.from({ length: random.below(6) }, () => random.below(65_536));

/** One value of each attribute. */
const VALUES: { readonly [N in keyof StunAttributes]-?: (random: Random) => StunAttributes[N] } = {
  mappedAddress: endpoint,
  xorMappedAddress: endpoint,
  responseOrigin: endpoint,
  otherAddress: endpoint,
  otherPort: (random) => random.below(65_536),
  changeRequest: (random) => ({ changeIp: random.oneIn(2), changePort: random.oneIn(2) }),
  responsePort: (random) => random.below(65_536),
  padding: (random) => random.pick([0, 1, 4, 1_500]),
  username: text,
  userhash: (random) => random.bytes(32),
  realm: text,
  nonce: text,
  passwordAlgorithm: (random) => random.below(65_536),
  passwordAlgorithms: types,
  errorCode: (random) => ({ code: random.between(300, 699), reason: text(random) }),
  unknownAttributes: types,
  software: text,
  alternateServer: endpoint,
  priority: (random) => random.below(2 ** 32),
  useCandidate: () => true,
  iceControlled: (random) => new DataView(random.bytes(8).buffer).getBigUint64(0),
  iceControlling: (random) => new DataView(random.bytes(8).buffer).getBigUint64(0),
};
const NAMES = Object.keys(VALUES) as (keyof StunAttributes)[];

function someMessage(random: Random): StunMessage {
  const names = Array.from({ length: random.below(8) }, () => random.pick(NAMES));
  return {
    class: random.pick(["request", "indication", "success", "error"]),
    method: random.oneIn(2) ? 1 : random.below(4_096),
    transactionId: random.bytes(12).toHex(),
    attributes: Object.fromEntries(names.map((name) => [name, VALUES[name](random)])),
  };
}

function someOptions(random: Random, key: Uint8Array): EncodeOptions {
  const algorithm: IntegrityAlgorithm = random.pick(["sha1", "sha256"]);
  const fingerprint = random.oneIn(2);
  return random.oneIn(2) ? { fingerprint } : { fingerprint, integrity: { key, algorithm } };
}

/** Bytes that are STUN, nearly STUN, or nothing. */
function someBytes(random: Random): Uint8Array {
  const bytes = encodeStun(someMessage(random), someOptions(random, random.bytes(20)));
  switch (random.below(6)) {
    case 0:
      return random.bytes(random.below(80));
    case 1:
      return bytes.subarray(0, random.below(bytes.length + 1));
    case 2:
      return concat([bytes, random.bytes(random.between(1, 40))]);
    case 3: {
      // A header that fits, and attributes of any type.
      const body = random.bytes(4 * random.below(30));
      const header = bytes.slice(0, 20);
      new DataView(header.buffer).setUint16(2, body.length);
      return concat([header, body]);
    }
    case 4:
      for (let flips = random.between(1, 4); flips > 0; flips--)
        bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
      return bytes;
    default:
      return bytes;
  }
}

test(
  "a message is what its bytes say, in any order of attributes, with any integrity",
  () => {
    for (const seed of fuzzSeeds("stun messages", RUNS)) {
      const random = new Random(seed);
      const message = someMessage(random);
      const key = random.bytes(random.between(1, 40));
      const options = someOptions(random, key);
      const bytes = encodeStun(message, options);
      const { integrity, fingerprint } = options;
      const got = { bytes: bytes.length % 4, signed: verifyIntegrity(bytes, key), decoded: decodeStun(bytes) };
      const expected = {
        bytes: 0,
        signed: integrity !== undefined,
        decoded: {
          ok: true,
          message,
          unknownRequired: [],
          integrity: integrity === undefined ? [] : [integrity.algorithm],
          fingerprint,
        },
      };
      if (!Bun.deepEquals(got, expected)) expect({ seed, ...got }).toEqual({ seed, ...expected } as never);
      if (!looksLikeStun(bytes)) expect({ seed, looks: "like STUN" }).toEqual({ seed, looks: "unlike STUN" });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "any bytes are read or refused, and what was read means the same when it is written again",
  () => {
    for (const seed of fuzzSeeds("stun bytes", RUNS)) {
      const random = new Random(seed);
      const bytes = someBytes(random);
      const before = bytes.slice();
      const decoded = decodeStun(bytes);
      verifyIntegrity(bytes, random.bytes(16));
      expect(bytes).toEqual(before);
      if (!decoded.ok) continue;
      const again = decodeStun(encodeStun(decoded.message));
      if (!again.ok || !Bun.deepEquals(again.message, decoded.message))
        expect({ seed, again }).toEqual({ seed, again: decoded });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "a server sends at most one answer to each datagram, never three times larger, twenty a second to one address",
  () => {
    const at = (address: string, port: number): Endpoint => ({ address, port });
    const square = [at("192.0.2.1", 1), at("192.0.2.1", 2), at("192.0.2.2", 1), at("192.0.2.2", 2)];
    for (const seed of fuzzSeeds("stun server", 60)) {
      const random = new Random(seed);
      const server = new StunServer({ sockets: square.slice(0, random.between(1, 4)) });
      const sources = Array.from({ length: 4 }, () => endpoint(random));
      /** When each address was answered. */
      const answers = new Map<string, number[]>();
      const datagrams = 200;
      for (let i = 0, now = 0; i < datagrams; i++, now += random.below(20)) {
        const payload = random.oneIn(2)
          ? someBytes(random)
          : encodeStun({ ...someMessage(random), class: "request", method: 1 });
        const from = random.pick(sources);
        server.handleDatagram(now, { socket: random.below(4), from, payload });
        const answer = server.pollTransmit();
        if (answer === undefined) continue;
        const recent = (answers.get(from.address) ?? []).filter((time) => now - time < 1_000);
        answers.set(from.address, [...recent, now]);
        const got = {
          right: decodeStun(answer.payload).ok,
          to: answer.to,
          bounded: answer.payload.length <= MAX_AMPLIFICATION * payload.length,
          inTime: recent.length < MAX_ANSWERS_PER_SECOND,
          more: server.pollTransmit(),
        };
        const expected = { right: true, to: from, bounded: true, inTime: true, more: undefined };
        if (!Bun.deepEquals(got, expected)) expect({ seed, i, ...got }).toEqual({ seed, i, ...expected });
      }
      const counted = Object.values(server.counters).reduce((sum, count) => sum + count, 0);
      expect({ seed, counted }).toEqual({ seed, counted: datagrams });
    }
  },
  SLOW_MACHINE_MS,
);

test(
  "nothing that comes from elsewhere ends a transaction",
  () => {
    for (const seed of fuzzSeeds("stun transaction", RUNS)) {
      const random = new Random(seed);
      const to = endpoint(random);
      const transaction = new StunTransaction({ now: 0, to, transactionId: random.bytes(12).toHex() });
      const bytes = someBytes(random);
      // As if somebody had seen the request, but could not send from where it went.
      if (bytes.length >= 20) bytes.set(Uint8Array.fromHex(transaction.id), 8);
      transaction.handleDatagram(1, { socket: 0, from: endpoint(random), payload: bytes });
      expect({ seed, outcome: transaction.outcome }).toEqual({ seed, outcome: undefined });
    }
  },
  SLOW_MACHINE_MS,
);
