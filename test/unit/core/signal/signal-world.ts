import { SignalClient } from "../../../../src/core/signal/client.ts";
import type { SignalClientEvent } from "../../../../src/core/signal/client-event.ts";
import { SignalHub } from "../../../../src/core/signal/hub.ts";
import type { HubEvent } from "../../../../src/core/signal/hub-event.ts";
import { decodeSignal, encodeSignal, type Signal, type SignalInput } from "../../../../src/core/wire/signal.ts";
import { Random } from "../../../random.ts";
import { attendee, STUN_PORT } from "./hub-bench.ts";

/** What is on its way on a connection, in order, and arrives after half a round trip. */
interface Flying {
  readonly at: number;
  readonly id: number;
  readonly to: "hub" | "client";
  readonly bytes: Uint8Array;
}

export interface WorldClient {
  readonly name: string;
  readonly client: SignalClient;
  readonly rttMs: number;
  /** All that it was told, with the time. */
  readonly events: { at: number; event: SignalClientEvent }[];
  /** Of its connection while it has one; both ends may differ in what they believe. */
  id: number | undefined;
  /** When messages last passed each way, to keep them in order. */
  clearUp: number;
  clearDown: number;
}

/**
 * One hub and many clients in virtual time: signals as bytes, half a round trip long on the way and in order. A
 * connection can be cut so that both ends notice, or neither does, and the hub can be started anew.
 */
export class SignalWorld {
  readonly random: Random;
  readonly clients = new Map<string, WorldClient>();
  readonly hubEvents: HubEvent[] = [];
  hub: SignalHub;
  now = 0;
  /** Neither end notices anything but silence. */
  readonly dead = new Set<number>();
  #flying: Flying[] = [];
  #owners = new Map<number, WorldClient>();
  #lastId = 0;

  constructor(seed = 1) {
    this.random = new Random(seed);
    this.hub = this.#newHub();
  }

  client(name: string, rttMs = 40, isTarget = false): WorldClient {
    const random = (length: number) => this.random.bytes(length);
    const client = new SignalClient({ random, node: "test", isTarget });
    const made: WorldClient = { name, client, rttMs, events: [], id: undefined, clearUp: 0, clearDown: 0 };
    this.clients.set(name, made);
    return made;
  }

  connect(one: WorldClient): void {
    this.#lastId += 1;
    one.id = this.#lastId;
    this.#owners.set(this.#lastId, one);
    this.hub.connected(this.now, this.#lastId, attendee(one.name));
    one.client.connected(this.now);
    this.settle();
  }

  /** Both ends notice. What was on its way is lost. */
  cut(one: WorldClient): void {
    if (one.id === undefined) return;
    const { id } = one;
    one.id = undefined;
    this.#flying = this.#flying.filter((message) => message.id !== id);
    this.hub.disconnected(this.now, id);
    one.client.disconnected(this.now);
    this.settle();
  }

  /** A new process at the same address: every connection breaks. */
  restartHub(): void {
    this.#drainHub();
    this.#flying = [];
    this.hub = this.#newHub();
    for (const one of this.clients.values())
      if (one.id !== undefined) {
        one.id = undefined;
        one.client.disconnected(this.now);
      }
    this.settle();
  }

  /** Something that no client would say, on a connection of its own. */
  sayRaw(one: WorldClient, bytes: Uint8Array): void {
    if (one.id !== undefined) this.#fly(one.id, "hub", bytes);
  }

  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      this.settle();
      const next = Math.min(this.nextTimeout(), ...this.#flying.map(({ at }) => at));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      this.#deliver();
      this.hub.handleTimeout(this.now);
      for (const { client } of this.clients.values()) client.handleTimeout(this.now);
    }
    this.now = until;
  }

  nextTimeout(): number {
    return Math.min(this.hub.nextTimeout(), ...[...this.clients.values()].map(({ client }) => client.nextTimeout()));
  }

  /** What a client was told since the last call, without the time. */
  told(one: WorldClient): SignalClientEvent[] {
    return one.events.splice(0).map(({ event }) => event);
  }

  settle(): void {
    this.#drainHub();
    for (const one of this.clients.values()) {
      for (let next = one.client.pollMessage(); next !== undefined; next = one.client.pollMessage())
        if (one.id !== undefined) this.#fly(one.id, "hub", encodeSignal(next));
      for (let event = one.client.pollEvent(); event !== undefined; event = one.client.pollEvent()) {
        one.events.push({ at: this.now, event });
        if (event.type === "lost") this.cut(one);
      }
    }
  }

  #newHub(): SignalHub {
    return new SignalHub({ random: (length) => this.random.bytes(length), stunPort: STUN_PORT });
  }

  #drainHub(): void {
    for (let event = this.hub.pollEvent(); event !== undefined; event = this.hub.pollEvent()) {
      this.hubEvents.push(event);
      const owner = event.type === "evict" ? this.#owners.get(event.id) : undefined;
      if (event.type === "evict" && owner?.id === event.id && !this.dead.has(event.id)) {
        owner.id = undefined;
        owner.client.disconnected(this.now);
      }
    }
    for (let next = this.hub.pollMessage(); next !== undefined; next = this.hub.pollMessage())
      this.#fly(next.to, "client", encodeSignal(next.signal));
  }

  #fly(id: number, to: Flying["to"], bytes: Uint8Array): void {
    const owner = this.#owners.get(id);
    if (owner === undefined || this.dead.has(id)) return;
    const at = Math.max(this.now + owner.rttMs / 2, to === "hub" ? owner.clearUp : owner.clearDown);
    if (to === "hub") owner.clearUp = at;
    else owner.clearDown = at;
    this.#flying.push({ at, id, to, bytes });
  }

  #deliver(): void {
    const due = this.#flying.filter(({ at }) => at <= this.now);
    this.#flying = this.#flying.filter(({ at }) => at > this.now);
    for (const { id, to, bytes } of due) {
      const owner = this.#owners.get(id);
      const decoded = decodeSignal(bytes);
      // A connection that ended meanwhile takes what was on it along.
      if (owner === undefined || owner.id !== id || this.dead.has(id) || !decoded.ok) continue;
      if (to === "hub") this.hub.received(this.now, id, decoded.signal);
      else owner.client.received(this.now, decoded.signal);
      this.settle();
    }
  }
}

export type { Signal, SignalInput };
