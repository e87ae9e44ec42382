import { hmacSha256 } from "../crypto.ts";
import type { Datagram, Machine, Transmit } from "../machine.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipFamily, ipScope } from "../net/ip.ts";
import { SourceLimiter } from "../net/source-limiter.ts";
import { type Instant, NEVER } from "../time.ts";
import { attributesBytes, attributeType, type StunAttributes } from "./attributes.ts";
import { FINGERPRINT_BYTES } from "./fingerprint.ts";
import {
  INTEGRITY_BYTES,
  type Integrity,
  type IntegrityAlgorithm,
  shortTermKey,
  verifyIntegrity,
} from "./integrity.ts";
import { BINDING, decodeStun, type EncodeOptions, encodeStun, type StunClass, type StunMessage } from "./message.ts";
import type { KnownUsers, StunServerCounters, StunServerEvent, StunServerOptions } from "./server-options.ts";
import { HEADER_BYTES } from "./tlv.ts";

export type { StunServerCounters, StunServerEvent };

/** An answer is never larger than so many times its request, so that a forged one gains nothing. */
export const MAX_AMPLIFICATION = 3;
/** Answers to one source address (IPv6: one /64) in any second, and as many to a user of ours, wherever it is. */
export const MAX_ANSWERS_PER_SECOND = 20;
const LIMITS = { count: MAX_ANSWERS_PER_SECOND, windowMs: 1_000, maxSources: 4_096 };
/** 64 bits: nobody guesses one within the rate limit. */
const NONCE_BYTES = 8;

/**
 * A STUN server over UDP that answers anybody (RFC 8489 §12), and of NAT behaviour discovery (RFC 5780) as far as its
 * sockets go:
 *
 * - two addresses with the same two ports, four sockets: all of it, OTHER-ADDRESS and CHANGE-REQUEST;
 * - one address with two ports: responses from the other port. RFC 5780 §7.4 forbids OTHER-ADDRESS without a second
 *   address, with reason: a client that trusts it compares a mapping with itself and takes every symmetric NAT for a
 *   cone. So the port is told in an attribute of our own (`otherPort`) that others ignore, and a request to change the
 *   address is refused with 420, as one without a second port is altogether;
 * - one socket: where the request came from, nothing else; that is how a peer answers on its own socket.
 *
 * Anybody may ask, also in another's name. Hence `MAX_AMPLIFICATION`: attributes that an answer has no room for are left
 * out, the least needed first, and a client that wants all of them sends a longer request; `MAX_ANSWERS_PER_SECOND`; no
 * RESPONSE-PORT and no PADDING (both optional for servers, refused with 420); and an answer is never sent to anything
 * but a request, so that two servers never start a conversation.
 *
 * Nobody needs credentials, but whoever holds some of ours (`users`, short-term of RFC 8489 §9.1) is recognised: its
 * answer carries the same integrity, and a NONCE that belongs to where it was sent. A request that has this NONCE was made
 * by one whom answers reach there, so nobody can have us believe that a stranger's address is his; an event tells of it. With a wrong integrity under a name of ours
 * the answer is 401 (§9.1.3). Where the RFC has 401 for unknown names and 400 for half a credential, this server keeps to
 * §12 and answers as it answers everybody: for such requests it is a basic server, whose clients may send what they are
 * configured with, and names that run out with their connection must not turn into errors; since the answer then has no
 * integrity, one who asked for it discards it as it would the error (§9.1.4), and nobody can try out which names exist.
 */
