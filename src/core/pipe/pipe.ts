import { type Instant, NEVER } from "../time.ts";
import { decodePipeControl, encodePipeControl, type PipeControl } from "./control-message.ts";
import type { DirectChange, DirectPath } from "./direct-paths.ts";
import { FLOW_CONTROL, SEAL_OVERHEAD_BYTES, TYPE_PART, TYPE_WHOLE } from "./packet.ts";
import { Reassembly, split } from "./parts.ts";
import { PathChoice, type PathPreference, type Route } from "./path-choice.ts";
import { PathProbes } from "./path-probes.ts";
import { PipeKeys, type PipeKeysOptions } from "./pipe-keys.ts";
import { type DirectAddress, type PipeOutput, type PipePath, pushPacket } from "./pipe-output.ts";
import type { OpenFailure } from "./sealing.ts";

export type { DirectAddress, PipeOutput, PipePath };

export type PipeEvent =
  | DirectChange
  /** Datagrams leave by another path from now on. */
  | { readonly type: "route"; readonly route: Route }
  /** The other side has closed the pipe. */
  | { readonly type: "closed"; readonly reason: string };

/** Datagrams of the flows by the path that they took, and what came to nothing. */
export interface PipeCounters {
  sentRelay: number;
  sentDirect: number;
  /** On both paths, and so counted in each. */
  sentBoth: number;
  /** Too large for the direct path even in halves, so sent over the relay. */
  tooLarge: number;
  /** By the path that brought the last of it first. */
  receivedRelay: number;
  receivedDirect: number;
  /** Halves whose other one did not come in time. */
  partsDropped: number;
  /** `replayed` holds what came by the other path first, too. */
  readonly refused: Record<OpenFailure, number>;
}

export interface PipeOptions extends PipeKeysOptions {
  readonly prefer: PathPreference;
  /** How often an idle direct path is spoken on: `KEEPALIVE_MS`, or sooner where a NAT on the way forgets sooner. */
  readonly keepaliveMs: number;
}

/**
 * One end of a pipe: datagrams in numbered flows between two peers, sealed end to end, over the relay from the first
 * one and over a direct path whenever there is a proven one that is better. Make before break: both paths are read at
 * all times, a switch loses nothing, and what comes twice counts once (`ReplayWindow`).
 *
 * Bulk path: `send` and `receive` return what they decided. Everything else queues.
 */
export class Pipe {
  readonly counters: PipeCounters = {
    ...{ sentRelay: 0, sentDirect: 0, sentBoth: 0, tooLarge: 0, receivedRelay: 0, receivedDirect: 0, partsDropped: 0 },
    refused: { malformed: 0, "wrong-session": 0, forged: 0, replayed: 0 },
  };
  readonly #keys: PipeKeys;
  readonly #choice: PathChoice;
  readonly #probes: PathProbes;
  readonly #reassembly = new Reassembly();
  readonly #events: PipeEvent[] = [];
  #route: Route = "relay";
  #nextPart = 0;
  #isClosed = false;

  constructor(options: PipeOptions) {
    this.#keys = new PipeKeys(options);
    this.#choice = new PathChoice(options.prefer);
    this.#probes = new PathProbes(options, (path, message, out) => this.#say(path, message, out));
  }

  /** `PipeOptions.keepaliveMs`, should the owner come to know better. */
  set keepaliveMs(value: number) {
    this.#probes.keepaliveMs = value;
  }

  /** Where the last datagram went. */
  get route(): Route {
    return this.#route;
  }

  get direct(): DirectAddress | undefined {
    return this.#probes.direct.current?.address;
  }

  get relayRttMs(): number | undefined {
    return this.#probes.relay.rttMs;
  }

  get directRttMs(): number | undefined {
    return this.#probes.direct.current?.monitor.rttMs;
  }

  /** The largest datagram that takes the direct path in one piece; 0 without one. */
  get directBytes(): number {
    const { current } = this.#probes.direct;
    return current === undefined ? 0 : current.size.bytes - SEAL_OVERHEAD_BYTES;
  }

