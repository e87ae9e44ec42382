import { AES_KEY_BYTES, GCM_NONCE_BYTES, openGcm, sealGcm } from "../crypto-sealing.ts";
import {
  FLOW_BYTES,
  HEADER_BYTES,
  looksSealed,
  readCounter,
  readSession,
  SEAL_OVERHEAD_BYTES,
  writeHeader,
} from "./packet.ts";
import { ReplayWindow } from "./replay-window.ts";

const COUNTER_AT = 5;
const COUNTER_BYTES = 8;

/** New keys are due after so many packets under one (DESIGN): far below what GCM stands (2³⁶ blocks a key). */
export const REKEY_PACKETS = 2 ** 32;

/** One direction's key and the number by which the receiver finds it. */
export interface SealKey {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** u32, chosen by the receiver. */
  readonly session: number;
}

/** Why a packet did not open. It is counted and changes nothing. */
export type OpenFailure = "malformed" | "wrong-session" | "forged" | "replayed";

export type Opened =
  | { readonly ok: true; readonly type: number; readonly flow: number; readonly payload: Uint8Array }
  /** `replayed` is authentic: the peer has sealed it, once, and anybody may have brought it. */
  | {
      readonly ok: false;
      readonly kind: "replayed";
      readonly type: number;
      readonly flow: number;
      readonly payload: Uint8Array;
    }
  | { readonly ok: false; readonly kind: Exclude<OpenFailure, "replayed"> };

/** The sending end of one direction. Its counter is one for both paths and never repeats, which GCM lives by. */
export class Sealer {
  readonly #key: SealKey;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #nonce = new Uint8Array(GCM_NONCE_BYTES);
  /** Flow and payload of the packet under way, in a buffer that is used again for each of the same length. */
  #text = new Uint8Array(0);
  #counter = 0;

  constructor(key: SealKey) {
    requireKey(key);
    this.#key = key;
  }

  /** By which the receiver finds the key. */
  get session(): number {
    return this.#key.session;
  }

  /** Packets sealed so far. */
  get packets(): number {
    return this.#counter;
  }

  seal(type: number, flow: number, payload: Uint8Array): Uint8Array {
    const length = FLOW_BYTES + payload.length;
    if (this.#text.length !== length) this.#text = new Uint8Array(length);
    this.#text[0] = flow >>> 8;
    this.#text[1] = flow;
    this.#text.set(payload, FLOW_BYTES);
    writeHeader(this.#header, type, this.#key.session, this.#counter);
    this.#counter += 1;
    writeNonce(this.#nonce, this.#header);
    const packet = new Uint8Array(payload.length + SEAL_OVERHEAD_BYTES);
    packet.set(this.#header);
    sealGcm(this.#key.key, this.#nonce, this.#header, this.#text, packet, HEADER_BYTES);
    return packet;
  }
}

/** The receiving end of one direction. */
export class Opener {
  readonly #key: SealKey;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #nonce = new Uint8Array(GCM_NONCE_BYTES);
  readonly #window = new ReplayWindow();

  constructor(key: SealKey) {
    requireKey(key);
    this.#key = key;
  }

  get session(): number {
    return this.#key.session;
  }

  /** Packets that were sealed under this key, as far as is known. */
  get packets(): number {
    return this.#window.newest + 1;
  }

  /** The payload is the caller's to keep. */
  open(packet: Uint8Array): Opened {
    if (!looksSealed(packet)) return { ok: false, kind: "malformed" };
    if (readSession(packet) !== this.#key.session) return { ok: false, kind: "wrong-session" };
    copy(packet, 0, this.#header, 0, HEADER_BYTES);
    writeNonce(this.#nonce, packet);
    const text = openGcm(this.#key.key, this.#nonce, this.#header, packet, HEADER_BYTES);
    if (text === undefined) return { ok: false, kind: "forged" };
    const type = packet[0] ?? 0;
    const flow = ((text[0] ?? 0) << 8) | (text[1] ?? 0);
    const payload = text.subarray(FLOW_BYTES);
    // After the tag was checked: a forged counter must not move the window.
    if (this.#window.accept(readCounter(packet))) return { ok: true, type, flow, payload };
    return { ok: false, kind: "replayed", type, flow, payload };
  }
}

/** Four zero bytes, then the counter as it stands in the header. */
function writeNonce(nonce: Uint8Array, header: Uint8Array): void {
  copy(header, COUNTER_AT, nonce, GCM_NONCE_BYTES - COUNTER_BYTES, COUNTER_BYTES);
}

/** For a few bytes; a view for `set` costs more than they do. */
function copy(from: Uint8Array, at: number, to: Uint8Array, offset: number, length: number): void {
  for (let i = 0; i < length; i++) to[offset + i] = from[at + i] ?? 0;
}

function requireKey({ key }: SealKey): void {
  if (key.length !== AES_KEY_BYTES) throw new RangeError(`A key of ${key.length} bytes, ${AES_KEY_BYTES} are needed`);
}
