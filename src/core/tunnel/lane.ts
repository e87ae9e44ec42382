import type { Instant } from "../time.ts";
import { NEVER } from "../time.ts";
import type { ControlMessage } from "../wire/control.ts";
import { decodeControl, encodeControl, MAX_CTRL_BYTES } from "../wire/control.ts";
import {
  encodeChannelData,
  encodeCtrl,
  encodeData,
  type FrameErrorKind,
  HEADER_BYTES,
  PduDecoder,
  PREFIX_BYTES,
  TYPE_CTRL,
} from "../wire/pdu.ts";
import type { Session } from "./session.ts";

/** A PDU that began must end within this, or its sender is slow on purpose. DESIGN "Safety". */
export const PARTIAL_PDU_MS = 30_000;
/** CTRL messages of one lane and second. DESIGN "Safety". */
export const CTRL_PER_SECOND = 50;

/** What `next` found: a datagram in `decoder.payload`, a message in `message`, nothing whole yet, or the end. */
export type LaneEvent = "data" | "control" | "need-more" | "error";

/** A datagram that was taken from the queue but whose PDU the socket had not taken whole when the lane broke. */
export interface Orphan {
  readonly datagram: Uint8Array;
  /** -1 = without. */
  readonly seq: number;
  /** -1 = the tunnel's. */
  readonly channel: number;
}

/**
 * One TCP connection as the protocol sees it: the bytes on their way to the socket, the frames that came from it, and
 * where greeting and goodbye stand. It knows neither sockets nor other lanes.
 *
 * Sending: `putData`/`putControl` append whole PDUs to the outbox; the shell writes `outbox[start..end)` and reports
 * with `wrote`. Receiving: `feed` a chunk, then `next` until `need-more`.
 */
export class Lane {
  /** Identity within its session, 0–31. A server lane has none before its HELLO. */
  id: number;
  /** The session that owns it; a server lane has none before its first PDU. */
  session: Session | undefined;

  outbox: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** False from a short write until the socket says it drained. */
  writable = true;
  blockedSince: Instant = NEVER;
  /** The path seems to have stalled (TCP_INFO): take it only if no better lane is left. */
  stalled = false;
  /** A segment was lost and is being repaired: what goes in now waits behind it for a round trip (TCP_INFO). */
  recovering = false;
  /** Bytes that the congestion window lets out at once (TCP_INFO), Infinity where nobody knows. */
  window = Number.POSITIVE_INFINITY;

  /** Both sides have agreed on SEQ, on this lane: set by hello_ack (client) or hello (server). */
  sequenced = false;
  /** And on channels. */
  channelled = false;
  greeted = false;
  /** Epoch under which this lane was acknowledged. */
  epoch = 0;
  saidGoodbye = false;
  heardGoodbye = false;
  /** The newest sequence number that came over this lane, or -1. */
  lastSeq = -1;

  readonly decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  message: ControlMessage | undefined;
  error: FrameErrorKind | undefined;
  ignoredControls = 0;

  bytesIn = 0;
  bytesOut = 0;
  packetsIn = 0;
  packetsOut = 0;

  #partialSince: Instant = NEVER;
  #controlWindow: Instant = Number.NEGATIVE_INFINITY;
  #controlCount = 0;

  constructor(id: number) {
    this.id = id;
  }

  /** Bytes that the socket has not taken yet. */
  get pendingBytes(): number {
    return this.end - this.start;
  }

  /** It may take datagrams from the queue. */
  get ready(): boolean {
    return this.writable && !this.saidGoodbye && this.end === this.start;
  }

  putData(datagram: Uint8Array, seq: number): void {
    this.#reserve(HEADER_BYTES + PREFIX_BYTES + datagram.length);
    this.end = encodeData(this.outbox, this.end, datagram, seq);
    this.packetsOut++;
  }

  putChannelData(datagram: Uint8Array, channel: number): void {
    this.#reserve(HEADER_BYTES + PREFIX_BYTES + datagram.length);
    this.end = encodeChannelData(this.outbox, this.end, datagram, channel);
    this.packetsOut++;
  }

