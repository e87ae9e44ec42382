import type { UtError } from "../../core/error.ts";
import { Lane, PARTIAL_PDU_MS } from "../../core/tunnel/lane.ts";
import type { Hello } from "../../core/wire/control.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";
import { now } from "../../io/clock.ts";
import type { LaneTransport, OpenLaneHandlers } from "../../io/lanes/lane-transport.ts";

/** What a connection has become: hears of it from then on, and reads on behind the first PDU when told to start. */
export interface Berth extends OpenLaneHandlers {
  start(): void;
}

/** Why a connection may not stay. `peers_off`: it is no lane, and this server has no use for it (`server.peers`). */
export type Refusal = FrameErrorKind | "peers_off";

/** What the server does about connections that have not said yet where they belong. */
export interface ArrivalHooks {
  /** The first PDU is here: a HELLO, or DATA without one. Says what the connection is from now on, or why it must go. */
  join(arrival: Arrival, hello: Hello | undefined): Berth | Refusal;
  refused(arrival: Arrival, kind: Refusal): void;
  /** It ended before it belonged anywhere. */
  left(arrival: Arrival, error: UtError | undefined): void;
}

/**
 * An authenticated connection at the server. Its first PDU says what it is: a lane of which session, or a control
 * connection; from then on this only passes on what happens.
 *
 * A connection that stays silent is left alone, as a peer that speaks only DATA may have nothing to say on it yet; how
 * many of those there can be is the server's to bound.
 */
export class Arrival implements OpenLaneHandlers {
  readonly lane = new Lane(-1);
  readonly transport: LaneTransport;
  readonly #hooks: ArrivalHooks;
  #berth: Berth | undefined;
  #isRefused = false;
  #deadline: Timer | undefined;

  constructor(transport: LaneTransport, hooks: ArrivalHooks) {
    this.transport = transport;
    this.#hooks = hooks;
  }

  data(chunk: Uint8Array): void {
    if (this.#berth !== undefined) this.#berth.data(chunk);
    else if (!this.#isRefused) this.#firstPdu(chunk);
  }

  drained(): void {
    this.#berth?.drained();
  }

  closed(error: UtError | undefined): void {
    clearTimeout(this.#deadline);
    if (this.#berth !== undefined) this.#berth.closed(error);
    else this.#hooks.left(this, error);
  }

  #firstPdu(chunk: Uint8Array): void {
    const { lane } = this;
    lane.feed(chunk);
    const event = lane.next(now());
    switch (event) {
      case "need-more":
        // One that began must also end.
        if (lane.decoder.partial) this.#deadline ??= setTimeout(() => this.#refuse("slow_pdu"), PARTIAL_PDU_MS);
        return;
      case "error":
        this.#refuse(lane.error ?? "bad_magic");
        return;
      case "control":
        if (lane.message?.type === "hello") this.#join(lane.message);
        else this.#refuse("bad_hello");
        return;
      case "data":
        if (lane.decoder.flags === 0) this.#join(undefined);
        else this.#refuse("bad_flags");
        return;
      default:
        event satisfies never;
    }
  }

  #join(hello: Hello | undefined): void {
    clearTimeout(this.#deadline);
    const joined = this.#hooks.join(this, hello);
    if (typeof joined === "string") {
      this.#refuse(joined);
      return;
    }
    // Before anything is read on: what comes next may already end the lane.
    this.#berth = joined;
    joined.start();
  }

  /** Say why, and end. */
  #refuse(kind: Refusal): void {
    const { lane, transport } = this;
    clearTimeout(this.#deadline);
    this.#isRefused = true;
    this.#hooks.refused(this, kind);
    const message = kind === "peers_off" ? "this server brings no peers together (server.peers: false)" : "";
    lane.putControl({ type: "err", kind, message });
    transport.write(lane.outbox, lane.start, lane.end);
    transport.end();
  }
}
