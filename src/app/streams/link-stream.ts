import type { StreamCounters } from "../../core/streams/counters.ts";
import type { CreditBudget } from "../../core/streams/credit.ts";
import { FramedStream } from "../../core/streams/framed-stream.ts";
import type { QuicStream, QuicStreamHandlers } from "../../io/quic/quic-stream.ts";
import type { PeerStream, StreamEnd, StreamHandlers } from "./stream-link.ts";

/** DATA in one frame, at most. */
const MAX_FRAME_BYTES = 64 * 1024;
/** By then the connection has told of its end, if it was that. */
const REASON_MS = 100;

export interface LinkStreamOptions {
  readonly peer: string;
  readonly quic: QuicStream;
  readonly budget: CreditBudget;
  readonly counters: StreamCounters;
  /** False: no datagram of QUIC's takes it. */
  sendDatagram(id: number, payload: Uint8Array): boolean;
  /** It is over, whichever way. */
  over(): void;
}

/** A stream between two peers: frames on a QUIC stream, and their user. */
export class LinkStream implements PeerStream, QuicStreamHandlers {
  readonly peer: string;
  readonly #options: LinkStreamOptions;
  readonly #framed: FramedStream;
  #handlers: StreamHandlers | undefined;
  /** What QUIC had no room for. */
  #unsent: readonly Uint8Array[] | undefined;
  /** The user took less than it was shown, and will say when it takes more. */
  #isHeld = false;
  #hasToldEnd = false;
  #brokenTimer: Timer | undefined;
  #isPumping = false;
  #isPumpDue = false;
  #isOver = false;

  constructor(options: LinkStreamOptions) {
    this.peer = options.peer;
    this.#options = options;
    this.#framed = new FramedStream(options.budget);
    options.counters.streams += 1;
    options.counters.streamsOpened += 1;
  }

  /** What came in and waits for its reader. */
  get waitingBytes(): number {
    return this.#framed.waitingBytes;
  }

  start(handlers: StreamHandlers): void {
    this.#handlers = handlers;
    this.#options.quic.start(this);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    this.#options.counters.bytesOut += chunk.length;
    this.#framed.write(chunk);
    this.#pump();
    // Only now: whoever is told to pause must not have been told to go on before.
    return this.#isOver || this.#framed.askRoom();
  }

  end(): void {
    if (this.#isOver) return;
    this.#framed.end();
    this.#pump();
  }

  reset(code: number): void {
    if (this.#isOver) return;
    this.#options.quic.reset(code);
    this.#finish({ type: "reset", by: "self", code });
  }

  resume(): void {
    this.#isHeld = false;
    this.#pump();
  }

  sendDatagram(payload: Uint8Array): boolean {
    if (this.#isOver) return false;
    const { quic, counters } = this.#options;
    const isTaken = this.#options.sendDatagram(quic.id, payload) || this.#framed.sendDatagram(payload);
    if (isTaken) counters.datagramsOut += 1;
    else counters.datagramsDropped += 1;
    this.#pump();
    return isTaken;
  }

  /** One that overtook the stream. */
  datagram(payload: Uint8Array): void {
    if (this.#isOver) return;
    this.#options.counters.datagramsIn += 1;
    this.#handlers?.datagram?.(payload);
  }

  data(chunk: Uint8Array): void {
    if (this.#isOver) return;
    const fault = this.#framed.receive(chunk);
    if (fault !== undefined) {
      this.#options.counters.fault(fault);
      this.#giveUp(`the peer breaks the protocol: ${fault}`);
    } else this.#pump();
  }

  drained(): void {
    this.#pump();
  }

  closed(code: number | undefined): void {
    if (code !== undefined) this.#finish({ type: "reset", by: "peer", code });
    // Both sides have said everything: only our reader is not done.
    else if (!this.#framed.isComplete)
      this.#brokenTimer ??= setTimeout(() => this.#giveUp("the peer ended the stream in the middle"), REASON_MS);
  }

  /** Whatever is missing will not come. */
  lost(reason: string): void {
    this.#finish({ type: "lost", reason });
  }

  #giveUp(reason: string): void {
    this.#options.quic.reset(0);
    this.lost(reason);
  }

  /** Everything that can go on goes on. Its user may call back in here. */
  #pump(): void {
    this.#isPumpDue = true;
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#isPumpDue && !this.#isOver) {
      this.#isPumpDue = false;
      this.#showData();
      this.#showDatagrams();
      this.#send();
      this.#tell();
    }
    this.#isPumping = false;
  }

  #showData(): void {
    if (this.#isHeld) return;
    this.#framed.read((chunk) => {
      // Unless its user says otherwise meanwhile.
      this.#isHeld = true;
      const taken = this.#isOver ? 0 : (this.#handlers?.data(chunk) ?? 0);
      if (taken === chunk.length) this.#isHeld = false;
      this.#options.counters.bytesIn += taken;
      return taken;
    });
  }

  #showDatagrams(): void {
    for (let next = this.#framed.pollDatagram(); next !== undefined; next = this.#framed.pollDatagram())
      this.datagram(next);
  }

  #send(): void {
    while (!this.#isOver) {
      const pieces = this.#unsent ?? this.#framed.pollOutput(MAX_FRAME_BYTES);
      this.#unsent = undefined;
      if (pieces === undefined) return;
      if (this.#options.quic.write(pieces)) continue;
      this.#unsent = pieces;
      return;
    }
  }

  #tell(): void {
    if (this.#framed.hasEnded && !this.#hasToldEnd) {
      this.#hasToldEnd = true;
      this.#handlers?.ended();
    }
    if (!this.#isOver && this.#framed.takeDrained()) this.#handlers?.drained();
    if (this.#isOver || !this.#framed.isFinished || this.#unsent !== undefined) return;
    this.#options.quic.end();
    this.#finish({ type: "finished" });
  }

  #finish(end: StreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#brokenTimer);
    const { counters, over } = this.#options;
    counters.streams -= 1;
    counters.streamsEnded[end.type] += 1;
    counters.datagramsDropped += this.#framed.droppedDatagrams;
    this.#framed.close();
    over();
    this.#handlers?.closed(end);
  }
}
