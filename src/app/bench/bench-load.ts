import { now } from "../../io/clock.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { Latencies, type LatencySummary } from "../latencies.ts";
import { LOOPBACK } from "../loopback.ts";
import { tick } from "../wait.ts";

/** Number and time of sending, in front of every datagram of the benchmark. */
export const MIN_BENCH_BYTES = 16;
/** Nothing has come for so long: what is under way is lost. */
const SILENCE_MS = 250;

export interface LoadResult {
  readonly seconds: number;
  readonly sent: number;
  readonly back: number;
  readonly rttMs: LatencySummary;
}

/** Sends datagrams to `port` and takes back what an echo behind it returns. */
export class BenchLoad implements Disposable {
  readonly #bytes: number;
  #udp: UdpSocket | undefined;
  #sent = 0;
  #back = 0;
  /** Given up; one that comes back after all is welcome. */
  #lost = 0;
  /** Datagrams numbered below it belong to an earlier measurement. */
  #first = 0;
  #heardAt = 0;
  #latencies = new Latencies();
  #onBack = () => {};

  private constructor(bytes: number) {
    this.#bytes = bytes;
  }

  static async open(port: number, bytes: number): Promise<BenchLoad> {
    const load = new BenchLoad(bytes);
    load.#udp = await openUdp({
      host: LOOPBACK,
      port: 0,
      connect: { host: LOOPBACK, port },
      onDatagram: (datagram) => load.#take(datagram),
      onDrop: () => {},
      onSent: () => {},
    });
    return load;
  }

  /** Send one and wait for it, again and again, until it is back or `timeoutMs` is over. True: the path works. */
  async knock(timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    const deadline = now() + timeoutMs;
    for (let sentAt = Number.NEGATIVE_INFINITY; this.#back === 0; await tick()) {
      if (signal.aborted || now() > deadline) return false;
      if (now() - sentAt < SILENCE_MS) continue;
      this.#send(1);
      sentAt = now();
    }
    return true;
  }

  /** As many as go through: always `window` under way, the next one leaves when one is back. */
  async saturate(window: number, durationMs: number, signal: AbortSignal): Promise<LoadResult> {
    const startedAt = this.#begin();
    const fill = () => this.#send(window - this.#underWay);
    let due = false;
    this.#onBack = () => {
      if (due || this.#underWay > window / 2) return;
      due = true;
      setImmediate(() => {
        due = false;
        if (now() - startedAt < durationMs) fill();
      });
    };
    for (; now() - startedAt < durationMs && !signal.aborted; await tick(5)) {
      if (this.#sent > this.#first && now() - this.#heardAt < SILENCE_MS) continue;
      // At the start, and when all that were under way are lost.
      this.#heardAt = now();
      this.#lost += this.#underWay;
      this.#send(window);
    }
    this.#onBack = () => {};
    return await this.#end(startedAt, signal);
  }

  /** `perSecond` datagrams a second, evenly. */
  async pace(perSecond: number, durationMs: number, signal: AbortSignal): Promise<LoadResult> {
    const startedAt = this.#begin();
    for (let time = startedAt; time - startedAt < durationMs && !signal.aborted; time = now()) {
      this.#send(Math.floor(((time - startedAt) / 1_000) * perSecond) - (this.#sent - this.#first));
      await tick();
    }
    return await this.#end(startedAt, signal);
  }

  [Symbol.dispose](): void {
    this.#udp?.[Symbol.dispose]();
  }

  get #underWay(): number {
    return this.#sent - this.#first - this.#back - this.#lost;
  }

  #begin(): number {
    this.#first = this.#sent;
    this.#back = 0;
    this.#lost = 0;
    this.#latencies = new Latencies();
    return now();
  }

  /** Wait for the last ones; the time counts until they had left. */
  async #end(startedAt: number, signal: AbortSignal): Promise<LoadResult> {
    const seconds = (now() - startedAt) / 1_000;
    this.#heardAt = now();
    const missing = () => this.#back < this.#sent - this.#first;
    while (missing() && now() - this.#heardAt < SILENCE_MS && !signal.aborted) await tick();
    return { seconds, sent: this.#sent - this.#first, back: this.#back, rttMs: this.#latencies.summary() };
  }

  #send(count: number): void {
    if (count <= 0) return;
    const batch: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const datagram = new Uint8Array(this.#bytes);
      const view = new DataView(datagram.buffer);
      view.setUint32(0, this.#sent++);
      view.setFloat64(8, now());
      batch.push(datagram);
    }
    this.#udp?.send(batch);
  }

  #take(datagram: Uint8Array): void {
    const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
    if (view.byteLength < MIN_BENCH_BYTES || view.getUint32(0) < this.#first) return;
    this.#heardAt = now();
    this.#back++;
    this.#latencies.add(this.#heardAt - view.getFloat64(8));
    this.#onBack();
  }
}
