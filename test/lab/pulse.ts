import { join } from "node:path";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { nativeTool } from "./native-tool.ts";

/** One datagram that arrived. Times are CLOCK_MONOTONIC, the same clock in all namespaces. */
export interface Arrival {
  seq: number;
  sentNs: number;
  receivedNs: number;
}

export interface Sent {
  run: number;
  count: number;
  /** Not taken by the kernel. */
  refused: number;
  /** The worst delay of a send behind its schedule. */
  lateMs: number;
}

export interface Endpoint {
  host: string;
  port: number;
}

/** A running `pulse` (see pulse.c): one end of an evenly paced stream of numbered datagrams. */
export class Pulse {
  readonly #job: Job;
  readonly #file: string;

  private constructor(job: Job, file: string) {
    this.#job = job;
    this.#file = file;
  }

  /** The end that waits to be talked to, as a WireGuard server does. */
  static async bind(lab: Lab, namespace: Namespace, at: Endpoint): Promise<Pulse> {
    return await Pulse.#open(lab, namespace, "bind", at);
  }

  /** The end that talks first. */
  static async connect(lab: Lab, namespace: Namespace, to: Endpoint): Promise<Pulse> {
    return await Pulse.#open(lab, namespace, "connect", to);
  }

  static async #open(lab: Lab, namespace: Namespace, mode: "bind" | "connect", at: Endpoint): Promise<Pulse> {
    const job = namespace.start(`pulse ${mode}`, [await nativeTool("pulse"), mode, at.host, String(at.port)]);
    await job.line(/^ready$/);
    return new Pulse(job, join(lab.folder, `pulse-${job.pid}.bin`));
  }

  /** Greets until the peer answers. The round trip of the answered greeting in ms. */
  async greet(timeoutMs = 10_000): Promise<number> {
    return (await this.#ask(`greet ${timeoutMs}`, "greet", timeoutMs + 2_000))[0] / 1e6;
  }

  /** Starts to send and returns at once; `sent` waits for the end. Without `seconds` it goes on until `stop`. */
  async send(options: {
    perSecond: number;
    bytes: number;
    seconds?: number;
  }): Promise<{ run: number; startNs: number }> {
    const startNs = await this.now();
    const [run] = await this.#ask(`send ${options.perSecond} ${options.seconds ?? 0} ${options.bytes}`, "send");
    return { run, startNs };
  }

  async stop(): Promise<void> {
    await this.#ask("stop", "stop");
  }

  /** Waits for the end of a send. */
  async sent(timeoutMs: number): Promise<Sent> {
    const line = await this.#job.line(/^sent /, timeoutMs);
    const [run = 0, count = 0, refused = 0, lateNs = 0] = line.split(" ").slice(1).map(Number);
    return { run, count, refused, lateMs: lateNs / 1e6 };
  }

  /** Waits until `count` datagrams have come, or none for `quietMs`, or `maxMs` have passed. */
  async settle(count: number, quietMs: number, maxMs: number): Promise<number> {
    return (await this.#ask(`wait ${count} ${quietMs} ${maxMs}`, "wait", maxMs + 2_000))[0];
  }

  /** Everything that arrived of one run since the last `take`, in order of arrival. */
  async take(run: number): Promise<Arrival[]> {
    await this.#ask(`take ${this.#file}`, "take");
    return decodeArrivals(await Bun.file(this.#file).arrayBuffer(), run);
  }

  async now(): Promise<number> {
    return (await this.#ask("now", "now"))[0];
  }

  async close(): Promise<void> {
    await this.#job.stop();
  }

  async #ask(command: string, name: string, timeoutMs?: number): Promise<[number, ...number[]]> {
    const line = await this.#job.request(command, new RegExp(`^(${name}|error)( |$)`), timeoutMs);
    if (line.startsWith("error")) throw new Error(`Cannot do \`${command}\` with pulse: ${line}`);
    const [first = 0, ...rest] = line.split(" ").slice(1).map(Number);
    return [first, ...rest];
  }
}

/** The records of pulse.c: { u32 run, u32 seq, u64 sent, u64 received }, host order. */
export function decodeArrivals(bytes: ArrayBuffer, run: number): Arrival[] {
  const view = new DataView(bytes);
  const arrivals: Arrival[] = [];
  for (let at = 0; at + 24 <= bytes.byteLength; at += 24) {
    if (view.getUint32(at, true) !== run) continue;
    // Nanoseconds of uptime stay below 2^53 for 104 days; after that they lose single nanoseconds, nothing more.
    const sentNs = Number(view.getBigUint64(at + 8, true));
    const receivedNs = Number(view.getBigUint64(at + 16, true));
    arrivals.push({ seq: view.getUint32(at + 4, true), sentNs, receivedNs });
  }
  return arrivals;
}
