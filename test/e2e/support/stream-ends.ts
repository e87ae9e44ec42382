import type { PeerStream, StreamEnd, StreamHandlers } from "../../../src/app/streams/stream-link.ts";
import { openStreamPool, type StreamPool } from "../../../src/app/streams/stream-pool.ts";
import { openStreamService, type StreamService } from "../../../src/app/streams/stream-service.ts";
import { identity } from "./identities.ts";
import { Logbook } from "./logbook.ts";
import { PipePair } from "./pipe-pair.ts";
import { until } from "./until.ts";

export const officeIdentity = await identity({ cn: "office", agent: true });
export const homeIdentity = await identity({ cn: "home" });

/** Byte n of every stream here is n mod 251, so that nothing lost, doubled or moved goes unseen. */
const PERIOD = 251;
const PATTERN = Uint8Array.from({ length: 64 * 1024 + PERIOD }, (_, i) => i % PERIOD);
const CHUNK_BYTES = 64 * 1024;

/** One end of a stream: what its user saw, and what it does. */
export class StreamUser implements StreamHandlers {
  stream: PeerStream | undefined;
  read = 0;
  wrong = 0;
  written = 0;
  hasEnded = false;
  end: StreamEnd | undefined;
  readonly datagrams: Uint8Array[] = [];
  /** Takes nothing while it rests. */
  isResting = false;
  #wake: (() => void) | undefined;

  /** Not a method of the prototype: a service may be told to do more. */
  ended = (): void => {
    this.hasEnded = true;
  };

  data(chunk: Uint8Array): number {
    if (this.isResting) return 0;
    for (const byte of chunk) if (byte !== this.read++ % PERIOD) this.wrong += 1;
    return chunk.length;
  }

  drained(): void {
    this.#wake?.();
  }

  datagram(payload: Uint8Array): void {
    this.datagrams.push(payload);
  }

  closed(end: StreamEnd): void {
    this.end = end;
    this.#wake?.();
  }

  /** Writes so much more, as fast as it leaves. */
  async write(length: number): Promise<void> {
    const goal = this.written + length;
    while (this.written < goal && this.end === undefined) {
      const from = this.written % PERIOD;
      const chunk = PATTERN.slice(from, from + Math.min(CHUNK_BYTES, goal - this.written));
      this.written += chunk.length;
      if (this.stream?.write(chunk) === true) continue;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  rest(): void {
    this.isResting = true;
  }

  goOn(): void {
    this.isResting = false;
    this.stream?.resume();
  }

  /** All that is to be seen of it at the end. */
  get outcome(): { read: number; wrong: number; hasEnded: boolean; end: StreamEnd | undefined } {
    const { read, wrong, hasEnded, end } = this;
    return { read, wrong, hasEnded, end };
  }
}

/** A pool of `home`'s and a service of `office`'s, and the pipe between them. */
export class StreamEnds implements Disposable {
  readonly logbook: Logbook;
  readonly pair: PipePair;
  readonly pool: StreamPool;
  service: StreamService;
  /** The service's ends, in the order of their opening. */
  readonly served: StreamUser[];

  constructor(logbook: Logbook, pair: PipePair, pool: StreamPool, service: StreamService, served: StreamUser[]) {
    this.logbook = logbook;
    this.pair = pair;
    this.pool = pool;
    this.service = service;
    this.served = served;
  }

  /** Both ends of a new stream. */
  async open(): Promise<{ ours: StreamUser; theirs: StreamUser }> {
    const ours = new StreamUser();
    const before = this.served.length;
    ours.stream = await this.pool.open(ours);
    // A stream is heard of with its first byte.
    await ours.write(1);
    await until("the service has the stream", () => this.served.length > before);
    return { ours, theirs: this.served[before] as StreamUser };
  }

  /** The agent's process is no more, and another one is there: nothing says goodbye. */
  async restartService(): Promise<void> {
    this.pair.lose("the agent is gone");
    this.service[Symbol.dispose]();
    this.service = await service(this.served, this.logbook);
    this.pair.restore();
  }

  [Symbol.dispose](): void {
    this.pool[Symbol.dispose]();
    this.service[Symbol.dispose]();
  }
}

export async function streamEnds(): Promise<StreamEnds> {
  const served: StreamUser[] = [];
  const logbook = new Logbook();
  const first = await service(served, logbook);
  let ends: StreamEnds | undefined;
  const pair = new PipePair("home", (plane, pipe, peer) => (ends?.service ?? first).accept(plane, pipe, peer));
  const pool = await openStreamPool({
    plane: pair.opener,
    to: "office",
    service: "socks",
    identity: homeIdentity,
    log: logbook.log("socks"),
  });
  ends = new StreamEnds(logbook, pair, pool, first, served);
  return ends;
}

function service(served: StreamUser[], logbook: Logbook): Promise<StreamService> {
  return openStreamService({
    identity: officeIdentity,
    log: logbook.log("agent"),
    accept: (_peer, stream) => {
      const user = new StreamUser();
      user.stream = stream;
      served.push(user);
      return user;
    },
  });
}
