import { EXIT_FAULTS, type ExitFault, SocksCounters } from "../../core/socks/socks-counters.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import type { PeerStream, StreamHandlers } from "../streams/stream-link.ts";
import type { ExitDialer } from "./exit-dialer.ts";
import { type Exit, ExitStream } from "./exit-stream.ts";

/** Connections and associations: of one peer, and of all of them. */
const MAX_PER_PEER = { connect: 1_024, udp: 128 } as const;
const MAX_IN_ALL = { connect: 4_096, udp: 512 } as const;
/** RFC 5382 REQ-5: how long a TCP connection may rest at least. UDP has its own time, in the association. */
const IDLE_MS = (2 * 60 + 4) * 60_000;
const LOOK_MS = 60_000;
const QUIET_MS = 5_000;

/** The agent's end of `ut socks`: what peers reach through this node. Who may come at all is asked before. */
export class SocksExit implements Disposable {
  readonly counters = new SocksCounters<ExitFault>(EXIT_FAULTS);
  readonly #exit: Exit;
  readonly #streams = new Set<ExitStream>();
  readonly #log: DebouncedLog;
  readonly #timer: Timer;

  constructor(dialer: ExitDialer, log: Log) {
    this.#log = debounced(log, QUIET_MS, now);
    this.#exit = {
      dialer,
      counters: this.counters,
      log,
      hasRoom: (peer, kind) => this.#count(kind) < MAX_IN_ALL[kind] && this.#count(kind, peer) < MAX_PER_PEER[kind],
      refused: (peer, reason) => {
        this.counters.refuse(reason);
        this.#log.warn("exit_refused", { peer, reason });
      },
    };
    this.#timer = setInterval(() => this.#endIdle(), LOOK_MS);
  }

  /** A stream of a peer that is allowed to use this exit. */
  accept(stream: PeerStream): StreamHandlers {
    const accepted = new ExitStream(this.#exit, stream, (over) => this.#streams.delete(over));
    this.#streams.add(accepted);
    return accepted;
  }

  /** Whatever is open was not finished, and both its ends hear so. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const stream of [...this.#streams]) stream.cut("shutdown");
    this.#log.flush();
  }

  #count(kind: "connect" | "udp", peer?: string): number {
    let count = 0;
    for (const stream of this.#streams) if (stream.kind === kind && (peer ?? stream.peer) === stream.peer) count += 1;
    return count;
  }

  #endIdle(): void {
    for (const stream of [...this.#streams])
      if (stream.kind === "connect" && now() - stream.usedAt >= IDLE_MS) stream.cut("idle");
  }
}
