import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { type Arrival, Pulse } from "./pulse.ts";
import { longestGapMs } from "./stream-stats.ts";
import type { WireGuardPair } from "./wireguard.ts";

export const PROBE_INTERVAL_MS = 10;
const BYTES = 200;
const PORT = 7_000;

/** A datagram every 10 ms in both directions through a WireGuard tunnel, to see what a disturbance costs. */
export class WireGuardProbes implements AsyncDisposable {
  readonly #near: Pulse;
  readonly #far: Pulse;
  readonly #up: { run: number; startNs: number };
  readonly #down: { run: number; startNs: number };

  private constructor(near: Pulse, far: Pulse, up: Started, down: Started) {
    this.#near = near;
    this.#far = far;
    this.#up = up;
    this.#down = down;
  }

  static async start(lab: Lab, client: Namespace, server: Namespace, pair: WireGuardPair): Promise<WireGuardProbes> {
    const far = await Pulse.bind(lab, server, { host: pair.server, port: PORT });
    const near = await Pulse.connect(lab, client, { host: pair.server, port: PORT });
    await near.greet();
    const stream = { perSecond: 1_000 / PROBE_INTERVAL_MS, bytes: BYTES };
    return new WireGuardProbes(near, far, await near.send(stream), await far.send(stream));
  }

  /** Now, on the clock of all times here. */
  async clock(): Promise<number> {
    return await this.#near.now();
  }

  /** Ends the streams and waits for what is still on its way. */
  async finish(): Promise<Probes> {
    await Promise.all([this.#near.stop(), this.#far.stop()]);
    const [up, down] = await Promise.all([this.#near.sent(2_000), this.#far.sent(2_000)]);
    await Promise.all([this.#far.settle(up.count, 500, 2_000), this.#near.settle(down.count, 500, 2_000)]);
    return new Probes(
      new ProbeStream(up.count, this.#up.startNs, await this.#far.take(up.run)),
      new ProbeStream(down.count, this.#down.startNs, await this.#near.take(down.run)),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#near.close(), this.#far.close()]);
  }
}

interface Started {
  run: number;
  startNs: number;
}

export class Probes {
  readonly up: ProbeStream;
  readonly down: ProbeStream;

  constructor(up: ProbeStream, down: ProbeStream) {
    this.up = up;
    this.down = down;
  }

  directions(): ProbeStream[] {
    return [this.up, this.down];
  }

  /** What a test shows beside its verdict. */
  toString(): string {
    const told = (name: string, { sent, longestGapMs, slowestMs, lost }: ProbeStream) =>
      `${name}: ${sent} probes, ${lost} lost, longest gap ${longestGapMs.toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms`;
    return `${told("up", this.up)}; ${told("down", this.down)}`;
  }
}

/** What became of the probes of one direction. */
export class ProbeStream {
  readonly #count: number;
  readonly #startNs: number;
  readonly #arrivals: readonly Arrival[];

  constructor(count: number, startNs: number, arrivals: readonly Arrival[]) {
    this.#count = count;
    this.#startNs = startNs;
    this.#arrivals = arrivals;
  }

  get sent(): number {
    return this.#count;
  }

  get lost(): number {
    return this.lateOrLost(Number.POSITIVE_INFINITY).length;
  }

  /** The longest time in which no probe arrived, between the start and the last arrival. */
  get longestGapMs(): number {
    // Probes lost at the very end would show as an earlier last arrival: the last one sent closes the view.
    const endNs = Math.max(this.#sentNs(this.#count - 1), this.#arrivals.at(-1)?.receivedNs ?? 0);
    return longestGapMs(this.#arrivals, this.#startNs, endNs);
  }

  /** One way, of the slowest probe that arrived at all. */
  get slowestMs(): number {
    return this.#arrivals.reduce((most, { sentNs, receivedNs }) => Math.max(most, receivedNs - sentNs), 0) / 1e6;
  }

  /** Probes that took longer than that or never came, in the order they were sent. */
  lateOrLost(overMs: number): { seq: number; sentNs: number; lost: boolean }[] {
    const latencyMs = new Map<number, number>();
    for (const { seq, sentNs, receivedNs } of this.#arrivals)
      if (!latencyMs.has(seq)) latencyMs.set(seq, (receivedNs - sentNs) / 1e6);
    const missing: { seq: number; sentNs: number; lost: boolean }[] = [];
    for (let seq = 0; seq < this.#count; seq++) {
      const latency = latencyMs.get(seq);
      if (latency === undefined || latency > overMs)
        missing.push({ seq, sentNs: this.#sentNs(seq), lost: latency === undefined });
    }
    return missing;
  }

  /** The schedule is exact, so the send time of a probe that never came is known as well. */
  #sentNs(seq: number): number {
    return this.#startNs + seq * PROBE_INTERVAL_MS * 1e6;
  }
}
