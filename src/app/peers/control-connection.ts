import { UtError } from "../../core/error.ts";
import { parseEndpoint } from "../../core/net/endpoint.ts";
import { canonicalIp } from "../../core/net/ip.ts";
import type { Instant } from "../../core/time.ts";
import { decodeControl, encodeControl, MAX_CTRL_BYTES } from "../../core/wire/control.ts";
import { encodeCtrl, HEADER_BYTES, PduDecoder, TYPE_CTRL } from "../../core/wire/pdu.ts";
import { decodeSignal, encodeSignal, type Signal, type SignalInput } from "../../core/wire/signal.ts";
import { now } from "../../io/clock.ts";
import { dialLane } from "../../io/lanes/lane-dial.ts";
import type { LaneTransport } from "../../io/lanes/lane-transport.ts";
import type { Log } from "../../io/log/log.ts";
import type { NodeIdentity } from "../role.ts";
import { type LaneWay, laneTarget } from "../tunnel/lane-target.ts";
import { RedialTimes } from "../tunnel/redial-times.ts";
import type { Servers, ServerUser } from "../tunnel/servers.ts";

export interface ControlConnectionOptions {
  readonly servers: Servers;
  readonly way: LaneWay;
  readonly serverName: string | undefined;
  readonly identity: NodeIdentity;
  /** Of this process's lanes: so the server knows which lanes a pipe's datagrams take. */
  readonly sessionId: string;
  /** Program and version, for the other side's log. */
  readonly node: string;
  readonly log: Log;
}

export interface ControlConnectionHooks {
  /** The server has answered the greeting; `server` is its IP address, where not only a proxy knows it. */
  connected(server: string | undefined, transport: LaneTransport): void;
  lost(): void;
  received(signal: Signal): void;
}

/** A server that takes nothing for so long that this much waits is no server any more. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** DESIGN "Signalling": who was evicted from its CN stays away for a minute. */
const REPLACED_MS = 60_000;
/** A connection that lasted so long worked, and is dialled again at once. */
const WORKED_MS = 5_000;

/** A dial, and the connection that it became. */
interface Dial {
  readonly server: number;
  readonly abort: AbortController;
  link: Link | undefined;
}

/**
 * The control connection of a process with peer roles: a TLS connection to the server in use that carries no datagrams,
 * only signals. Dialled at once, and again whenever it is lost or another server is in use; what was to be sent meanwhile
 * is the sender's to repeat.
 */
