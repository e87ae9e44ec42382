import { SignalHub } from "../../../../src/core/signal/hub.ts";
import type { HubEvent } from "../../../../src/core/signal/hub-event.ts";
import { decodeSignal, encodeSignal, type PeerInfoInput, type SignalInput } from "../../../../src/core/wire/signal.ts";
import { Random } from "../../../random.ts";

export const STUN_PORT = 3_478;
export const OFFER = { body: "offer", certificate: "PEM", signature: "c2ln" };
export const ANSWER = { body: "answer", certificate: "PEM", signature: "c2ln" };
export const UNKNOWN: PeerInfoInput = { nat: "unknown", filtering: null, reflex: null, caps: [] };
export const HOST = "candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host";

/** What was said on a connection since the last look, and what the hub told its shell. */
export interface Heard {
  readonly said: [to: string, signal: SignalInput][];
  readonly events: HubEvent[];
}

/**
 * A hub and peers by name, in virtual time. Peers answer pings after their round trip, so that the lists hold only
 * what is of interest; what they say passes through the codec, as it does on the wire.
 */
export class HubBench {
  readonly hub: SignalHub;
  now = 0;
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();
  readonly #rtts = new Map<string, number>();
  readonly #pongs: { at: number; name: string; id: number }[] = [];
  readonly #credentials = new Map<string, { username: string; password: string }>();
  #lastId = 0;

  constructor(seed = 1) {
    const random = new Random(seed);
    this.hub = new SignalHub({ random: (length) => random.bytes(length), stunPort: STUN_PORT });
  }

  /** A control connection of `name`, whose CN is what stands before a slash and whose session is all of it. */
  connect(name: string, rttMs: number | "silent" = 0): Heard {
    this.#lastId += 1;
    this.#ids.set(name, this.#lastId);
    this.#names.set(this.#lastId, name);
    if (rttMs !== "silent") this.#rtts.set(name, rttMs);
    this.hub.connected(this.now, this.#lastId, attendee(name));
    return this.heard();
  }

  disconnect(name: string): Heard {
    this.hub.disconnected(this.now, this.id(name));
    return this.heard();
  }

  say(name: string, ...signals: SignalInput[]): Heard {
    for (const signal of signals) {
      const decoded = decodeSignal(encodeSignal(signal));
      if (!decoded.ok) throw new Error(`A test says what is no signal: ${JSON.stringify(signal)}`);
      this.hub.received(this.now, this.id(name), decoded.signal);
    }
    return this.heard();
  }

  /** STUN sees this peer there. */
  sight(name: string, address: string, port: number): void {
    this.hub.observed(this.now, this.credential(name).username, { address, port });
  }

  credential(name: string): { username: string; password: string } {
    return this.#credentials.get(name) ?? { username: "", password: "" };
  }

  id(name: string): number {
    return this.#ids.get(name) ?? 0;
  }

  /** Time passes, pings are answered. */
  pass(ms: number): Heard {
    const until = this.now + ms;
    const heard: Heard = { said: [], events: [] };
    const add = (more: Heard) => {
      heard.said.push(...more.said);
      heard.events.push(...more.events);
    };
    add(this.heard());
    for (;;) {
      const next = Math.min(this.hub.nextTimeout(), ...this.#pongs.map(({ at }) => at));
      if (next > until) break;
      this.now = Math.max(this.now, next);
      const due = this.#pongs.findIndex(({ at }) => at <= this.now);
      const [pong] = due < 0 ? [] : this.#pongs.splice(due, 1);
      if (pong === undefined) this.hub.handleTimeout(this.now);
      else add(this.say(pong.name, { type: "pong", id: pong.id }));
      add(this.heard());
    }
    this.now = until;
    return heard;
  }

  heard(): Heard {
    const heard: Heard = { said: [], events: [] };
    for (let event = this.hub.pollEvent(); event !== undefined; event = this.hub.pollEvent()) heard.events.push(event);
    for (let next = this.hub.pollMessage(); next !== undefined; next = this.hub.pollMessage()) {
      const name = this.#names.get(next.to) ?? "?";
      const { signal } = next;
      if (signal.type === "stun_credential") this.#credentials.set(name, signal);
      const rttMs = this.#rtts.get(name);
      if (signal.type !== "ping") heard.said.push([name, signal]);
      else if (rttMs !== undefined && this.id(name) === next.to)
        this.#pongs.push({ at: this.now + rttMs, name, id: signal.id });
    }
    return heard;
  }

  /** Two peers with an open pipe; returns their channels. */
  openPipe(initiator: string, target: string, request_id = 1): { ours: number; theirs: number } {
    const to = attendee(target).cn;
    const offered = this.say(initiator, { type: "open_p2p", request_id, to, service: "echo", offer: OFFER });
    const theirs = channelIn(offered, "p2p_incoming");
    return {
      theirs,
      ours: channelIn(this.say(target, { type: "p2p_accept", channel: theirs, answer: ANSWER }), "p2p_opened"),
    };
  }
}

export function attendee(name: string): { cn: string; sessionId: string } {
  return { cn: name.split("/")[0] ?? "", sessionId: name };
}

/** The channel of the first such message. */
export function channelIn({ said }: Heard, type: "p2p_incoming" | "p2p_opened"): number {
  for (const [, signal] of said) if (signal.type === type) return signal.channel;
  throw new Error(`No ${type} in ${JSON.stringify(said)}`);
}

/** The types of what was said, with the names of those who heard it. */
export function outline({ said }: Heard): string[] {
  return said.map(([to, { type }]) => `${to}: ${type}`);
}