  /** Seals one datagram for where it goes now. */
  send(now: Instant, flow: number, datagram: Uint8Array, out: PipeOutput): void {
    if (this.#isClosed) return;
    this.#probes.sending(now, out);
    const route = this.#decide(now);
    const { current } = this.#probes.direct;
    if (route === "relay" || current === undefined) this.#sendRelay(flow, datagram, out);
    else this.#sendDirect(flow, datagram, current, route, out);
  }

  /** Opens one packet. Datagrams of the flows are returned; what is the pipe's own business is answered into `out`. */
  receive(now: Instant, path: PipePath, packet: Uint8Array, out: PipeOutput): PipeDatagram | undefined {
    if (this.#isClosed) return undefined;
    const opened = this.#keys.open(now, packet);
    if (!opened.ok) {
      this.counters.refused[opened.kind] += 1;
      if (opened.kind === "replayed") this.#copy(now, path, opened, out);
      return undefined;
    }
    this.#probes.heard(now, path, out);
    const { type, flow } = opened;
    if (flow === FLOW_CONTROL) {
      const message = type === TYPE_WHOLE ? decodePipeControl(opened.payload) : undefined;
      if (message !== undefined) this.#control(now, path, message, out);
      return undefined;
    }
    const payload = type === TYPE_WHOLE ? opened.payload : this.#join(now, type, flow, opened.payload);
    if (payload === undefined) return undefined;
    if (path === "relay") this.counters.receivedRelay += 1;
    else this.counters.receivedDirect += 1;
    return { flow, payload };
  }

  /** ICE or hard-NAT punching found an address: it becomes the direct path once it has answered a sealed challenge. */
  tryDirect(now: Instant, address: DirectAddress, out: PipeOutput): void {
    if (this.#isClosed) return;
    this.#probes.direct.propose(now, address, true);
    this.#probes.askAll(now, out);
    this.#settle(now);
  }

  /** Something sealed over the relay, which the other side answers: who opened the pipe shows that it has the keys. */
  greet(now: Instant, out: PipeOutput): void {
    if (!this.#isClosed) this.#probes.askAll(now, out);
  }

  /** The owner knows that the direct path is gone: of `socket`, which is closed, or whatever it is. */
  dropDirect(now: Instant, socket?: number): void {
    if (this.#isClosed) return;
    const change = this.#probes.direct.drop(socket);
    if (change !== undefined) this.#events.push(change);
    this.#settle(now);
  }

  /** Says goodbye; the packets are in `out`. A closed pipe sends, opens and wants nothing any more. */
  close(reason: string, out: PipeOutput): void {
    if (this.#isClosed) return;
    const { current } = this.#probes.direct;
    if (current !== undefined) this.#say(current.address, { type: "close", reason }, out);
    this.#say("relay", { type: "close", reason }, out);
    this.#end();
  }

  handleTimeout(now: Instant, out: PipeOutput): void {
    if (this.#isClosed) return;
    this.#settle(now);
    this.#talkOfKeys(now, out);
    this.#probes.handleTimeout(now, this.#route, out);
  }

  pollEvent(): PipeEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(now: Instant): Instant {
    if (this.#isClosed) return NEVER;
    return Math.min(this.#keys.nextTimeout(), this.#probes.nextTimeout(now, this.#route));
  }

  #sendRelay(flow: number, datagram: Uint8Array, out: PipeOutput): void {
    this.counters.sentRelay += 1;
    out.relay.push(this.#keys.seal(TYPE_WHOLE, flow, datagram));
  }

  #sendDirect(flow: number, datagram: Uint8Array, { address, size }: DirectPath, route: Route, out: PipeOutput): void {
    const room = size.bytes - SEAL_OVERHEAD_BYTES;
    if (datagram.length <= room) this.#push(this.#keys.seal(TYPE_WHOLE, flow, datagram), address, route, out);
    else {
      const halves = split(datagram, this.#nextPart++ >>> 0, room);
      if (halves === undefined) {
        this.counters.tooLarge += 1;
        this.#sendRelay(flow, datagram, out);
        return;
      }
      for (const half of halves) this.#push(this.#keys.seal(TYPE_PART, flow, half), address, route, out);
    }
    this.counters.sentDirect += 1;
    if (route !== "both") return;
    this.counters.sentRelay += 1;
    this.counters.sentBoth += 1;
  }

  #push(packet: Uint8Array, to: DirectAddress, route: Route, out: PipeOutput): void {
    pushPacket(out, to, packet);
    if (route === "both") pushPacket(out, "relay", packet);
  }

  #join(now: Instant, type: number, flow: number, half: Uint8Array): Uint8Array | undefined {
    if (type !== TYPE_PART) return undefined;
    const whole = this.#reassembly.take(now, flow, half);
    this.counters.partsDropped = this.#reassembly.dropped;
    return whole;
  }

  /**
   * What is here already came by another way first. Anybody can repeat what he has seen, so it says nothing, except for
   * challenges and their answers on a path that is known: who is quicker than the path with copies of everything must
   * not make it look dead, or he would get the traffic.
   */
  #copy(
    now: Instant,
    path: PipePath,
    { type, flow, payload }: PipeDatagram & { readonly type: number },
    out: PipeOutput,
  ) {
    if (type !== TYPE_WHOLE || flow !== FLOW_CONTROL || !this.#probes.knows(path)) return;
    const message = decodePipeControl(payload);
    if (message?.type === "challenge" || message?.type === "response") this.#control(now, path, message, out);
  }

  #control(now: Instant, path: PipePath, message: PipeControl, out: PipeOutput): void {
    switch (message.type) {
      case "challenge":
        this.#say(path, { type: "response", token: message.token }, out);
        return;
      case "response":
        if (this.#probes.answered(now, path, message.token)) this.#settle(now);
        return;
      case "close":
        this.#events.push({ type: "closed", reason: message.reason });
        this.#end();
        return;
      case "rekey": {
        const reply = this.#keys.answer(now, message.session, message.key);
        if (reply !== undefined) this.#say(path, reply, out);
        return;
      }
      case "rekeyed":
        this.#keys.complete(now, message.session, message.key);
        this.#talkOfKeys(now, out);
        return;
      default:
        message satisfies never;
    }
  }

  #settle(now: Instant): void {
    const change = this.#probes.direct.settle(now);
    if (change !== undefined) this.#events.push(change);
    this.#decide(now);
  }

  #decide(now: Instant): Route {
    const route = this.#choice.route(now, this.#probes.relay, this.#probes.direct.current?.monitor);
    if (route !== this.#route) this.#events.push({ type: "route", route });
    this.#route = route;
    return route;
  }

  #talkOfKeys(now: Instant, out: PipeOutput): void {
    const message = this.#keys.handleTimeout(now);
    if (message === undefined) return;
    if (message === "show") this.#probes.askAll(now, out);
    else this.#say(this.#route === "relay" ? "relay" : (this.direct ?? "relay"), message, out);
  }

  #say(path: PipePath, message: PipeControl, out: PipeOutput): void {
    const packet = this.#keys.seal(TYPE_WHOLE, FLOW_CONTROL, encodePipeControl(message));
    pushPacket(out, path, packet);
  }

  #end(): void {
    this.#isClosed = true;
    this.#probes.direct.drop();
    this.#keys.release();
  }
}

/** What came out of a pipe. */
export interface PipeDatagram {
  readonly flow: number;
  readonly payload: Uint8Array;
}
