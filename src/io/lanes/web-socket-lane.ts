import { randomBytes } from "node:crypto";
import { UtError } from "../../core/error.ts";
import { FrameReader } from "../../core/websocket/frame-reader.ts";
import { FrameWriter } from "../../core/websocket/frame-writer.ts";
import { CLOSE, FAULT_CODES, OPCODE, type WebSocketFault } from "../../core/websocket/protocol.ts";
import { now } from "../clock.ts";
import type { LaneTransport, OpenLaneHandlers } from "./lane-transport.ts";

/** Control frames of a second. DESIGN "Safety": as many as CTRL messages. */
const CONTROLS_PER_SECOND = 50;
const NOTHING = new Uint8Array(0);

/**
 * A WebSocket, open already, as a lane transport on top of another one: what its owner writes leaves in binary frames,
 * what comes in frames its owner gets as the plain stream that a lane is. It buffers no payload, so that backpressure and
 * what a lane knows of its unsent bytes stay true.
 *
 * `broken` hears of a peer that breaks the framing: that peer has been told by a close code, and `closed` follows.
 */
export class WebSocketLane implements LaneTransport, OpenLaneHandlers {
  readonly #inner: LaneTransport;
  readonly #broken: (fault: WebSocketFault) => void;
  readonly #reader: FrameReader;
  readonly #writer: FrameWriter;
  #handlers: OpenLaneHandlers | undefined;
  #error: UtError | undefined;
  /** A close frame went out, or nothing can: no frame follows. */
  #saidClose = false;
  /** The peer's close frame has come, or its bytes make no sense any more. */
  #isDeaf = false;
  #controlWindow = Number.NEGATIVE_INFINITY;
  #controlCount = 0;

  constructor(inner: LaneTransport, side: "client" | "server", broken: (fault: WebSocketFault) => void) {
    this.#inner = inner;
    this.#broken = broken;
    this.#reader = new FrameReader(side === "server");
    this.#writer = new FrameWriter(side === "client" ? randomBytes : undefined);
  }

  get remote(): string {
    return this.#inner.remote;
  }

  get peerCn(): string {
    return this.#inner.peerCn;
  }

  get peerNotAfter(): Date | undefined {
    return this.#inner.peerNotAfter;
  }

  get fd(): number | undefined {
    return this.#inner.fd;
  }

  /** From here on `handlers` hears what happens. */
  adopt(handlers: OpenLaneHandlers): void {
    this.#handlers = handlers;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    let taken = 0;
    while (start + taken < end && !this.#saidClose) {
      this.#writer.put(bytes, start + taken, end);
      taken += this.#writer.wrote(this.#flushOut());
      if (this.#writer.isInFrame) break;
    }
    return taken;
  }

  end(): void {
    this.#close(CLOSE.normal);
    this.#inner.end();
  }

  terminate(): void {
    this.#inner.terminate();
  }

  data(chunk: Uint8Array): void {
    if (this.#isDeaf) return;
    this.#reader.feed(chunk);
    for (let event = this.#reader.next(); event !== "need-more"; event = this.#reader.next()) {
      switch (event) {
        case "data":
          this.#handlers?.data(this.#reader.payload);
          break;
        case "ping":
        case "pong":
          this.#controlHeard(event);
          break;
        case "close":
          this.#closeHeard(this.#reader.payload);
          break;
        case "error":
          this.#fail(this.#reader.error ?? "ws_reserved");
          break;
        default:
          event satisfies never;
      }
      // The owner may have ended it because of what it just heard; then it still reads to the end.
      if (this.#isDeaf) return;
    }
  }

  drained(): void {
    if (this.#writer.hasAhead) this.#flushAhead();
    if (!this.#writer.hasAhead) this.#handlers?.drained();
  }

  closed(error: UtError | undefined): void {
    this.#isDeaf = true;
    this.#handlers?.closed(this.#error ?? error);
  }

  #controlHeard(frame: "ping" | "pong"): void {
    const at = now();
    if (at - this.#controlWindow >= 1_000) {
      this.#controlWindow = at;
      this.#controlCount = 0;
    }
    if (++this.#controlCount > CONTROLS_PER_SECOND) this.#fail("ws_flood");
    else if (frame === "ping" && !this.#saidClose) this.#control(OPCODE.pong, this.#reader.payload);
  }

  /** RFC 6455 §5.5.1: answered with the same code. */
  #closeHeard(body: Uint8Array): void {
    this.#isDeaf = true;
    this.#sayClose(body.subarray(0, 2));
    this.#inner.end();
  }

  #fail(fault: WebSocketFault): void {
    this.#isDeaf = true;
    this.#error = new UtError("lane.closed", `${this.remote} broke the WebSocket framing: ${fault}`);
    this.#broken(fault);
    this.#close(FAULT_CODES[fault]);
    this.#inner.end();
  }

  #close(code: number): void {
    this.#sayClose(Uint8Array.of(code >>> 8, code & 0xff));
  }

  /** In the middle of a frame nothing can be said. */
  #sayClose(body: Uint8Array): void {
    if (this.#saidClose) return;
    this.#saidClose = true;
    if (!this.#writer.isInFrame) this.#control(OPCODE.close, body);
  }

  #control(opcode: number, payload: Uint8Array): void {
    this.#writer.control(opcode, payload);
    if (this.#writer.hasAhead) this.#flushAhead();
  }

  #flushAhead(): void {
    this.#writer.put(NOTHING, 0, 0);
    this.#writer.wrote(this.#flushOut());
  }

  #flushOut(): number {
    return this.#inner.write(this.#writer.out, 0, this.#writer.length);
  }
}
