import type { Endpoint } from "../net/endpoint.ts";
import { decodeAddress, encodeAddress, xorAddress } from "./address.ts";
import { type Tlv, writeTlv } from "./tlv.ts";

/**
 * What a STUN message can say, decoded. Bytes of a kind that is not here are no attribute of ours. Integrity and
 * fingerprint are no attributes either: they are how a message is encoded (`EncodeOptions`).
 */
export interface StunAttributes {
  /** Where the request came from, in plain; some NATs rewrite it (RFC 8489 §14.1). */
  readonly mappedAddress?: Endpoint;
  readonly xorMappedAddress?: Endpoint;
  /** RFC 5780 §7.3, or RFC 3489's SOURCE-ADDRESS: where the response was sent from. */
  readonly responseOrigin?: Endpoint;
  /** RFC 5780 §7.4, or RFC 3489's CHANGED-ADDRESS: the server's second address and port. */
  readonly otherAddress?: Endpoint;
  /** Ours: a server with one address answers at this port of it, too (`StunServer` says why not by OTHER-ADDRESS). */
  readonly otherPort?: number;
  /** RFC 5780 §7.2: from where the response is wanted. */
  readonly changeRequest?: { readonly changeIp: boolean; readonly changePort: boolean };
  /** RFC 5780 §7.5: the port that the response is wanted at. */
  readonly responsePort?: number;
  /** RFC 5780 §7.6: how many bytes of no meaning; zeros when sent. */
  readonly padding?: number;
  readonly username?: string;
  /** 32 bytes, RFC 8489 §14.4. */
  readonly userhash?: Uint8Array;
  readonly realm?: string;
  readonly nonce?: string;
  /** Numbers of RFC 8489 §18.5 (`PASSWORD_ALGORITHM`); neither of the two that exist has parameters. */
  readonly passwordAlgorithm?: number;
  readonly passwordAlgorithms?: readonly number[];
  /** `code` is 300 to 699. */
  readonly errorCode?: { readonly code: number; readonly reason: string };
  readonly unknownAttributes?: readonly number[];
  readonly software?: string;
  readonly alternateServer?: Endpoint;
  /** RFC 8445 §7.1.1, 32 bits. */
  readonly priority?: number;
  /** RFC 8445 §7.1.2: it is there or not. */
  readonly useCandidate?: true;
  /** Tie breakers of RFC 8445 §7.1.3, 64 bits. */
  readonly iceControlled?: bigint;
  readonly iceControlling?: bigint;
}

/** Types that are looked at outside of this table. */
export const MESSAGE_INTEGRITY = 0x0008;
export const MESSAGE_INTEGRITY_SHA256 = 0x001c;
export const FINGERPRINT = 0x8028;
/** RFC 3489 §11.2.3 and §11.2.5. */
const SOURCE_ADDRESS = 0x0004;
const CHANGED_ADDRESS = 0x0005;
/** Types from here on may be ignored by whoever does not know them (RFC 8489 §14). */
const COMPREHENSION_OPTIONAL = 0x8000;

export const PASSWORD_ALGORITHM = { md5: 0x0001, sha256: 0x0002 } as const;

type Values = Required<StunAttributes>;
type Name = keyof Values;

/** `mask` is the message's magic cookie and transaction id, 16 bytes. */
interface Codec<T> {
  readonly type: number;
  encode(value: T, mask: Uint8Array): Uint8Array;
  /** Undefined: these bytes mean nothing. */
  decode(bytes: Uint8Array, mask: Uint8Array): T | undefined;
}

export interface DecodedAttributes {
  readonly attributes: StunAttributes;
  /** Types that must be understood and are not, each once: a request with one is answered 420 (RFC 8489 §6.3.1). */
  readonly unknownRequired: readonly number[];
}

/**
 * Reads attributes; of several of one kind the first counts (RFC 8489 §14). One that may be ignored and cannot be read
 * is ignored. Undefined when one that must be understood is malformed.
 */
