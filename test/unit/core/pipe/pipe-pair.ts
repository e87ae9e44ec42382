import { sha256 } from "../../../../src/core/crypto.ts";
import type { RandomBytes } from "../../../../src/core/machine.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import type { PipeAgreement } from "../../../../src/core/pipe/handshake.ts";
import type { PathPreference } from "../../../../src/core/pipe/path-choice.ts";
import { KEEPALIVE_MS } from "../../../../src/core/pipe/path-monitor.ts";
import { Pipe, type PipeEvent, type PipePath } from "../../../../src/core/pipe/pipe.ts";
import type { Instant } from "../../../../src/core/time.ts";
import { utf8 } from "../../../bytes.ts";
import { Random } from "../../../random.ts";

/** What a virtual path does to a packet at the moment: each arrival's delay, none for a loss. */
export type Weather = (bytes: number) => readonly number[];

export const smooth =
  (delayMs: number): Weather =>
  () => [delayMs];
export const cut: Weather = () => [];

export interface Arrival {
  readonly at: Instant;
  readonly flow: number;
  readonly payload: Uint8Array;
  readonly path: "relay" | "direct";
}

export interface PairOptions {
  readonly seed?: number;
  readonly prefer?: PathPreference;
  readonly rekeyPackets?: number;
}

/**
 * Two pipes with a relay and a direct path between them, on a virtual clock. Ends are 0 (who opened it) and 1. Each
 * end's outside address on the direct path may change (`rebind`); what is sent to an address of before is lost, as
 * behind a NAT that forgot it.
 */
export class PipePair {
  readonly pipes: readonly [Pipe, Pipe];
  readonly arrivals: readonly [Arrival[], Arrival[]] = [[], []];
  readonly events: { at: Instant; end: number; event: PipeEvent }[] = [];
  /** Session numbers that each end has taken and not given back. */
  readonly sessions: readonly [Set<number>, Set<number>] = [new Set(), new Set()];
  /** Packets put on a path, by path. */
  readonly packets = { relay: 0, direct: 0 };
  relay: Weather = smooth(30);
  direct: Weather = cut;
  now: Instant = 0;
  /** Sees each packet before it is on its way; false keeps it from going there. */
  onPacket: (end: number, path: PipePath, packet: Uint8Array) => boolean = () => true;
  readonly #ports = [1_000, 2_000];
  readonly #flying: { at: Instant; order: number; to: number; path: PipePath; packet: Uint8Array }[] = [];
  #order = 0;

  constructor({ seed = 1, prefer = "auto", rekeyPackets }: PairOptions = {}) {
    const random = new Random(seed);
    const bytes: RandomBytes = (length) => random.bytes(length);
    const [agreement, other] = agreements();
    const end = (index: 0 | 1, agreed: PipeAgreement): Pipe => {
      const own = this.sessions[index];
      own.add(agreed.receive.session);
      return new Pipe({
        now: 0,
        agreement: agreed,
        initiator: index === 0,
        random: bytes,
        prefer,
        keepaliveMs: KEEPALIVE_MS,
        takeSession: () => {
          const number = random.below(2 ** 32);
          own.add(number);
          return number;
        },
        releaseSession: (number) => void own.delete(number),
        ...(rekeyPackets === undefined ? {} : { rekeyPackets }),
      });
    };
    this.pipes = [end(0, agreement), end(1, other)];
  }

