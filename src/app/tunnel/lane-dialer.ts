import type { Address } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { UtError } from "../../core/error.ts";
import type { Instant } from "../../core/time.ts";
import { Lane } from "../../core/tunnel/lane.ts";
import { LanePool, type LaneSlot } from "../../core/tunnel/lane-pool.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import { dialLane } from "../../io/lanes/lane-dial.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { Resolve } from "../../io/lanes/tls-dial.ts";
import type { TlsIdentity } from "../../io/lanes/tls-lane.ts";
import { WakeTimer } from "../../io/wake-timer.ts";
import { laneTarget } from "./lane-target.ts";

/** What the client does with the lanes that its dialer brings. */
export interface LaneDialerHooks {
  opened(lane: Lane, transport: LaneTransport, handshakeMs: number): void;
  data(lane: Lane, chunk: Uint8Array): void;
  drained(lane: Lane): void;
  /** The server broke the framing below the PDUs; the lane is ending. */
  broken(lane: Lane, kind: FrameErrorKind): void;
  closed(lane: Lane, error: UtError | undefined): void;
  /** The server has said something over a lane: for each of them once. */
  proven(): void;
  /** A dial did not become a lane. */
  failed(laneId: number, error: UtError): void;
  /** Nothing has passed for so long that all lanes should go. */
  idle(): void;
}

export interface LaneDialerOptions {
  readonly tcp: Config["tcp"];
  readonly server: Address;
  /** The name that the server's certificate must carry, if it is not the server's host. */
  readonly serverName: string | undefined;
  readonly identity: TlsIdentity;
  readonly resolve: Resolve | undefined;
}

/** Dials when the `LanePool` says so, keeps its one timer, and tells it what became of each dial and each lane. */
export class LaneDialer {
  readonly #options: LaneDialerOptions;
  readonly #hooks: LaneDialerHooks;
  readonly #pool: LanePool;
  readonly #abort = new AbortController();
  readonly #timer = new WakeTimer(() => {
    this.#pool.handleTimeout(now());
    this.#run();
  });
  #stopped = false;
  /** Dials under way. */
  dialing = 0;
  /** The server has said something, over some lane. */
  heard = false;

  constructor(options: LaneDialerOptions, hooks: LaneDialerHooks) {
    this.#options = options;
    this.#hooks = hooks;
    const { lanes, idle_seconds } = options.tcp;
    this.#pool = new LanePool({ lanes, idleMs: idle_seconds * 1_000, random: Math.random });
  }

  /** Lanes dialled again after one broke or failed. */
  get redials(): number {
    return this.#pool.redials;
  }

  get slots(): LaneSlot[] {
    return this.#pool.slots(now());
  }

  /** Datagrams pass: that keeps lanes up. */
  touch(): void {
    this.#pool.touch(now());
  }

  /** Datagrams want to go, or soon will: that brings missing lanes back, too. */
  demand(at: Instant = now()): void {
    this.#pool.touch(at);
    if (this.#stopped || this.#pool.openLanes === this.#options.tcp.lanes) return;
    this.#pool.demand(at);
    this.#run();
  }

  /** One lane, if there is none: to see whether the server is there. */
  probe(): void {
    if (this.#stopped) return;
    this.#pool.probe(now());
    this.#run();
  }

  /** No lane is wanted any more. Those that are open are their owner's. */
  release(): void {
    this.#pool.release();
    this.#run();
  }

  /** `worked`: the server had acknowledged the lane or had sent data. */
  closed(lane: Lane, worked: boolean): void {
    this.#pool.closed(now(), lane.id, worked);
    this.#run();
  }

  /** No dial begins any more; those under way go on. */
  stop(): void {
    this.#stopped = true;
    this.#timer[Symbol.dispose]();
  }

  /** Give up the dials that are under way, too. Open lanes are their owner's. */
  abort(): void {
    this.stop();
    this.#abort.abort();
  }

  #run(): void {
    if (this.#stopped) return;
    for (let command = this.#pool.pollCommand(); command !== undefined; command = this.#pool.pollCommand()) {
      if (command.type === "dial") this.#dial(command.lane);
      else this.#hooks.idle();
    }
    this.#timer.set(this.#pool.nextTimeout());
  }

  #dial(laneId: number): void {
    const { tcp, server, serverName, identity, resolve } = this.#options;
    const lane = new Lane(laneId);
    let isOpen = false;
    let proven = false;
    this.dialing++;
    dialLane(
      { ...laneTarget(tcp, serverName, server), identity, resolve },
      {
        opened: (transport, handshakeMs) => {
          this.dialing--;
          isOpen = true;
          this.#hooks.opened(lane, transport, handshakeMs);
          this.#pool.opened(now(), laneId);
          this.#run();
        },
        data: (chunk) => {
          this.#hooks.data(lane, chunk);
          if (proven || (!lane.greeted && lane.packetsIn === 0)) return;
          proven = true;
          this.heard = true;
          this.#hooks.proven();
          this.#pool.proven(now(), laneId);
          this.#run();
        },
        drained: () => this.#hooks.drained(lane),
        broken: (kind) => this.#hooks.broken(lane, kind),
        closed: (error) => {
          if (isOpen) this.#hooks.closed(lane, error);
          else this.#failed(laneId, error ?? new UtError("lane.closed", "Dial given up: the node is stopping"));
        },
      },
      this.#abort.signal,
    );
  }

  #failed(laneId: number, error: UtError): void {
    this.dialing--;
    this.#pool.failed(now(), laneId);
    this.#hooks.failed(laneId, error);
    this.#run();
  }
}