export function decodeAttributes(tlvs: readonly Tlv[], mask: Uint8Array): DecodedAttributes | undefined {
  const attributes: { -readonly [N in Name]?: StunAttributes[N] } = {};
  const unknownRequired = new Set<number>();
  const legacy = new Map<number, Endpoint>();
  for (const { type, value } of tlvs) {
    const name = NAMES.get(type);
    const optional = type >= COMPREHENSION_OPTIONAL;
    if (name !== undefined) {
      if (attributes[name] !== undefined) continue;
      const decoded = CODECS[name].decode(value, mask);
      if (decoded !== undefined) Object.assign(attributes, { [name]: decoded });
      else if (!optional) return undefined;
    } else if (type === SOURCE_ADDRESS || type === CHANGED_ADDRESS) {
      const endpoint = decodeAddress(value);
      if (endpoint === undefined) return undefined;
      if (!legacy.has(type)) legacy.set(type, endpoint);
    } else if (!optional) unknownRequired.add(type);
  }
  const source = attributes.responseOrigin ?? legacy.get(SOURCE_ADDRESS);
  const changed = attributes.otherAddress ?? legacy.get(CHANGED_ADDRESS);
  if (source !== undefined) attributes.responseOrigin = source;
  if (changed !== undefined) attributes.otherAddress = changed;
  return { attributes: attributes as StunAttributes, unknownRequired: [...unknownRequired] };
}

/** The number of an attribute on the wire. */
export function attributeType(name: keyof StunAttributes): number {
  return CODECS[name].type;
}

/** In the order of the object's keys. Throws a RangeError for what no message can hold. */
export function encodeAttributes(attributes: StunAttributes, mask: Uint8Array): Uint8Array[] {
  return (Object.keys(attributes) as Name[]).flatMap((name) => encodeAttribute(name, attributes[name], mask));
}

/** How many bytes they take in a message. */
export function attributesBytes(attributes: StunAttributes): number {
  return encodeAttributes(attributes, NO_MASK).reduce((sum, { length }) => sum + length, 0);
}

const NO_MASK = new Uint8Array(16);

function encodeAttribute<N extends Name>(name: N, value: StunAttributes[N], mask: Uint8Array): Uint8Array[] {
  if (value === undefined) return [];
  const codec: Codecs[N] = CODECS[name];
  return [writeTlv(codec.type, codec.encode(value as Values[N], mask))];
}

type Codecs = { readonly [N in Name]: Codec<Values[N]> };

const CODECS: Codecs = {
  mappedAddress: address(0x0001),
  changeRequest: {
    type: 0x0003,
    encode: ({ changeIp, changePort }) => encodeUint(4, (changeIp ? 4 : 0) | (changePort ? 2 : 0)),
    decode(bytes) {
      const flags = decodeUint(4, bytes);
      return flags === undefined ? undefined : { changeIp: (flags & 4) !== 0, changePort: (flags & 2) !== 0 };
    },
  },
  username: text(0x0006, 513),
  errorCode: {
    type: 0x0009,
    encode: ({ code, reason }) =>
      concat([Uint8Array.of(0, 0, Math.floor(code / 100), code % 100), utf8.encode(reason)]),
    decode: decodeErrorCode,
  },
  unknownAttributes: {
    type: 0x000a,
    encode: (types) => concat(types.map((type) => encodeUint(2, type))),
    decode: decodeUint16List,
  },
  realm: text(0x0014, 763),
  nonce: text(0x0015, 763),
  passwordAlgorithm: {
    type: 0x001d,
    encode: (algorithm) => writeTlv(algorithm, new Uint8Array()),
    decode: (bytes) => {
      const algorithms = decodePasswordAlgorithms(bytes);
      return algorithms?.length === 1 ? algorithms[0] : undefined;
    },
  },
  userhash: {
    type: 0x001e,
    encode: (hash) => hash,
    decode: (bytes) => (bytes.length === 32 ? bytes.slice() : undefined),
  },
  xorMappedAddress: {
    type: 0x0020,
    encode: (endpoint, mask) => xorAddress(encodeAddress(endpoint), mask),
    decode: (bytes, mask) => decodeAddress(xorAddress(bytes, mask)),
  },
  priority: uint(0x0024, 4),
  useCandidate: {
    type: 0x0025,
    encode: () => new Uint8Array(),
    decode: (bytes) => (bytes.length === 0 ? true : undefined),
  },
  padding: { type: 0x0026, encode: (length) => new Uint8Array(length), decode: ({ length }) => length },
  // A port and two bytes of nothing; some write the port alone (RFC 5780 §7.5 can be read both ways).
  responsePort: {
    type: 0x0027,
    encode: (port) => Uint8Array.of(port >> 8, port & 0xff, 0, 0),
    decode: (bytes) => (bytes.length === 2 || bytes.length === 4 ? decodeUint(2, bytes.subarray(0, 2)) : undefined),
  },
  passwordAlgorithms: {
    type: 0x8002,
    encode: (algorithms) => concat(algorithms.map((algorithm) => writeTlv(algorithm, new Uint8Array()))),
    decode: decodePasswordAlgorithms,
  },
  software: text(0x8022, 763),
  alternateServer: address(0x8023),
  iceControlled: tieBreaker(0x8029),
  iceControlling: tieBreaker(0x802a),
  responseOrigin: address(0x802b),
  otherAddress: address(0x802c),
  // Nobody's in IANA's registry: "ut" in a range that may be ignored.
  otherPort: uint(0xf574, 2),
};

