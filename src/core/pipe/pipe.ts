import type { RandomBytes, Transmit } from "../machine.ts";
import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import {
  CHALLENGE_BYTES,
  decodePipeControl,
  encodePipeControl,
  type PipeControl,
  TOKEN_BYTES,
} from "./control-message.ts";
import { FLOW_CONTROL, SEAL_OVERHEAD_BYTES, TYPE_PART, TYPE_WHOLE } from "./packet.ts";
import { Reassembly, split } from "./parts.ts";
import { DOWN_MS, PathChoice, type PathPreference, type Route } from "./path-choice.ts";
import { PathMonitor } from "./path-monitor.ts";
import { PathSize } from "./path-size.ts";
import { PipeKeys, type PipeKeysOptions } from "./pipe-keys.ts";
import type { OpenFailure } from "./sealing.ts";

/** From where to where on the direct path. `socket` is the caller's number for one of its sockets. */
export interface DirectAddress {
  readonly socket: number;
  readonly remote: Endpoint;
}

/** Where a sealed packet is to go, or came from. */
export type PipePath = "relay" | DirectAddress;

/**
 * Sealed packets that are to leave, gathered over one turn of the event loop, sent as batches and emptied by the owner.
 * `direct` may be shared by many pipes; all packets to one address carry the same object as `to`.
 */
export interface PipeOutput {
  readonly relay: Uint8Array[];
  readonly direct: Transmit[];
}

export type PipeEvent =
  /** The direct path was proven both ways; datagrams go there as soon as it is the better one. */
  | { readonly type: "direct-up"; readonly address: DirectAddress; readonly rttMs: number }
  /** Nothing came over it for too long. The pipe goes on over the relay. */
  | { readonly type: "direct-down"; readonly address: DirectAddress }
  /** Datagrams leave by another path from now on. */
  | { readonly type: "route"; readonly route: Route }
  /** The other side has closed the pipe. */
  | { readonly type: "closed"; readonly reason: string };

/** Datagrams by the path that they took, and what came to nothing. */
export interface PipeCounters {
  sentRelay: number;
  sentDirect: number;
  receivedRelay: number;
  receivedDirect: number;
  tooLarge: number;
  readonly refused: Record<OpenFailure, number>;
}

export interface PipeOptions extends PipeKeysOptions {
  readonly random: RandomBytes;
  readonly prefer: PathPreference;
  /** How often an idle direct path is spoken on: `KEEPALIVE_MS`, or sooner where a NAT on the way forgets sooner. */
  readonly keepaliveMs: number;
}

interface Direct {
  readonly address: DirectAddress;
  readonly monitor: PathMonitor;
  readonly size: PathSize;
}

/** Challenges that prove a new address; not answered by then, it is none. */
const PROOF_MS = 5_000;
/** Datagrams flow as long as one went out in the last so many milliseconds. */
const ACTIVE_MS = 2_000;
/** How often the relay is measured while datagrams flow. */
const RELAY_PROBE_MS = 5_000;

/**
 * One end of a pipe: datagrams in numbered flows between two peers, sealed end to end, over the relay from the first
 * one and over a direct path whenever there is a proven one that is better. Make before break: both paths are read at
 * all times, a switch loses nothing, and what comes twice counts once (`ReplayWindow`).
 *
 * Bulk path: `send` and `receive` return what they decided. Everything else queues.
 */
export class Pipe {
  readonly counters: PipeCounters = {
    ...{ sentRelay: 0, sentDirect: 0, receivedRelay: 0, receivedDirect: 0, tooLarge: 0 },
    refused: { malformed: 0, "wrong-session": 0, forged: 0, replayed: 0 },
  };
  /** As `PipeOptions.keepaliveMs`; the owner may come to know better. */
  keepaliveMs: number;
  readonly #options: PipeOptions;
  readonly #keys: PipeKeys;
  readonly #choice: PathChoice;
  readonly #relay: PathMonitor;
  readonly #reassembly = new Reassembly();
  readonly #events: PipeEvent[] = [];
  #direct: Direct | undefined;
  /** Another address for the direct path, not proven yet: of an attempt, or because the peer has moved. */
  #candidate: (Direct & { readonly since: Instant }) | undefined;
  #route: Route = "relay";
  #sentAt: Instant = Number.NEGATIVE_INFINITY;
  #nextPart = 0;
  #isClosed = false;

  constructor(options: PipeOptions) {
    this.#options = options;
    this.keepaliveMs = options.keepaliveMs;
    this.#keys = new PipeKeys(options);
    this.#choice = new PathChoice(options.prefer);
    this.#relay = new PathMonitor(options.random);
  }

  get route(): Route {
    return this.#route;
  }

  get direct(): DirectAddress | undefined {
    return this.#direct?.address;
  }

  get relayRttMs(): number | undefined {
    return this.#relay.rttMs;
  }

  get directRttMs(): number | undefined {
    return this.#direct?.monitor.rttMs;
  }

