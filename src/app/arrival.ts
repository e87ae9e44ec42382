import type { UtError } from "../core/error.ts";
import { Lane, PARTIAL_PDU_MS } from "../core/tunnel/lane.ts";
import type { Hello } from "../core/wire/control.ts";
import type { FrameErrorKind } from "../core/wire/pdu.ts";
import { now } from "../io/clock.ts";
import type { LaneTransport, OpenLaneHandlers } from "../io/lane-transport.ts";
import type { HostedSession } from "./hosted-session.ts";

/** What the server does about connections that have not said yet where they belong. */
export interface ArrivalHooks {
  /** The first PDU is here: a HELLO, or DATA without one. Attaches the lane to its session, or says why it must go. */
  join(arrival: Arrival, hello: Hello | undefined): HostedSession | FrameErrorKind;
  refused(arrival: Arrival, kind: FrameErrorKind): void;
  /** It ended before it belonged anywhere. */
  left(arrival: Arrival, error: UtError | undefined): void;
}

/**
 * An authenticated connection at the server. Its first PDU says which session it belongs to; from then on it is a
 * lane of that session and this only passes on what happens.
 *
 * A connection that stays silent is left alone, as a peer that speaks only DATA may have nothing to say on it yet; how
 * many of those there can be is the server's to bound.
 */
export class Arrival implements OpenLaneHandlers {
  readonly lane = new Lane(-1);
  readonly transport: LaneTransport;
  readonly #hooks: ArrivalHooks;
  #hosted: HostedSession | undefined;
  #deadline: Timer | undefined;

  constructor(transport: LaneTransport, hooks: ArrivalHooks) {
    this.transport = transport;
    this.#hooks = hooks;
  }

  data(chunk: Uint8Array): void {
    if (this.#hosted !== undefined) this.#hosted.tunnel.received(this.lane, chunk);
    else if (this.lane.error === undefined) this.#firstPdu(chunk);
  }

  drained(): void {
    this.#hosted?.tunnel.drained(this.lane);
  }

  closed(error: UtError | undefined): void {
    clearTimeout(this.#deadline);
    if (this.#hosted !== undefined) this.#hosted.tunnel.closed(this.lane, error);
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
    this.#hosted = joined;
    joined.tunnel.add(this.lane, this.transport);
    joined.tunnel.resume(this.lane, hello === undefined);
  }

  /** Say why, and end. */
  #refuse(kind: FrameErrorKind): void {
    const { lane, transport } = this;
    clearTimeout(this.#deadline);
    lane.error = kind;
    this.#hooks.refused(this, kind);
    lane.putControl({ type: "err", kind, message: "" });
    transport.write(lane.outbox, lane.start, lane.end);
    transport.end();
  }
}
