import type { UtError } from "../../core/error.ts";
import { HeadReader, type HttpRequest, parseRequest } from "../../core/http/head.ts";
import { answerVisitor, type PlainAnswer, type PlainRefusal, refuseVisitor } from "../../core/http/plain-site.ts";
import { MAX_HEAD_BYTES } from "../../core/websocket/protocol.ts";
import { acceptUpgrade } from "../../core/websocket/server-handshake.ts";
import type { OpenLaneHandlers } from "./lane-transport.ts";
import { HANDSHAKE_TIMEOUT_MS, type TlsLane } from "./tls-lane.ts";
import type { TlsVerdict } from "./tls-verdict.ts";

/** Requests over one connection; browsers and probes stay far below. */
const MAX_REQUESTS = 100;

export interface HttpsVisitorOptions {
  /** Where lanes are. */
  readonly path: string;
  /** Why this visitor may not have one; undefined: it may. */
  readonly verdict: TlsVerdict | undefined;
}

export interface HttpsVisitorHooks {
  /** It has been answered and is a WebSocket from here on; `rest` is what it has sent behind its request. */
  upgraded(rest: Uint8Array): void;
  /** It asked for something that is not there for it, and meets a web site without pages. Told once. */
  turnedAway(verdict: TlsVerdict): void;
}

/**
 * A TLS connection at a server in `wss` mode until it is a lane: an ordinary HTTPS client at an ordinary web site. Only a
 * request for the WebSocket, by a client whose certificate has been judged good, becomes anything else.
 */
export class HttpsVisitor implements OpenLaneHandlers {
  readonly #lane: TlsLane;
  readonly #options: HttpsVisitorOptions;
  readonly #hooks: HttpsVisitorHooks;
  #reader = new HeadReader(MAX_HEAD_BYTES);
  #requests = 0;
  #isTold = false;
  #isOver = false;

  constructor(lane: TlsLane, options: HttpsVisitorOptions, hooks: HttpsVisitorHooks) {
    this.#lane = lane;
    this.#options = options;
    this.#hooks = hooks;
  }

  data(chunk: Uint8Array): void {
    for (let bytes = chunk; bytes.length > 0 && !this.#isOver; ) {
      const reading = this.#reader.feed(bytes);
      if (reading.state === "need-more") return;
      const request = reading.state === "whole" ? parseRequest(reading.text) : undefined;
      if (reading.state === "bad" || request === undefined) {
        this.#refuse(reading.state === "bad" && reading.kind === "too-large" ? 431 : 400);
        return;
      }
      bytes = reading.rest;
      this.#reader = new HeadReader(MAX_HEAD_BYTES);
      this.#request(request, bytes);
    }
  }

  drained(): void {}

  closed(_error: UtError | undefined): void {}

  #request(request: HttpRequest, rest: Uint8Array): void {
    const upgrade = acceptUpgrade(request, this.#options.path);
    const { verdict } = this.#options;
    if (upgrade === undefined || verdict !== undefined) {
      const asked = `${request.method} ${request.target} is no request for ${this.#options.path}`;
      this.#tell(upgrade !== undefined && verdict !== undefined ? verdict : { reason: "visitor", detail: asked });
      this.#answer(answerVisitor(request, httpDate(), ++this.#requests === MAX_REQUESTS));
      return;
    }
    this.#isOver = true;
    this.#lane.inTime();
    if (this.#lane.write(upgrade, 0, upgrade.length) < upgrade.length) this.#lane.terminate();
    else this.#hooks.upgraded(rest);
  }

  #refuse(status: PlainRefusal): void {
    this.#tell({ reason: "visitor", detail: "no HTTP request; a client of ut must set tcp.transport: wss, too" });
    this.#answer(refuseVisitor(status, httpDate()));
  }

  #answer({ bytes, keepsOpen }: PlainAnswer): void {
    const isTaken = this.#lane.write(bytes, 0, bytes.length) === bytes.length;
    if (isTaken && keepsOpen) {
      this.#lane.expect(HANDSHAKE_TIMEOUT_MS, () => this.#lane.terminate());
      return;
    }
    this.#isOver = true;
    this.#lane.inTime();
    // Whoever asks on and on and reads no answers gets none.
    if (isTaken) this.#lane.end();
    else this.#lane.terminate();
  }

  #tell(verdict: TlsVerdict): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#hooks.turnedAway(verdict);
  }
}

function httpDate(): string {
  return new Date().toUTCString();
}
