import { type ErrorKind, UtError } from "../../core/error.ts";
import { decodeControl, encodeControl, MAX_CTRL_BYTES } from "../../core/wire/control.ts";
import { ctrlPdu } from "../../core/wire/ctrl-pdu.ts";
import { PduDecoder, TYPE_CTRL } from "../../core/wire/pdu.ts";
import { decodeSignal, encodeSignal } from "../../core/wire/signal.ts";
import { now } from "../../io/clock.ts";
import { dialLane } from "../../io/lanes/lane-dial.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { TlsIdentity } from "../../io/lanes/tls-lane.ts";
import type { ResolvedAddress } from "../../io/tcp/happy-eyeballs.ts";
import type { LaneTarget } from "../tunnel/lane-target.ts";

export interface TalkOptions {
  /** The server, and how lanes to it are dialled. */
  readonly target: LaneTarget;
  /** The address to dial: the server's, or the proxy's. */
  readonly address: ResolvedAddress;
  readonly identity: TlsIdentity;
  /** CNs that the server is asked for. */
  readonly peers: readonly string[];
  readonly node: string;
  readonly signal: AbortSignal;
}

/** `no-tunnel`: the proxy leads nowhere; `no-websocket`: behind TLS is none (`tcp.transport: wss`). */
export type FailedStage = "no-connection" | "no-tunnel" | "no-tls" | "no-websocket";

/** How far a conversation with one address of a server came; `talkToServer` always tries. */
export type Talk =
  | { readonly stage: "not-tried"; readonly because: string }
  | { readonly stage: FailedStage; readonly error: UtError }
  /** It trusts this node's CA, and does not let this name in. */
  | { readonly stage: "denied"; readonly detail: string }
  /** It accepted the handshake and closed without a word. */
  | { readonly stage: "hung-up" }
  | { readonly stage: "silent" }
  /** What answered does not speak `ut`. */
  | { readonly stage: "gibberish" }
  /** It speaks `ut`, and said why not: `peers_off`, or of a newer version. */
  | { readonly stage: "refused"; readonly reason: string; readonly message: string }
  | ({ readonly stage: "greeted" } & Greeting);

export interface Greeting {
  readonly rttMs: number;
  /** What its lanes can do; empty where it does not tell. */
  readonly caps: readonly string[];
  /** The server's clock minus this one's, known to half of `rttMs`; undefined where it does not tell. */
  readonly clockOffsetMs: number | undefined;
  /** Whether each of the peers asked for is registered; one that is missing could not be told. */
  readonly registered: ReadonlyMap<string, boolean>;
}

/** A server that is there answers within a round trip; also one under load, or far away. */
const ANSWER_MS = 5_000;

/**
 * Dials one address of a server as a node would, greets it on a control connection, which makes no session and takes no
 * place of a lane, asks its question and leaves with a goodbye. Never rejects.
 */
export function talkToServer(options: TalkOptions): Promise<Talk> {
  return new Conversation(options).outcome;
}

const STAGES: Readonly<Partial<Record<ErrorKind, FailedStage>>> = {
  "io.connect": "no-connection",
  "proxy.refused": "no-tunnel",
  "wss.refused": "no-websocket",
};

class Conversation {
  readonly #options: TalkOptions;
  readonly #result = Promise.withResolvers<Talk>();
  readonly #decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  readonly #registered = new Map<string, boolean>();
  #transport: LaneTransport | undefined;
  #greetedAt = { monotonic: 0, wall: 0 };
  #greeting: Greeting | undefined;
  #deadline: Timer | undefined;

  constructor(options: TalkOptions) {
    this.#options = options;
    const { target, address, identity, signal } = options;
    dialLane(
      { ...target, identity, resolve: async () => [address] },
      {
        opened: (transport) => this.#opened(transport),
        data: (chunk) => this.#read(chunk),
        drained: () => {},
        closed: (error) => this.#closed(error),
      },
      signal,
    );
    signal.addEventListener("abort", () => this.#transport?.terminate(), { once: true });
  }

  get outcome(): Promise<Talk> {
    return this.#result.promise;
  }

  #opened(transport: LaneTransport): void {
    this.#transport = transport;
    this.#greetedAt = { monotonic: now(), wall: Date.now() };
    const { node } = this.#options;
    const session_id = crypto.randomUUID();
    this.#say(encodeControl({ type: "hello", kind: "control", session_id, lane_id: 0, node }));
    this.#deadline = setTimeout(() => this.#end(this.#soFar("silent")), ANSWER_MS);
  }

  #read(chunk: Uint8Array): void {
    this.#decoder.feed(chunk);
    for (let next = this.#decoder.next(); next !== "need-more"; next = this.#decoder.next()) {
      if (next === "error") {
        this.#end(this.#soFar("gibberish"));
        return;
      }
      if (this.#decoder.type === TYPE_CTRL) this.#take(this.#decoder.payload);
    }
  }

  #take(payload: Uint8Array): void {
    const control = decodeControl(payload);
    if (control.ok && control.message.type === "hello_ack") this.#welcomed(control.message.caps, control.message.time);
    else if (control.ok && control.message.type === "err") {
      const { kind: reason, message } = control.message;
      this.#end(reason === "denied_cn" ? { stage: "denied", detail: message } : { stage: "refused", reason, message });
    }
    const signal = decodeSignal(payload);
    if (!signal.ok || signal.signal.type !== "found_peer") return;
    this.#registered.set(signal.signal.to, signal.signal.registered);
    this.#endIfDone();
  }

  #welcomed(caps: readonly string[], time: number | undefined): void {
    const rttMs = now() - this.#greetedAt.monotonic;
    const clockOffsetMs = time === undefined ? undefined : time - (this.#greetedAt.wall + rttMs / 2);
    this.#greeting = { rttMs, caps, clockOffsetMs, registered: this.#registered };
    for (const to of new Set(this.#options.peers)) this.#say(encodeSignal({ type: "find_peer", to }));
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#greeting === undefined || !this.#options.peers.every((peer) => this.#registered.has(peer))) return;
    this.#say(encodeControl({ type: "goodbye", reason: "check" }));
    this.#end(this.#soFar("silent"));
  }

  /** A server that greets but does not know the question is one that greets. */
  #soFar(stage: "hung-up" | "silent" | "gibberish"): Talk {
    return this.#greeting === undefined ? { stage } : { stage: "greeted", ...this.#greeting };
  }

  #say(payload: Uint8Array): void {
    const pdu = ctrlPdu(payload);
    // A few hundred bytes on a fresh connection: the socket takes them whole.
    this.#transport?.write(pdu, 0, pdu.length);
  }

  #end(talk: Talk): void {
    clearTimeout(this.#deadline);
    this.#result.resolve(talk);
    this.#transport?.end();
  }

  #closed(error: UtError | undefined): void {
    clearTimeout(this.#deadline);
    if (this.#transport !== undefined) this.#result.resolve(this.#soFar("hung-up"));
    else {
      const why = error ?? new UtError("lane.closed", "The connection ended");
      this.#result.resolve({ stage: STAGES[why.kind] ?? "no-tls", error: why });
    }
  }
}