export class StunServer implements Machine<StunServerEvent> {
  readonly #sockets: readonly Endpoint[];
  readonly #strangers = new SourceLimiter(LIMITS);
  /** Apart from these: behind one address many ask, and peers go direct only with their answers. */
  readonly #known = new SourceLimiter(LIMITS);
  readonly #users: KnownUsers | undefined;
  readonly #counters = {
    answered: 0,
    rateLimited: 0,
    malformed: 0,
    unknownAttributes: 0,
    unauthorized: 0,
    ignored: 0,
  };
  readonly #transmits: Transmit[] = [];
  /** No more than there are answers that wait. */
  readonly #observed: StunServerEvent[] = [];
  #limited: StunServerEvent | undefined;

  constructor({ sockets, users }: StunServerOptions) {
    this.#sockets = sockets;
    this.#users = users;
  }

  get counters(): StunServerCounters {
    return this.#counters;
  }

  handleDatagram(now: Instant, { socket, from, payload }: Datagram): void {
    if (!this.#canAnswer(from)) {
      this.#counters.ignored++;
      return;
    }
    const decoded = decodeStun(payload);
    if (!decoded.ok) {
      this.#counters.malformed++;
      return;
    }
    const { message, fingerprint } = decoded;
    if (message.class !== "request" || message.method !== BINDING) {
      this.#counters.ignored++;
      return;
    }
    const integrity = this.#credentialOf(message, decoded.integrity, payload);
    const sealed = integrity === undefined || integrity === "wrong" ? {} : { integrity };
    if (!this.#mayAsk(now, from, "integrity" in sealed ? message.attributes.username : undefined)) {
      this.#limit(from);
      return;
    }
    const request: Asked = { socket, from, message, encode: { fingerprint, ...sealed }, bytes: payload.length };
    // RFC 8489 §6.3: who asks comes before what is asked.
    if (integrity === "wrong") this.#unauthorized(request);
    else this.#respond(request, decoded.unknownRequired);
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  pollEvent(): StunServerEvent | undefined {
    const observed = this.#observed.shift();
    if (observed !== undefined) return observed;
    const event = this.#limited;
    this.#limited = undefined;
    return event;
  }

  nextTimeout(): Instant {
    return NEVER;
  }

  /** False for addresses that are nobody's, and for our own. */
  #canAnswer(from: Endpoint): boolean {
    const scope = ipScope(from.address);
    if (from.port === 0 || scope === "multicast" || scope === "unspecified") return false;
    return !this.#sockets.some((own) => sameEndpoint(own, from));
  }

  /** @param user who has shown to be it */
  #mayAsk(now: Instant, from: Endpoint, user: string | undefined): boolean {
    return user === undefined ? this.#strangers.allow(now, from.address) : this.#known.allow(now, user);
  }

  #limit(from: Endpoint): void {
    this.#counters.rateLimited++;
    this.#limited ??= { type: "limited", from };
  }

  /** What the answer to a user of ours is protected with; undefined for everybody else. */
  #credentialOf(
    { attributes: { username } }: StunMessage,
    algorithms: readonly IntegrityAlgorithm[],
    payload: Uint8Array,
  ): Integrity | "wrong" | undefined {
    // RFC 8489 §9.1.3: where both are there, the stronger one is checked, and answered with.
    const algorithm = algorithms.at(-1);
    const password = username === undefined || algorithm === undefined ? undefined : this.#users?.passwordOf(username);
    if (password === undefined || algorithm === undefined) return undefined;
    const key = shortTermKey(password);
    return verifyIntegrity(payload, key) ? { key, algorithm } : "wrong";
  }

  #respond(request: Asked, unknownRequired: readonly number[]): void {
    const { username, nonce } = request.message.attributes;
    if (username !== undefined && nonce !== undefined && nonce === this.#nonceFor(request))
      this.#observed.push({ type: "observed", username, from: request.from });
    const refused = [...unknownRequired, ...this.#refused(request)];
    if (refused.length > 0) this.#refuse(request, refused);
    else this.#answer(request);
  }

  /** What only somebody who gets our answers at this address can know; undefined for everybody but a user. */
  #nonceFor({ from, message, encode }: Asked): string | undefined {
    const { username } = message.attributes;
    if (this.#users === undefined || encode.integrity === undefined || username === undefined) return undefined;
    const place = new TextEncoder().encode(`${formatEndpoint(from)} ${username}`);
    return hmacSha256(this.#users.secret, place).subarray(0, NONCE_BYTES).toHex();
  }

  #unauthorized(request: Asked): void {
    this.#counters.unauthorized++;
    this.#send(request.socket, request, "error", { errorCode: { code: 401, reason: "Unauthorized" } });
  }

  /** Types of attributes that are understood, and refused. */
  #refused(request: Asked): number[] {
    const names = NOT_SERVED.filter((name) => request.message.attributes[name] !== undefined);
    return [...names, ...(this.#senderOf(request) === undefined ? ["changeRequest" as const] : [])].map(attributeType);
  }

  #refuse(request: Asked, refused: readonly number[]): void {
    this.#counters.unknownAttributes++;
    this.#send(request.socket, request, "error", unknownAttributes(refused));
  }

  #answer(request: Asked): void {
    // Invariant: a request that nobody could answer was refused.
    const sender = this.#senderOf(request) as number;
    this.#counters.answered++;
    this.#send(sender, request, "success", this.#whatFits(sender, request));
  }

  #send(socket: number, { from, message, encode }: Asked, kind: StunClass, attributes: StunAttributes): void {
    const payload = encodeStun({ ...message, class: kind, attributes }, encode);
    this.#transmits.push({ socket, to: from, payload });
  }

  /** The socket that a request wants its answer from; undefined when there is none. */
  #senderOf({ socket, message }: Asked): number | undefined {
    const { changeIp, changePort } = message.attributes.changeRequest ?? { changeIp: false, changePort: false };
    return changeIp || changePort ? this.#other(socket, changeIp, changePort) : socket;
  }

  /** The socket that differs from another one in just this. Families never mix: no client has both under one NAT. */
  #other(socket: number, inAddress: boolean, inPort: boolean): number | undefined {
    const asked = this.#sockets[socket];
    const index = this.#sockets.findIndex(
      ({ address, port }) =>
        asked !== undefined &&
        ipFamily(address) === ipFamily(asked.address) &&
        (address !== asked.address) === inAddress &&
        (port !== asked.port) === inPort,
    );
    return index === -1 ? undefined : index;
  }

  /** What an answer says, in the order of need, as far as the request's size allows. */
  #whatFits(sender: number, request: Asked): StunAttributes {
    const origin = this.#sockets[sender];
    const nonce = this.#nonceFor(request);
    const offers: StunAttributes[] = [
      { xorMappedAddress: request.from },
      nonce === undefined || request.message.attributes.nonce === nonce ? {} : { nonce },
      this.#others(request.socket),
      origin === undefined || ipScope(origin.address) === "unspecified" ? {} : { responseOrigin: origin },
      { mappedAddress: request.from },
      { software: "ut" },
    ];
    const { fingerprint, integrity } = request.encode;
    let room = MAX_AMPLIFICATION * request.bytes - HEADER_BYTES;
    if (fingerprint === true) room -= FINGERPRINT_BYTES;
    if (integrity !== undefined) room -= INTEGRITY_BYTES[integrity.algorithm];
    const fitting = offers.filter((offer) => {
      room -= attributesBytes(offer);
      return room >= 0;
    });
    return Object.assign({}, ...fitting) as StunAttributes;
  }

  /** Where else this server can be asked, and answers from. */
  #others(socket: number): StunAttributes {
    const at = (index: number | undefined) => (index === undefined ? undefined : this.#sockets[index]);
    const otherPort = at(this.#other(socket, false, true));
    const otherAddress = at(this.#other(socket, true, false));
    const both = at(this.#other(socket, true, true));
    // A client asks at all four, so anything less than four is not told as RFC 5780's.
    if (otherPort !== undefined && otherAddress !== undefined && both !== undefined) return { otherAddress: both };
    return otherPort === undefined ? {} : { otherPort: otherPort.port };
  }
}

interface Asked {
  readonly socket: number;
  readonly from: Endpoint;
  readonly message: StunMessage;
  /** As the answer is to be written, too. */
  readonly encode: EncodeOptions;
  readonly bytes: number;
}

/** Understood, as parts of STUN, but this server does not do what they ask for: ICE, and what could be misused. */
const NOT_SERVED = ["padding", "responsePort", "priority", "useCandidate"] as const;

/** Always fits: a type that takes two bytes here took at least four in the request, which had one at least. */
function unknownAttributes(types: readonly number[]): StunAttributes {
  return { errorCode: { code: 420, reason: "Unknown Attribute" }, unknownAttributes: types };
}
