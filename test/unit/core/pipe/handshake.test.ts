import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import type { RandomBytes } from "../../../../src/core/machine.ts";
import {
  answerOffer,
  type HandshakeResult,
  type PeerIdentity,
  PipeInitiator,
  readOffer,
} from "../../../../src/core/pipe/handshake.ts";
import { TYPE_WHOLE } from "../../../../src/core/pipe/packet.ts";
import { Opener, Sealer } from "../../../../src/core/pipe/sealing.ts";
import { decodeOfferBody, type OfferBody, type SignedOffer } from "../../../../src/core/wire/offer.ts";
import { utf8 } from "../../../bytes.ts";
import { Random } from "../../../random.ts";

/** Certificates of this test: the name stands in the text, and who knows a name's secret can sign for it. */
function identity(cn: string): PeerIdentity {
  const mac = (name: string, text: Uint8Array) => new Uint8Array(createHmac("sha256", name).update(text).digest());
  return {
    cn,
    certificate: `certificate of ${cn}`,
    sign: (text) => mac(cn, text),
    verify(certificate, text, signature) {
      const name = /^certificate of (\S+)$/.exec(certificate)?.[1];
      if (name === undefined) return { ok: false, kind: "bad-certificate", detail: "no certificate" };
      if (Buffer.compare(mac(name, text), signature) !== 0)
        return { ok: false, kind: "bad-signature", detail: `the key of ${name} has not signed this` };
      return { ok: true, cn: name };
    },
  };
}

const home = identity("home");
const office = identity("office");
const mallory = identity("mallory");
const homeIce = { ufrag: "hoMe", pwd: "homepasswordhomepassword" };
const officeIce = { ufrag: "offi", pwd: "officepasswordofficepassw" };
const hardNat = { mode: "assist", role: "auto", socket_count: 64 } as const;

function seeded(seed: number): RandomBytes {
  const random = new Random(seed);
  return (length) => random.bytes(length);
}

function open(seed = 1) {
  const initiator = new PipeInitiator(
    home,
    "office",
    11,
    { service: "wireguard", ice: homeIce, hardNat },
    seeded(seed),
  );
  return { initiator, offer: initiator.offer };
}

function value<Value>(result: HandshakeResult<Value>): Value {
  if (!result.ok) throw new Error(`${result.kind}: ${result.detail}`);
  return result.value;
}

function respond(offer: SignedOffer, seed = 2, by = office) {
  const peer = value(readOffer(by, offer));
  return value(answerOffer(by, offer, peer, 22, { ice: officeIce }, seeded(seed)));
}

/** The same signed text with something else in it, signed again by `by`. */
function resigned(original: SignedOffer, change: Partial<OfferBody>, by: PeerIdentity, offerHash = new Uint8Array(0)) {
  const body = { ...(decodeOfferBody(original.body) as OfferBody), ...change };
  const text = JSON.stringify(body);
  const signed = Buffer.concat([utf8(`ut-p2p-v1\0${body.from}\0${body.to}\0${text}\0`), offerHash]);
  return { body: text, certificate: by.certificate, signature: Buffer.from(by.sign(signed)).toString("base64") };
}

describe("two peers that mean each other", () => {
  const { initiator, offer } = open();
  const { answer, agreement: theirs } = respond(offer);
  const ours = value(initiator.accept(answer));

  test("know each other's terms", () => {
    const { key, nonce, ...offered } = value(readOffer(office, offer));
    expect(offered).toEqual({
      version: 1,
      kind: "offer",
      from: "home",
      to: "office",
      session: 11,
      ice: homeIce,
      service: "wireguard",
      hard_nat: hardNat,
    });
    expect([key.length, nonce.length, theirs.peer.ice, ours.peer.ice]).toEqual([44, 44, homeIce, officeIce]);
  });

  test("have the same keys, one for each direction, found by the number that the receiver chose", () => {
    expect({ send: ours.send, receive: ours.receive, probeKey: ours.probeKey, chain: ours.chain }).toEqual({
      send: theirs.receive,
      receive: theirs.send,
      probeKey: theirs.probeKey,
      chain: theirs.chain,
    });
    expect(new Set([ours.send.key, ours.receive.key, ours.probeKey].map((key) => key.toHex())).size).toBe(3);
    expect(ours.probeKey.length).toBe(32);
    expect([ours.send.session, ours.receive.session]).toEqual([22, 11]);
    const opened = new Opener(theirs.receive).open(new Sealer(ours.send).seal(TYPE_WHOLE, 2, utf8("hello")));
    expect(opened).toEqual({ ok: true, type: TYPE_WHOLE, flow: 2, payload: utf8("hello") });
  });

  test("have other keys each time", () => {
    const again = open(3);
    const agreed = value(again.initiator.accept(respond(again.offer, 4).answer));
    expect(agreed.send.key).not.toEqual(ours.send.key);
    expect(agreed.probeKey).not.toEqual(ours.probeKey);
  });
});

describe("a server that lies opens nothing", () => {
  const { initiator, offer } = open();
  const { answer } = respond(offer);
  const kindOf = (result: HandshakeResult<unknown>): string => (result.ok ? "opened" : result.kind);

  const offers: [kind: string, reader: PeerIdentity, offer: SignedOffer][] = [
    ["bad-signature", office, { ...offer, body: offer.body.replace("wireguard", "ssh") }],
    ["bad-signature", office, { ...offer, certificate: mallory.certificate }],
    ["wrong-peer", office, resigned(offer, {}, mallory)],
    ["bad-certificate", office, { ...offer, certificate: "none" }],
    ["not-for-us", mallory, offer],
    ["wrong-kind", home, answer],
    ["malformed", office, { ...offer, body: "{}" }],
    ["malformed", office, { ...offer, body: "[" }],
    ["opened", office, offer],
  ];
  test.each(offers)("with an offer: %s", (kind, reader, bad) => expect(kindOf(readOffer(reader, bad))).toBe(kind));

  const hash = new Uint8Array(new Bun.CryptoHasher("sha256").update(offer.body).digest());
  const old = open(9);
  const forMallory = new PipeInitiator(home, "mallory", 11, { service: "wireguard", ice: homeIce }, seeded(1));
  const answers: [kind: string, answer: SignedOffer][] = [
    ["bad-signature", { ...answer, body: answer.body.replace('"session":22', '"session":23') }],
    // An answer to another offer of the same two.
    ["bad-signature", respond(old.offer, 10).answer],
    ["bad-signature", respond(forMallory.offer, 5, mallory).answer],
    ["wrong-peer", resigned(answer, { from: "mallory" }, mallory, hash)],
    ["wrong-peer", resigned(answer, {}, mallory, hash)],
    ["wrong-service", resigned(answer, { service: "ssh" }, office, hash)],
    ["bad-key", resigned(answer, { key: Buffer.alloc(32).toString("base64") }, office, hash)],
    ["wrong-kind", offer],
    ["opened", answer],
  ];
  test.each(answers)("with an answer: %s", (kind, bad) => expect(kindOf(initiator.accept(bad))).toBe(kind));
});

test("a hard_nat that makes no sense counts as off; unknown fields are ignored", () => {
  const { offer } = open();
  const body = { ...(decodeOfferBody(offer.body) as object), hard_nat: { mode: "everything", ttl: 3 }, more: 1 };
  expect(decodeOfferBody(JSON.stringify(body))?.hard_nat).toEqual({ mode: "off", role: "auto", ttl: 3 });
});
