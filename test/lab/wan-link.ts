import type { Job } from "./job.ts";
import type { Namespace } from "./namespace.ts";
import { nativeTool } from "./native-tool.ts";

export interface WanOptions {
  /** One way. */
  delayMs: number;
  lossPercent: number;
  /** IP packets, no link header; 0: as fast as it goes. */
  rateMbit: number;
  /** Packets that may wait for the wire in each direction; what comes after them is dropped. */
  queuePackets: number;
  /** Decides which packets are lost. */
  seed: number;
}

export interface WanAddresses {
  a: string;
  b: string;
}

export interface WanDirection {
  in: number;
  out: number;
  lost: number;
  tail_dropped: number;
  blackholed: number;
  write_failed: number;
  in_flight: number;
  peak_queue: number;
}

export interface WanStats {
  a_to_b: WanDirection;
  b_to_a: WanDirection;
}

/** The WAN of FINDINGS.md: 20 ms each way, 100 Mbit/s, 400 packets of queue, nothing lost. */
export const DEFAULT_WAN: WanOptions = { delayMs: 20, lossPercent: 0, rateMbit: 100, queuePackets: 400, seed: 1 };

/**
 * A running `wan-link` (see wan-link.c) between two namespaces: two point-to-point devices `wan`, one packet queue,
 * wire and delay for each direction, in user space.
 */
export class WanLink {
  readonly addresses: WanAddresses;
  readonly #job: Job;

  private constructor(job: Job, addresses: WanAddresses) {
    this.#job = job;
    this.addresses = addresses;
  }

  static async open(
    a: Namespace,
    b: Namespace,
    options: WanOptions,
    addresses: WanAddresses = { a: "10.99.0.1", b: "10.99.0.2" },
  ): Promise<WanLink> {
    const { delayMs, lossPercent, rateMbit, queuePackets, seed } = options;
    const settings = [delayMs, lossPercent, rateMbit, queuePackets, seed].map(String);
    const job = a.start("wan-link", [await nativeTool("wan-link"), a.name, "wan", b.name, "wan", ...settings]);
    await job.line(/^ready$/);
    const up = (own: string, far: string) => [
      `addr add ${own} peer ${far} dev wan`,
      // The device's own queue must never be the bottleneck: the link counts what it drops, the device does not.
      "link set wan mtu 1500 txqueuelen 10000 up",
    ];
    await a.ip(up(addresses.a, addresses.b));
    await b.ip(up(addresses.b, addresses.a));
    return new WanLink(job, addresses);
  }

  /** Changes the running link, in both directions or only in the one that starts at that end. */
  async set(key: "delay" | "loss" | "rate" | "queue", value: number, from?: "a" | "b"): Promise<void> {
    await this.#command(`${from ? `${from} ` : ""}${key} ${value}`);
  }

  /** Swallows everything, without a word to anybody. */
  async blackhole(on: boolean, from?: "a" | "b"): Promise<void> {
    await this.#command(`${from ? `${from} ` : ""}blackhole ${on ? "on" : "off"}`);
  }

  async stats(): Promise<WanStats> {
    return JSON.parse(await this.#job.request("stats", /^\{/)) as WanStats;
  }

  async cpuSeconds(): Promise<number> {
    return await this.#job.cpuSeconds();
  }

  async close(): Promise<WanStats> {
    const lines = await this.#job.stop();
    return JSON.parse(lines.at(-1) ?? "{}") as WanStats;
  }

  async #command(line: string): Promise<void> {
    const answer = await this.#job.request(line, /^(ok|error)/);
    if (answer !== "ok") throw new Error(`Cannot set the WAN link to \`${line}\`: ${answer}`);
  }
}

/** What happened between two readings of the same link. */
export function wanDelta(before: WanStats, after: WanStats): WanStats {
  const minus = (from: WanDirection, to: WanDirection): WanDirection => ({
    in: to.in - from.in,
    out: to.out - from.out,
    lost: to.lost - from.lost,
    tail_dropped: to.tail_dropped - from.tail_dropped,
    blackholed: to.blackholed - from.blackholed,
    write_failed: to.write_failed - from.write_failed,
    in_flight: to.in_flight,
    peak_queue: to.peak_queue,
  });
  return { a_to_b: minus(before.a_to_b, after.a_to_b), b_to_a: minus(before.b_to_a, after.b_to_a) };
}