  putControl(message: Parameters<typeof encodeControl>[0]): void {
    const payload = encodeControl(message);
    this.#reserve(HEADER_BYTES + payload.length);
    this.end = encodeCtrl(this.outbox, this.end, payload);
  }

  /** Say GOODBYE behind everything that was put before; nothing may be put after it. */
  sayGoodbye(reason: string): void {
    if (this.saidGoodbye) return;
    this.putControl({ type: "goodbye", reason });
    this.saidGoodbye = true;
  }

  /** Both sides have said everything and heard everything: the connection may end. */
  get finished(): boolean {
    return this.saidGoodbye && this.heardGoodbye && this.pendingBytes === 0;
  }

  /** The socket took `bytes` of the outbox. A short write blocks the lane until `drained`. */
  wrote(now: Instant, bytes: number): void {
    this.start += bytes;
    this.bytesOut += bytes;
    this.window -= bytes;
    if (this.start === this.end) {
      this.start = 0;
      this.end = 0;
      this.writable = true;
      this.blockedSince = NEVER;
    } else {
      this.writable = false;
      if (bytes > 0 || this.blockedSince === NEVER) this.blockedSince = now;
    }
  }

  /** Hand in bytes from the socket. */
  feed(chunk: Uint8Array): void {
    this.bytesIn += chunk.length;
    this.decoder.feed(chunk);
  }

  next(now: Instant): LaneEvent {
    if (this.error !== undefined) return "error";
    for (;;) {
      const found = this.decoder.next();
      if (found === "error") return this.#fail(this.decoder.error ?? "bad_magic");
      if (found === "need-more") {
        if (!this.decoder.partial) this.#partialSince = NEVER;
        else if (this.#partialSince === NEVER) this.#partialSince = now;
        return "need-more";
      }
      this.#partialSince = NEVER;
      if (this.decoder.type !== TYPE_CTRL) {
        // RFC-like rule of DESIGN: after its GOODBYE a side sends nothing more.
        if (this.heardGoodbye) return this.#fail("unexpected_data");
        this.packetsIn++;
        return "data";
      }
      const event = this.#control(now);
      if (event !== undefined) return event;
    }
  }

  nextTimeout(): Instant {
    return this.error === undefined ? this.#partialSince + PARTIAL_PDU_MS : NEVER;
  }

  /** A PDU that never ends is an error of its sender, told once: the lane is on its way out from then on. */
  handleTimeout(now: Instant): LaneEvent | undefined {
    return this.nextTimeout() <= now ? this.#fail("slow_pdu") : undefined;
  }

  /** The datagrams in the outbox that the socket has not taken whole: the peer cannot have seen them. */
  orphans(): Orphan[] {
    const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
    const orphans: Orphan[] = [];
    decoder.feed(this.outbox.subarray(0, this.end));
    let offset = 0;
    while (decoder.next() === "pdu") {
      const { type, flags, payload, seq, channel } = decoder;
      offset += HEADER_BYTES + (flags === 0 ? 0 : PREFIX_BYTES) + payload.length;
      if (offset > this.start && type !== TYPE_CTRL) orphans.push({ datagram: payload.slice(), seq, channel });
    }
    return orphans;
  }

  #control(now: Instant): LaneEvent | undefined {
    if (now - this.#controlWindow >= 1_000) {
      this.#controlWindow = now;
      this.#controlCount = 0;
    }
    if (++this.#controlCount > CTRL_PER_SECOND) return this.#fail("ctrl_flood");
    const decoded = decodeControl(this.decoder.payload);
    if (decoded.ok) {
      this.message = decoded.message;
      return "control";
    }
    if (decoded.kind === "unknown-type") {
      this.ignoredControls++;
      return undefined;
    }
    return this.#fail(this.greeted ? "bad_ctrl" : "bad_hello");
  }

  #fail(kind: FrameErrorKind): "error" {
    this.error = kind;
    return "error";
  }

  #reserve(bytes: number): void {
    if (this.end + bytes <= this.outbox.length) return;
    const grown = new Uint8Array(Math.max(this.end + bytes, this.outbox.length * 2, 4_096));
    grown.set(this.outbox.subarray(0, this.end));
    this.outbox = grown;
  }
}