const NAMES: ReadonlyMap<number, Name> = new Map(
  (Object.keys(CODECS) as Name[]).map((name) => [CODECS[name].type, name]),
);

const utf8 = new TextEncoder();
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function address(type: number): Codec<Endpoint> {
  return { type, encode: encodeAddress, decode: decodeAddress };
}

function uint(type: number, length: 2 | 4): Codec<number> {
  return {
    type,
    encode: (value) => encodeUint(length, value),
    decode: (bytes) => decodeUint(length, bytes),
  };
}

function tieBreaker(type: number): Codec<bigint> {
  return {
    type,
    encode(value) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, value);
      return bytes;
    },
    decode: (bytes) => (bytes.length === 8 ? new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0) : undefined),
  };
}

/** `maxBytes` is the RFC's own limit; text that is not UTF-8 is malformed. */
function text(type: number, maxBytes: number): Codec<string> {
  return {
    type,
    encode: (value) => utf8.encode(value),
    decode: (bytes) => (bytes.length > maxBytes ? undefined : decodeText(bytes)),
  };
}

function decodeText(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function encodeUint(length: 2 | 4, value: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (length === 2) view.setUint16(0, value);
  else view.setUint32(0, value);
  return bytes;
}

function decodeUint(length: 2 | 4, bytes: Uint8Array): number | undefined {
  if (bytes.length !== length) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return length === 2 ? view.getUint16(0) : view.getUint32(0);
}

function decodeErrorCode(bytes: Uint8Array): Values["errorCode"] | undefined {
  const hundreds = (bytes[2] ?? 0) & 7;
  const number = bytes[3] ?? 0;
  if (bytes.length < 4 || bytes.length > 4 + 763 || hundreds < 3 || hundreds > 6 || number > 99) return undefined;
  const reason = decodeText(bytes.subarray(4));
  return reason === undefined ? undefined : { code: hundreds * 100 + number, reason };
}

function decodeUint16List(bytes: Uint8Array): number[] | undefined {
  if (bytes.length % 2 !== 0) return undefined;
  return Array.from({ length: bytes.length / 2 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
}

/** RFC 8489 §14.11: each one a number, the length of its parameters, and these, padded to four bytes. */
function decodePasswordAlgorithms(bytes: Uint8Array): number[] | undefined {
  const algorithms: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [algorithm, length] = decodeUint16List(bytes.subarray(at, at + 4)) ?? [];
    if (algorithm === undefined || length === undefined) return undefined;
    algorithms.push(algorithm);
    // The last one's padding may be left to the attribute's own.
    if (at + 4 + length > bytes.length) return undefined;
    at += 4 + ((length + 3) & ~3);
  }
  return algorithms;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