  /** The largest datagram that takes the direct path in one piece. */
  get directBytes(): number {
    return (this.#direct?.size.bytes ?? 0) - SEAL_OVERHEAD_BYTES;
  }

  /** Seals one datagram for where it goes now. */
  send(now: Instant, flow: number, datagram: Uint8Array, out: PipeOutput): void {
    if (this.#isClosed) return;
    const wasIdle = now - this.#sentAt > ACTIVE_MS;
    this.#sentAt = now;
    const route = this.#decide(now);
    // A path that rested is asked at once whether it is still there.
    if (wasIdle) this.#probeAll(now, out);
    if (route === "relay") this.#toRelay(this.#keys.seal(TYPE_WHOLE, flow, datagram), out);
    else this.#toDirect(flow, datagram, route, out);
  }

  /** Opens one packet. Datagrams of the flows are returned; what is the pipe's own business is answered into `out`. */
  receive(now: Instant, path: PipePath, packet: Uint8Array, out: PipeOutput): PipeDatagram | undefined {
    if (this.#isClosed) return undefined;
    const opened = this.#keys.open(now, packet);
    if (!opened.ok) {
      this.counters.refused[opened.kind] += 1;
      // A copy came by the other path first: this one works as well.
      return undefined;
    }
    this.#heard(now, path, out);
    const { type, flow, payload } = opened;
    if (flow === FLOW_CONTROL) {
      const message = decodePipeControl(payload);
      if (message !== undefined) this.#control(now, path, message, out);
      return undefined;
    }
    if (path === "relay") this.counters.receivedRelay += 1;
    else this.counters.receivedDirect += 1;
    if (type === TYPE_WHOLE) return { flow, payload };
    const whole = type === TYPE_PART ? this.#reassembly.take(now, flow, payload) : undefined;
    return whole === undefined ? undefined : { flow, payload: whole };
  }

  /** ICE or hard-NAT punching found an address: it becomes the direct path once it has answered a sealed challenge. */
  tryDirect(now: Instant, address: DirectAddress, out: PipeOutput): void {
    if (this.#isClosed) return;
    const { random } = this.#options;
    this.#candidate = { address, monitor: new PathMonitor(random), size: new PathSize(), since: now };
    this.#probe(now, this.#candidate, out);
  }

  /** Something sealed over the relay, which the other side answers: who opened the pipe shows that it has the keys. */
  greet(now: Instant, out: PipeOutput): void {
    this.#challenge(now, "relay", this.#relay, out);
  }

  /** The owner knows that the direct path is gone: of `socket`, which is closed, or whatever it is. */
  dropDirect(now: Instant, socket?: number): void {
    const isMeant = (path: Direct | undefined) => socket === undefined || path?.address.socket === socket;
    if (isMeant(this.#candidate)) this.#candidate = undefined;
    if (isMeant(this.#direct)) this.#loseDirect();
    this.#decide(now);
  }

  /** Says goodbye; the packets are in `out`. A closed pipe sends, opens and wants nothing any more. */
  close(reason: string, out: PipeOutput): void {
    if (this.#isClosed) return;
    const packet = this.#keys.seal(TYPE_WHOLE, FLOW_CONTROL, encodePipeControl({ type: "close", reason }));
    if (this.#direct !== undefined) toDirect(out, this.#direct.address, packet);
    out.relay.push(packet);
    this.#end();
  }

  handleTimeout(now: Instant, out: PipeOutput): void {
    if (this.#isClosed) return;
    const rekey = this.#keys.handleTimeout(now);
    if (rekey !== undefined) this.#say(this.#direct?.address ?? "relay", rekey, out);
    if (this.#candidate !== undefined && now - this.#candidate.since >= PROOF_MS) this.#candidate = undefined;
    if (this.#direct !== undefined && this.#direct.monitor.silentMs(now) >= DOWN_MS) this.#loseDirect();
    for (const path of [this.#candidate, this.#direct])
      if (path !== undefined && now >= this.#probeAt(now, path)) this.#probe(now, path, out);
    if (now >= this.#relayProbeAt(now)) this.#challenge(now, "relay", this.#relay, out);
    if (this.#direct !== undefined) this.#probeSize(now, this.#direct, out);
    this.#decide(now);
  }

  pollEvent(): PipeEvent | undefined {
    return this.#events.shift();
  }

  nextTimeout(now: Instant): Instant {
    if (this.#isClosed) return NEVER;
    let earliest = Math.min(this.#keys.nextTimeout(), this.#relayProbeAt(now));
    if (this.#candidate !== undefined)
      earliest = Math.min(earliest, this.#candidate.since + PROOF_MS, this.#probeAt(now, this.#candidate));
    if (this.#direct !== undefined)
      earliest = Math.min(earliest, this.#probeAt(now, this.#direct), this.#direct.size.nextTimeout());
    return earliest;
  }

  #decide(now: Instant): Route {
    const route = this.#choice.route(now, this.#relay, this.#direct?.monitor);
    if (route !== this.#route) this.#events.push({ type: "route", route });
    this.#route = route;
    return route;
  }

  #toRelay(packet: Uint8Array, out: PipeOutput): void {
    this.counters.sentRelay += 1;
    out.relay.push(packet);
  }

  #toDirect(flow: number, datagram: Uint8Array, route: Route, out: PipeOutput): void {
    // Invariant: a route other than "relay" needs a direct path.
    const { address, size } = this.#direct as Direct;
    const room = size.bytes - SEAL_OVERHEAD_BYTES;
    const parts = datagram.length <= room ? [datagram] : split(datagram, this.#nextPart++ >>> 0, room);
    if (parts === undefined) {
      // Even halves are too large for this path; lanes take anything.
      this.#toRelay(this.#keys.seal(TYPE_WHOLE, flow, datagram), out);
      this.counters.tooLarge += 1;
      return;
    }
    const type = parts.length === 1 ? TYPE_WHOLE : TYPE_PART;
    for (const part of parts) {
      const packet = this.#keys.seal(type, flow, part);
      toDirect(out, address, packet);
      if (route === "both") this.#toRelay(packet, out);
    }
    this.counters.sentDirect += 1;
  }

  #heard(now: Instant, path: PipePath, out: PipeOutput): void {
    if (path === "relay") {
      this.#relay.heard(now);
      return;
    }
    const known = this.#at(path);
    if (known !== undefined) known.monitor.heard(now);
    // The peer's NAT gave it another address, or the peer has another network: see whether answers get there.
    else if (this.#candidate === undefined) this.tryDirect(now, path, out);
  }

  #control(now: Instant, path: PipePath, message: PipeControl, out: PipeOutput): void {
    switch (message.type) {
      case "challenge":
        this.#say(path, { type: "response", token: message.token }, out);
        return;
      case "response":
        this.#answered(now, path, message.token);
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
        // The other side waits for a packet under the new keys.
        if (this.#keys.complete(now, message.session, message.key)) this.#probeAll(now, out);
        return;
      default:
        message satisfies never;
    }
  }

  #answered(now: Instant, path: PipePath, token: string): void {
    if (path === "relay") {
      this.#relay.answered(now, token);
      return;
    }
    const known = this.#at(path);
    if (known === undefined || known.size.answered(token) || !known.monitor.answered(now, token)) return;
    if (known !== this.#candidate) return;
    this.#direct = known;
    this.#candidate = undefined;
    this.#events.push({ type: "direct-up", address: known.address, rttMs: known.monitor.rttMs ?? 0 });
    this.#decide(now);
  }

  #loseDirect(): void {
    if (this.#direct === undefined) return;
    this.#events.push({ type: "direct-down", address: this.#direct.address });
    this.#direct = undefined;
  }

  #at({ socket, remote }: DirectAddress): Direct | undefined {
    return [this.#direct, this.#candidate].find(
      (one) => one !== undefined && one.address.socket === socket && sameEndpoint(one.address.remote, remote),
    );
  }

  #isActive(now: Instant): boolean {
    return now - this.#sentAt <= ACTIVE_MS;
  }

  #probeAt(now: Instant, path: Direct): Instant {
    const active = path === this.#candidate || this.#isActive(now);
    return path.monitor.nextProbe(active, this.keepaliveMs);
  }

  /** The relay is only measured for comparison, and only while datagrams flow: it shall not keep idle lanes open. */
  #relayProbeAt(now: Instant): Instant {
    if (this.#direct === undefined || !this.#isActive(now)) return NEVER;
    return this.#relay.nextProbe(false, RELAY_PROBE_MS);
  }

  #probeAll(now: Instant, out: PipeOutput): void {
    this.#challenge(now, "relay", this.#relay, out);
    if (this.#direct !== undefined) this.#probe(now, this.#direct, out);
  }

  #probe(now: Instant, { address, monitor }: Direct, out: PipeOutput): void {
    this.#challenge(now, address, monitor, out);
  }

  #challenge(now: Instant, path: PipePath, monitor: PathMonitor, out: PipeOutput): void {
    this.#say(path, { type: "challenge", token: monitor.probe(now), padding: 0 }, out);
  }

  #probeSize(now: Instant, { address, size }: Direct, out: PipeOutput): void {
    for (const bytes of size.handleTimeout(now)) {
      const token = this.#options.random(TOKEN_BYTES).toHex();
      size.note(token, bytes);
      const padding = bytes - SEAL_OVERHEAD_BYTES - CHALLENGE_BYTES;
      this.#say(address, { type: "challenge", token, padding }, out);
    }
  }

  #say(path: PipePath, message: PipeControl, out: PipeOutput): void {
    const packet = this.#keys.seal(TYPE_WHOLE, FLOW_CONTROL, encodePipeControl(message));
    if (path === "relay") out.relay.push(packet);
    else toDirect(out, path, packet);
  }

  #end(): void {
    this.#isClosed = true;
    this.#direct = undefined;
    this.#candidate = undefined;
    this.#keys.release();
  }
}

function toDirect(out: PipeOutput, { socket, remote }: DirectAddress, payload: Uint8Array): void {
  out.direct.push({ socket, to: remote, payload });
}

/** What came out of a pipe. */
export interface PipeDatagram {
  readonly flow: number;
  readonly payload: Uint8Array;
}
