import { sha256 } from "../crypto.ts";
import {
  AES_KEY_BYTES,
  hkdfSha256,
  X25519_KEY_BYTES,
  type X25519KeyPair,
  x25519,
  x25519KeyPair,
} from "../crypto-sealing.ts";
import type { RandomBytes } from "../machine.ts";
import {
  decodeOfferBody,
  encodeOfferBody,
  type HardNatWishes,
  type OfferBody,
  type SignedOffer,
} from "../wire/offer.ts";
import type { SealKey } from "./sealing.ts";

/** What signs for this node and judges the certificates of others: `io/peer-identity.ts`, or a test's. */
export interface PeerIdentity {
  readonly cn: string;
  /** PEM, sent along with what is signed. */
  readonly certificate: string;
  sign(text: Uint8Array): Uint8Array;
  /** Chain to the CA, validity, one proper CN, and that its key made `signature` over `text`. */
  verify(certificate: string, text: Uint8Array, signature: Uint8Array): Verified;
}

export type Verified =
  | { readonly ok: true; readonly cn: string }
  | { readonly ok: false; readonly kind: "bad-certificate" | "bad-signature"; readonly detail: string };

/** What a side says of itself when it opens a pipe or lets one be opened. */
export interface PipeTerms {
  readonly service: string;
  readonly ice: { readonly ufrag: string; readonly pwd: string };
  readonly hardNat?: HardNatWishes;
}

/** Why an offer or answer is refused. None of these is worth a retry: nothing in it will change. */
export type HandshakeFailure =
  | "malformed"
  | "wrong-kind"
  /** The certificate's CN is not the one that the body names, or not the one that was asked for. */
  | "wrong-peer"
  | "not-for-us"
  | "wrong-service"
  | "bad-certificate"
  | "bad-signature"
  | "bad-key";

export type HandshakeResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly kind: HandshakeFailure; readonly detail: string };

/** Both ends know each other and have keys: one for each direction. */
export interface PipeAgreement {
  readonly peer: OfferBody;
  readonly send: SealKey;
  readonly receive: SealKey;
  /** What later keys of this pipe are derived with, so that they cannot be another pipe's. */
  readonly chain: Uint8Array;
  /** Keys what is sent before there is a path: the probes of hard-NAT punching. 32 bytes. */
  readonly probeKey: Uint8Array;
}

const PROTOCOL = "ut-p2p-v1";
const NONCE_BYTES = 32;
const PROBE_KEY_BYTES = 32;

/** The side that asks for a pipe. It sends `offer` and hands the answer to `accept`, once. */
export class PipeInitiator {
  readonly offer: SignedOffer;
  readonly #identity: PeerIdentity;
  readonly #body: OfferBody;
  readonly #keys: X25519KeyPair;