export class ControlConnection implements Disposable, ServerUser {
  readonly #options: ControlConnectionOptions;
  readonly #hooks: ControlConnectionHooks;
  readonly #times = new RedialTimes(Math.random);
  #dialled: Dial | undefined;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(options: ControlConnectionOptions, hooks: ControlConnectionHooks) {
    this.#options = options;
    this.#hooks = hooks;
    options.servers.use(this);
  }

  /** The server has answered the greeting of the connection that is there now. */
  get isConnected(): boolean {
    return this.#link?.isGreeted === true;
  }

  get #link(): Link | undefined {
    return this.#dialled?.link;
  }

  /** Why there is no connection, if the last dial failed. */
  lastError: UtError | undefined;

  dial(): void {
    if (this.#isOver) return;
    const { servers, way, identity, serverName, sessionId, node, log } = this.#options;
    const dial: Dial = { server: servers.current, abort: new AbortController(), link: undefined };
    // Invariant: the server in use is one of the list.
    const address = servers.addresses[dial.server]!;
    const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
    this.#dialled = dial;
    servers.wanted(now());
    dialLane(
      { ...laneTarget(way, serverName, address), identity },
      {
        opened: (transport) => {
          dial.link = new Link(transport);
          dial.link.send(encodeControl({ type: "hello", kind: "control", session_id: sessionId, lane_id: 0, node }));
        },
        data: (chunk) => {
          const { link } = dial;
          if (link === undefined || dial !== this.#dialled) return;
          servers.wanted(now());
          decoder.feed(chunk);
          for (let next = decoder.next(); next !== "need-more"; next = decoder.next()) {
            if (next === "pdu" && decoder.type === TYPE_CTRL) this.#payload(dial.server, link, decoder.payload);
            else {
              log.warn("frame_err", { kind: decoder.error ?? "unexpected_data", remote: link.transport.remote });
              link.transport.terminate();
              return;
            }
          }
        },
        drained: () => dial.link?.flush(),
        broken: (kind) => log.warn("frame_err", { kind, remote: dial.link?.transport.remote }),
        closed: (error) => this.#closed(dial, error),
      },
      dial.abort.signal,
    );
  }

  isUp(server: number): boolean {
    return this.isConnected && this.#dialled?.server === server;
  }

  /** What is up with another server ends, and the one in use is dialled at once. */
  move(): void {
    if (this.#isOver) return;
    const left = this.#dialled;
    this.#dialled = undefined;
    left?.abort.abort();
    left?.link?.send(encodeControl({ type: "goodbye", reason: "moved" }));
    left?.link?.transport.end();
    if (left?.link?.isGreeted) this.#hooks.lost();
    clearTimeout(this.#timer);
    this.dial();
  }

  /** It has moved by then. */
  leave(): void {}

  /** Dropped while there is no connection. */
  send(signal: SignalInput): void {
    if (this.#link?.isGreeted) this.#link.send(encodeSignal(signal));
  }

  /** The server is silent: give this connection up and dial again. */
  drop(): void {
    this.#link?.transport.terminate();
  }

  /** Say that this node goes. */
  end(): void {
    this.#isOver = true;
    this.#dialled?.abort.abort();
    clearTimeout(this.#timer);
    this.#link?.send(encodeControl({ type: "goodbye", reason: "shutdown" }));
    this.#link?.transport.end();
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    this.#dialled?.abort.abort();
    clearTimeout(this.#timer);
    this.#link?.transport.terminate();
  }

  #payload(server: number, link: Link, payload: Uint8Array): void {
    const control = decodeControl(payload);
    if (control.ok) {
      switch (control.message.type) {
        case "hello_ack":
          this.#greeted(server, link);
          return;
        case "goodbye":
          this.#goodbye(link, control.message.reason);
          return;
        case "err":
          this.#options.log.warn("peer_err", { kind: control.message.kind, detail: control.message.message });
          return;
        case "hello":
          return;
        default:
          control.message satisfies never;
      }
    }
    const decoded = decodeSignal(payload);
    if (decoded.ok && link.isGreeted) this.#hooks.received(decoded.signal);
    else if (!decoded.ok) this.#options.log.debug("signal_unknown", { kind: decoded.kind });
  }

  #greeted(server: number, link: Link): void {
    if (link.isGreeted) return;
    link.isGreeted = true;
    link.greetedAt = now();
    this.lastError = undefined;
    this.#options.log.info("control_open", { remote: link.transport.remote });
    this.#hooks.connected(this.#addressOf(server, link), link.transport);
    this.#options.servers.answered(server);
  }

  /** Behind a proxy the connection's other end is the proxy. */
  #addressOf(server: number, { transport }: Link): string | undefined {
    const { servers, way } = this.#options;
    if (way.proxy === undefined) return parseEndpoint(transport.remote)?.address;
    return canonicalIp(servers.addresses[server]?.host ?? "");
  }

  #goodbye(link: Link, reason: string): void {
    this.#options.log.debug("control_goodbye", { reason });
    if (reason === "replaced") {
      this.#options.log.warn("control_replaced", { retry_in_ms: REPLACED_MS });
      this.#times.hold(REPLACED_MS);
      link.isReplaced = true;
    }
    link.transport.end();
  }

  #closed(dial: Dial, error: UtError | undefined): void {
    // It was left for another server.
    if (dial !== this.#dialled) return;
    const { server, link } = dial;
    const wasGreeted = link?.isGreeted === true;
    this.#dialled = undefined;
    if (wasGreeted) this.#hooks.lost();
    if (this.#isOver) return;
    // One that is closed again and again right after its greeting is of no use.
    if (wasGreeted && now() - link.greetedAt >= WORKED_MS) this.#times.worked();
    const inMs = this.#times.next();
    const fields = { retry_in_ms: Math.round(inMs), err: error };
    if (wasGreeted) this.#options.log.warn("control_close", fields);
    else {
      this.lastError = error ?? new UtError("lane.closed", "The server hung up before it answered the greeting");
      this.#options.log.warn("control_dial_fail", { ...fields, err: this.lastError });
    }
    this.#timer = setTimeout(() => this.dial(), inMs);
    // The server is there, it is this node's namesake that it prefers.
    if (link?.isReplaced !== true) this.#options.servers.ended(server, wasGreeted);
  }
}

/** One connection that is up, and what its socket has not taken yet. */
class Link {
  readonly transport: LaneTransport;
  isGreeted = false;
  greetedAt: Instant = 0;
  isReplaced = false;
  #waiting: Uint8Array[] = [];
  #bytes = 0;

  constructor(transport: LaneTransport) {
    this.transport = transport;
  }

  send(payload: Uint8Array): void {
    const pdu = new Uint8Array(HEADER_BYTES + payload.length);
    encodeCtrl(pdu, 0, payload);
    this.#waiting.push(pdu);
    this.#bytes += pdu.length;
    if (this.#bytes > MAX_WAITING_BYTES) this.transport.terminate();
    else if (this.#waiting.length === 1) this.flush();
  }

  flush(): void {
    for (let [pdu] = this.#waiting; pdu !== undefined; [pdu] = this.#waiting) {
      const taken = this.transport.write(pdu, 0, pdu.length);
      this.#bytes -= taken;
      if (taken < pdu.length) {
        this.#waiting[0] = pdu.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
  }
}
