import type {
  AcceptStream,
  PeerStream,
  StreamEnd,
  StreamHandlers,
  Streams,
} from "../../../../src/app/streams/stream-link.ts";

/** What waits on the way before a writer is asked to pause. */
const WINDOW = 64 * 1024;

/**
 * Streams without anything under them, as src/app/streams/stream-link.ts describes them: bytes that are taken bit by bit, ends,
 * resets, and datagrams. `cut` breaks whatever is open.
 */
export class StreamPair implements Streams {
  readonly open_ = new Set<Half>();
  readonly #accept: AcceptStream;
  /** No stream can be had. */
  isDown = false;
  /** So many streams are lost as soon as they are there. */
  cutsNext = 0;
  /** The most that ever waited. */
  waited = 0;

  constructor(accept: AcceptStream) {
    this.#accept = accept;
  }

  async open(handlers: StreamHandlers, signal?: AbortSignal): Promise<PeerStream> {
    await Promise.resolve();
    if (this.isDown || signal?.aborted === true) throw new Error("there is no agent");
    const [opener, answerer] = [new Half(this, "office"), new Half(this, "home")];
    opener.join(answerer, handlers);
    answerer.join(opener, this.#accept("home", answerer));
    for (const half of [opener, answerer]) this.open_.add(half);
    if (this.cutsNext > 0) {
      this.cutsNext -= 1;
      setImmediate(() => this.cut());
    }
    return opener;
  }

  cut(): void {
    for (const half of [...this.open_]) half.over({ type: "lost", reason: "cut" });
  }
}

class Half implements PeerStream {
  readonly peer: string;
  readonly #pair: StreamPair;
  #other: Half | undefined;
  #handlers: StreamHandlers | undefined;
  #waiting: Uint8Array[] = [];
  #isEnding = false;
  #isEnded = false;
  #owesDrain = false;
  #isOver = false;
  #isPumping = false;

  constructor(pair: StreamPair, peer: string) {
    this.#pair = pair;
    this.peer = peer;
  }

  join(other: Half, handlers: StreamHandlers): void {
    this.#other = other;
    this.#handlers = handlers;
  }

  write(chunk: Uint8Array): boolean {
    const other = this.#other;
    if (other === undefined || this.#isOver || this.#isEnding) return true;
    if (chunk.length > 0) other.#waiting.push(chunk);
    const size = other.#waiting.reduce((sum, one) => sum + one.length, 0);
    this.#pair.waited = Math.max(this.#pair.waited, size);
    setImmediate(() => other.#pump());
    if (size > WINDOW) this.#owesDrain = true;
    return !this.#owesDrain;
  }

  end(): void {
    this.#isEnding = true;
    const other = this.#other;
    if (other !== undefined) setImmediate(() => other.#pump());
  }

  reset(code: number): void {
    if (this.#isOver) return;
    setImmediate(() => this.#other?.over({ type: "reset", by: "peer", code }));
    this.over({ type: "reset", by: "self", code });
  }

  resume(): void {
    setImmediate(() => this.#pump());
  }

  sendDatagram(payload: Uint8Array): boolean {
    if (this.#isOver) return false;
    const other = this.#other;
    if (other !== undefined) setImmediate(() => other.#datagram(payload));
    return true;
  }

  over(end: StreamEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pair.open_.delete(this);
    this.#handlers?.closed(end);
  }

  #datagram(payload: Uint8Array): void {
    if (!this.#isOver) this.#handlers?.datagram?.(payload);
  }

  #pump(): void {
    if (this.#isPumping || this.#isOver) return;
    this.#isPumping = true;
    for (let chunk = this.#waiting[0]; chunk !== undefined && !this.#isOver; chunk = this.#waiting[0]) {
      const taken = this.#handlers?.data(chunk) ?? 0;
      if (taken < chunk.length) {
        this.#waiting[0] = chunk.subarray(taken);
        break;
      }
      this.#waiting.shift();
    }
    this.#isPumping = false;
    const other = this.#other;
    if (other === undefined || this.#isOver || this.#waiting.length > 0) return;
    if (other.#owesDrain) {
      other.#owesDrain = false;
      other.#handlers?.drained();
    }
    if (other.#isEnding && !this.#isEnded) {
      this.#isEnded = true;
      this.#handlers?.ended();
    }
    // Both have ended, and heard of it.
    if (this.#isEnded && other.#isEnded) for (const half of [this, other]) half.over({ type: "finished" });
  }
}