  constructor(identity: PeerIdentity, to: string, session: number, terms: PipeTerms, random: RandomBytes) {
    this.#identity = identity;
    this.#keys = x25519KeyPair(random(X25519_KEY_BYTES));
    this.#body = bodyOf("offer", identity.cn, to, session, terms, this.#keys, random);
    this.offer = signed(identity, this.#body, NOTHING);
  }

  /** Opens only for exactly the CN that was asked for, over exactly the offer that was made. */
  accept(answer: SignedOffer): HandshakeResult<PipeAgreement> {
    const checked = check(this.#identity, answer, "answer", sha256(utf8(this.offer.body)));
    if (!checked.ok) return checked;
    const peer = checked.value;
    if (peer.from !== this.#body.to) return refuse("wrong-peer", `asked for ${this.#body.to}, ${peer.from} answered`);
    if (peer.service !== this.#body.service)
      return refuse("wrong-service", `asked for service "${this.#body.service}", got "${peer.service}"`);
    return agree(this.#keys, this.#body, peer, this.offer, answer, "initiator");
  }
}

/** An offer that came, verified: who asks, for which service, and how. Whether it may is the caller's to decide. */
export function readOffer(identity: PeerIdentity, offer: SignedOffer): HandshakeResult<OfferBody> {
  return check(identity, offer, "offer", NOTHING);
}

/** The answer to an offer that `readOffer` took. */
export function answerOffer(
  identity: PeerIdentity,
  offer: SignedOffer,
  peer: OfferBody,
  session: number,
  terms: Omit<PipeTerms, "service">,
  random: RandomBytes,
): HandshakeResult<{ answer: SignedOffer; agreement: PipeAgreement }> {
  const keys = x25519KeyPair(random(X25519_KEY_BYTES));
  const own = bodyOf("answer", identity.cn, peer.from, session, { ...terms, service: peer.service }, keys, random);
  const answer = signed(identity, own, sha256(utf8(offer.body)));
  const agreed = agree(keys, own, peer, offer, answer, "responder");
  return agreed.ok ? { ok: true, value: { answer, agreement: agreed.value } } : agreed;
}

function bodyOf(
  kind: OfferBody["kind"],
  from: string,
  to: string,
  session: number,
  { service, ice, hardNat }: PipeTerms,
  keys: X25519KeyPair,
  random: RandomBytes,
): OfferBody {
  const key = base64(keys.publicKey);
  const body: OfferBody = {
    version: 1,
    kind,
    from,
    to,
    key,
    nonce: base64(random(NONCE_BYTES)),
    session,
    ice,
    service,
  };
  return hardNat === undefined ? body : { ...body, hard_nat: hardNat };
}

function signed(identity: PeerIdentity, body: OfferBody, offerHash: Uint8Array): SignedOffer {
  const text = encodeOfferBody(body);
  const signature = base64(identity.sign(signedText(body.from, body.to, text, offerHash)));
  return { body: text, certificate: identity.certificate, signature };
}

function check(
  identity: PeerIdentity,
  { body, certificate, signature }: SignedOffer,
  kind: OfferBody["kind"],
  offerHash: Uint8Array,
): HandshakeResult<OfferBody> {
  const peer = decodeOfferBody(body);
  if (peer === undefined) return refuse("malformed", "it is no offer of this version");
  if (peer.kind !== kind) return refuse("wrong-kind", `an ${peer.kind} came where an ${kind} was due`);
  if (peer.to !== identity.cn) return refuse("not-for-us", `it is for ${peer.to}, this is ${identity.cn}`);
  const text = signedText(peer.from, peer.to, body, offerHash);
  const verified = identity.verify(certificate, text, Uint8Array.from(Buffer.from(signature, "base64")));
  if (!verified.ok) return refuse(verified.kind, verified.detail);
  if (verified.cn !== peer.from) return refuse("wrong-peer", `${verified.cn} signed for ${peer.from}`);
  return { ok: true, value: peer };
}

function agree(
  keys: X25519KeyPair,
  own: OfferBody,
  peer: OfferBody,
  offer: SignedOffer,
  answer: SignedOffer,
  role: "initiator" | "responder",
): HandshakeResult<PipeAgreement> {
  const secret = x25519(keys, Uint8Array.from(Buffer.from(peer.key, "base64")));
  if (secret === undefined) return refuse("bad-key", `the key of ${peer.from} yields no secret`);
  const chain = sha256(utf8(offer.body + answer.body));
  const { initiator, responder } = directionKeys(secret, chain);
  const [send, receive] = role === "initiator" ? [initiator, responder] : [responder, initiator];
  return {
    ok: true,
    value: {
      peer,
      send: { key: send, session: peer.session },
      receive: { key: receive, session: own.session },
      chain,
      probeKey: hkdfSha256(secret, chain, `${PROTOCOL} probe`, PROBE_KEY_BYTES),
    },
  };
}

/** The two keys of an exchange, named after the side that seals with them. */
export function directionKeys(secret: Uint8Array, salt: Uint8Array): { initiator: Uint8Array; responder: Uint8Array } {
  return {
    initiator: hkdfSha256(secret, salt, `${PROTOCOL} initiator`, AES_KEY_BYTES),
    responder: hkdfSha256(secret, salt, `${PROTOCOL} responder`, AES_KEY_BYTES),
  };
}

/** No CN has a zero byte, and neither has JSON, so the text has one reading. */
function signedText(from: string, to: string, body: string, offerHash: Uint8Array): Uint8Array {
  const text = utf8(`${PROTOCOL}\0${from}\0${to}\0${body}\0`);
  const bytes = new Uint8Array(text.length + offerHash.length);
  bytes.set(text);
  bytes.set(offerHash, text.length);
  return bytes;
}

function refuse(kind: HandshakeFailure, detail: string): { ok: false; kind: HandshakeFailure; detail: string } {
  return { ok: false, kind, detail };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

const NOTHING = new Uint8Array(0);
const encoder = new TextEncoder();
