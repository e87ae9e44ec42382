import { randomBytes } from "node:crypto";
import { UtError } from "../../core/error.ts";
import { HeadReader, parseResponse } from "../../core/http/head.ts";
import {
  judgeUpgradeAnswer,
  type UpgradeRequest,
  type UpgradeTarget,
  upgradeRequest,
} from "../../core/websocket/client-handshake.ts";
import { MAX_HEAD_BYTES } from "../../core/websocket/protocol.ts";
import { now } from "../clock.ts";
import type { LaneHandlers, LaneTransport } from "./lane-transport.ts";
import { HANDSHAKE_TIMEOUT_MS } from "./tls-lane.ts";
import { WebSocketLane } from "./web-socket-lane.ts";

/**
 * The owner of a dialled TLS connection that is to become a WebSocket: asks for it, judges the answer, and only then
 * tells the lane's owner that it is open. `signal` gives the dial up until then.
 */
export class WebSocketDial implements LaneHandlers {
  readonly #handlers: LaneHandlers;
  readonly #request: UpgradeRequest;
  readonly #url: string;
  readonly #signal: AbortSignal;
  readonly #reader = new HeadReader(MAX_HEAD_BYTES);
  readonly #giveUp = () => this.#fail(new UtError("lane.closed", "Dial given up: the node is stopping"));
  #transport: LaneTransport | undefined;
  #lane: WebSocketLane | undefined;
  #error: UtError | undefined;
  #tlsMs = 0;
  #askedAt = 0;
  #deadline: Timer | undefined;

  constructor(target: UpgradeTarget, handlers: LaneHandlers, signal: AbortSignal) {
    this.#handlers = handlers;
    this.#signal = signal;
    this.#request = upgradeRequest(target, randomBytes);
    this.#url = `wss://${target.host}${target.path}`;
  }

  opened(transport: LaneTransport, tlsMs: number): void {
    this.#transport = transport;
    this.#tlsMs = tlsMs;
    this.#askedAt = now();
    this.#signal.addEventListener("abort", this.#giveUp, { once: true });
    this.#deadline = setTimeout(() => this.#refuse("no answer within 10 s"), HANDSHAKE_TIMEOUT_MS);
    const { bytes } = this.#request;
    // Not even the empty buffer of a new connection takes it: nothing good will come of this one.
    if (transport.write(bytes, 0, bytes.length) < bytes.length) this.#refuse("the connection takes no bytes");
  }

  data(chunk: Uint8Array): void {
    if (this.#lane !== undefined) this.#lane.data(chunk);
    else if (this.#error === undefined) this.#answer(chunk);
  }

  drained(): void {
    this.#lane?.drained();
  }

  closed(error: UtError | undefined): void {
    this.#settle();
    if (this.#lane !== undefined) this.#lane.closed(error);
    else this.#handlers.closed(this.#error ?? error ?? this.#refusal("the connection was closed without an answer"));
  }

  #answer(chunk: Uint8Array): void {
    const reading = this.#reader.feed(chunk);
    if (reading.state === "need-more") return;
    const answer = reading.state === "whole" ? parseResponse(reading.text) : undefined;
    if (reading.state === "bad" || answer === undefined) {
      this.#refuse("its answer is not HTTP; check that tcp.transport is wss at the server, too");
      return;
    }
    const problem = judgeUpgradeAnswer(answer, this.#request.key);
    if (problem === undefined) this.#open(reading.rest);
    else this.#refuse(problem);
  }

  #open(rest: Uint8Array): void {
    // Invariant: an answer comes over the connection that was opened.
    const lane = new WebSocketLane(this.#transport!, "client", (kind) => this.#handlers.broken?.(kind));
    this.#settle();
    this.#lane = lane;
    lane.adopt(this.#handlers);
    this.#handlers.opened(lane, this.#tlsMs + now() - this.#askedAt);
    if (rest.length > 0) lane.data(rest);
  }

  #refuse(detail: string): void {
    this.#fail(this.#refusal(detail));
  }

  #refusal(detail: string): UtError {
    const remote = this.#transport?.remote ?? "";
    return new UtError("wss.refused", `Cannot open a WebSocket at ${this.#url} (${remote}): ${detail}`, {
      details: { remote },
    });
  }

  #fail(error: UtError): void {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#settle();
    this.#transport?.terminate();
  }

  /** It is decided. */
  #settle(): void {
    clearTimeout(this.#deadline);
    this.#signal.removeEventListener("abort", this.#giveUp);
  }
}
