import type { UtError } from "../../core/error.ts";
import { SIGNAL_BURST, SIGNALS_PER_SECOND } from "../../core/signal/limits.ts";
import { TokenBucket } from "../../core/signal/rate.ts";
import { PARTIAL_PDU_MS } from "../../core/tunnel/lane.ts";
import { type ControlMessage, decodeControl, encodeControl, SUPPORTED_CAPS } from "../../core/wire/control.ts";
import { encodeCtrl, type FrameErrorKind, HEADER_BYTES, type PduDecoder, TYPE_CTRL } from "../../core/wire/pdu.ts";
import { decodeSignal, encodeSignal, type Signal, type SignalInput } from "../../core/wire/signal.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { Berth } from "../tunnel/arrival.ts";

export interface ControlLinkHooks {
  received(signal: Signal): void;
  /** Whether the socket takes more from now on. Nothing should be sent while it does not. */
  writable(isWritable: boolean): void;
  /** The peer broke the protocol; the link is ending. */
  refused(kind: FrameErrorKind): void;
  closed(error: UtError | undefined): void;
}

/**
 * A control connection at the server, from its hello on: CTRL PDUs with signals both ways and nothing else. What the
 * socket has not taken waits here, which is the rest of one message, as long as its owner heeds `writable`.
 */
export class ControlLink implements Berth {
  readonly transport: LaneTransport;
  readonly #decoder: PduDecoder;
  readonly #hooks: ControlLinkHooks;
  /** Types that this build does not know cost no less than those it does. */
  readonly #unknown = new TokenBucket(now(), SIGNALS_PER_SECOND, SIGNAL_BURST);
  #waiting: Uint8Array = new Uint8Array(0);
  #deadline: Timer | undefined;
  #isOver = false;

  /** `decoder` may hold more than the hello. */
  constructor(transport: LaneTransport, decoder: PduDecoder, hooks: ControlLinkHooks) {
    this.transport = transport;
    this.#decoder = decoder;
    this.#hooks = hooks;
  }

  get isWritable(): boolean {
    return this.#waiting.length === 0;
  }

  start(): void {
    if (!this.#isOver) this.#read();
  }

  data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    this.#decoder.feed(chunk);
    this.#read();
  }

  drained(): void {
    if (this.isWritable) return;
    this.#flush();
    if (this.isWritable) this.#hooks.writable(true);
  }

  closed(error: UtError | undefined): void {
    this.#finish();
    this.#hooks.closed(error);
  }

  send(signal: SignalInput): void {
    this.#write(encodeSignal(signal));
  }

  greet(sessionId: string): void {
    // No numbers are counted here, so the epoch means nothing; the caps are those that lanes may have.
    const caps = [...SUPPORTED_CAPS];
    this.#write(encodeControl({ type: "hello_ack", session_id: sessionId, epoch: 0, caps, time: Date.now() }));
  }

  /** Say so and end; of what still comes nothing is heard. */
  goodbye(reason: string): void {
    this.#end({ type: "goodbye", reason });
  }

  #read(): void {
    let isFresh = false;
    for (let next = this.#decoder.next(); next !== "need-more"; next = this.#decoder.next()) {
      const problem = next === "error" ? (this.#decoder.error ?? "bad_magic") : this.#take();
      if (problem !== undefined) this.#refuse(problem);
      // The owner may have said goodbye because of what it just heard.
      if (this.#isOver) return;
      isFresh = true;
    }
    this.#watchPartial(isFresh);
  }

  /** The PDU that stands in the decoder. */
  #take(): FrameErrorKind | undefined {
    if (this.#decoder.type !== TYPE_CTRL) return "unexpected_data";
    const decoded = decodeSignal(this.#decoder.payload);
    if (decoded.ok) this.#hooks.received(decoded.signal);
    else if (decoded.kind === "unknown-type") return this.#takeOther();
    else return "bad_ctrl";
    return undefined;
  }

  /** No signal, but what is said on every connection; or of another version. */
  #takeOther(): FrameErrorKind | undefined {
    const decoded = decodeControl(this.#decoder.payload);
    if (!decoded.ok && decoded.kind !== "unknown-type") return "bad_ctrl";
    if (decoded.ok && decoded.message.type === "hello") return "duplicate_hello";
    if (decoded.ok && decoded.message.type === "goodbye") this.goodbye(decoded.message.reason);
    return this.#unknown.take(now()) ? undefined : "ctrl_flood";
  }

  /** A PDU that began must end. `isFresh`: the one that has begun is not the one from before. */
  #watchPartial(isFresh: boolean): void {
    if (isFresh || !this.#decoder.partial) clearTimeout(this.#deadline);
    if (!this.#decoder.partial) this.#deadline = undefined;
    else if (isFresh || this.#deadline === undefined)
      this.#deadline = setTimeout(() => this.#refuse("slow_pdu"), PARTIAL_PDU_MS);
  }

  #refuse(kind: FrameErrorKind): void {
    if (this.#isOver) return;
    this.#hooks.refused(kind);
    this.#end({ type: "err", kind, message: "" });
  }

  #end(last: ControlMessage): void {
    if (this.#isOver) return;
    const { isWritable } = this;
    if (isWritable) this.#write(encodeControl(last));
    this.#finish();
    // Behind half a message nothing can be said.
    if (isWritable) this.transport.end();
    else this.transport.terminate();
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#deadline);
  }

  #write(payload: Uint8Array): void {
    if (this.#isOver) return;
    const before = this.#waiting.length;
    const longer = new Uint8Array(before + HEADER_BYTES + payload.length);
    longer.set(this.#waiting);
    encodeCtrl(longer, before, payload);
    this.#waiting = longer;
    if (before > 0) return;
    this.#flush();
    if (!this.isWritable) this.#hooks.writable(false);
  }

  #flush(): void {
    const taken = this.transport.write(this.#waiting, 0, this.#waiting.length);
    this.#waiting = this.#waiting.slice(taken);
  }
}