  /** The other end's address on the direct path, as seen by `end` now. */
  remote(end: number): Endpoint {
    return { address: "192.0.2.1", port: this.#ports[1 - end] ?? 0 };
  }

  pipe(end: number): Pipe {
    const pipe = this.pipes[end];
    if (pipe === undefined) throw new RangeError(`No end ${end}`);
    return pipe;
  }

  /** Both ends are told of the direct path, and it works from now on. */
  connect(weather: Weather): void {
    this.direct = weather;
    for (const end of [0, 1]) this.tryDirect(end);
  }

  tryDirect(end: number): void {
    this.#turn(end, (out) => this.pipe(end).tryDirect(this.now, { socket: 0, remote: this.remote(end) }, out));
  }

  /** The NAT in front of `end` gives it another port, and forgets the old one. */
  rebind(end: number): void {
    this.#ports[end] = (this.#ports[end] ?? 0) + 1;
  }

  send(end: number, datagram: Uint8Array, flow = 2): void {
    this.#turn(end, (out) => this.pipe(end).send(this.now, flow, datagram, out));
  }

  close(end: number): void {
    this.#turn(end, (out) => this.pipe(end).close("done", out));
  }

  /** Brings a packet to an end, as if it had come by `path` now. */
  deliver(to: number, path: PipePath, packet: Uint8Array): void {
    this.#turn(to, (out) => {
      const datagram = this.pipe(to).receive(this.now, path, packet, out);
      if (datagram !== undefined)
        this.arrivals[to as 0 | 1].push({ at: this.now, ...datagram, path: path === "relay" ? path : "direct" });
    });
  }

  /** Lets time pass, and everything in it happen. */
  run(ms: number): void {
    const until = this.now + ms;
    for (let steps = 0; ; steps++) {
      const timers = [0, 1].map((end) => this.pipe(end).nextTimeout(this.now));
      const next = this.#flying.reduce((least, { at }) => Math.min(least, at), Math.min(...timers));
      if (next > until) break;
      if (steps > 100_000) throw new Error(`Nothing but timers at ${this.now}: ${timers}`);
      this.now = Math.max(this.now, next);
      for (const end of [0, 1])
        if ((timers[end] ?? 0) <= this.now) this.#turn(end, (out) => this.pipe(end).handleTimeout(this.now, out));
      this.#land();
    }
    this.now = until;
  }

  #land(): void {
    const due = this.#flying.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at || a.order - b.order);
    for (const one of due) {
      this.#flying.splice(this.#flying.indexOf(one), 1);
      this.deliver(one.to, one.path, one.packet);
    }
  }

  #turn(end: number, work: (out: { relay: Uint8Array[]; direct: Sent[] }) => void): void {
    const out = { relay: [] as Uint8Array[], direct: [] as Sent[] };
    work(out);
    for (const packet of out.relay) this.#fly(end, "relay", packet);
    for (const { socket, to, payload } of out.direct) this.#fly(end, { socket, remote: to }, payload);
    for (let event = this.pipe(end).pollEvent(); event !== undefined; event = this.pipe(end).pollEvent())
      this.events.push({ at: this.now, end, event });
  }

  #fly(from: number, path: PipePath, packet: Uint8Array): void {
    this.packets[path === "relay" ? "relay" : "direct"] += 1;
    if (!this.onPacket(from, path, packet)) return;
    if (path !== "relay" && path.remote.port !== this.remote(from).port) return;
    const arrives: PipePath = path === "relay" ? path : { socket: 0, remote: this.remote(1 - from) };
    for (const delay of (path === "relay" ? this.relay : this.direct)(packet.length))
      this.#flying.push({ at: this.now + delay, order: this.#order++, to: 1 - from, path: arrives, packet });
  }
}

interface Sent {
  readonly socket: number;
  readonly to: Endpoint;
  readonly payload: Uint8Array;
}

/** What a handshake would have agreed on, for both ends. */
export function agreements(): [PipeAgreement, PipeAgreement] {
  const there = { key: sha256(utf8("there")), session: 2 };
  const back = { key: sha256(utf8("back")), session: 1 };
  const shared = { chain: sha256(utf8("chain")), probeKey: sha256(utf8("probe")) };
  const peer = (from: string, to: string) => ({
    ...{ version: 1 as const, kind: "offer" as const, from, to, key: "", nonce: "", session: 1, service: "test" },
    ice: { ufrag: "", pwd: "" },
  });
  return [
    { peer: peer("office", "home"), send: there, receive: back, ...shared },
    { peer: peer("home", "office"), send: back, receive: there, ...shared },
  ];
}
