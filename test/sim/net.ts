import { formatEndpoint } from "../../src/core/net/endpoint.ts";
import type { Instant } from "../../src/core/time.ts";
import { Random } from "../random.ts";
import { EventQueue } from "./event-queue.ts";
import { endpointOf, type Packet } from "./packet.ts";

/**
 * Why a datagram went nowhere: no NAT or mapping let it in, its time to live ended, a link lost it, a NAT passes no UDP,
 * nobody has the address, nobody listens on the port.
 */
export type LossReason = "filtered" | "ttl" | "loss" | "blocked" | "unroutable" | "closed";

/** Every datagram that was sent or duplicated is delivered, dropped or still under way. */
export interface NetCounters {
  sent: number;
  duplicated: number;
  delivered: number;
  readonly dropped: Record<LossReason, number>;
  /** ICMP errors that went back; machines do not see them, and they leave mappings alone. */
  readonly icmp: { timeExceeded: number; portUnreachable: number };
}

/** What all parts of one simulated internet share: its clock, its randomness, what is to happen, what was counted. */
export class Net {
  /** Not 0: a machine that takes its first instant for the beginning of time is to be caught. */
  now: Instant = 10_000;
  readonly queue = new EventQueue();
  readonly random: Random;
  readonly counters: NetCounters = {
    sent: 0,
    duplicated: 0,
    delivered: 0,
    dropped: { filtered: 0, ttl: 0, loss: 0, blocked: 0, unroutable: 0, closed: 0 },
    icmp: { timeExceeded: 0, portUnreachable: 0 },
  };
  readonly #onHop: ((line: string) => void) | undefined;

  constructor(seed: number, onHop?: (line: string) => void) {
    this.random = new Random(seed);
    this.#onHop = onHop;
  }

  drop(where: string, packet: Packet, reason: LossReason): void {
    this.counters.dropped[reason] += 1;
    if (reason === "ttl") this.counters.icmp.timeExceeded += 1;
    if (reason === "closed") this.counters.icmp.portUnreachable += 1;
    this.hop(where, packet, `dropped: ${reason}`);
  }

  /** One line of the trace: time, place, datagram, what became of it. */
  hop(where: string, packet: Packet, what: string): void {
    if (this.#onHop === undefined) return;
    const [from, to] = [packet.from, packet.to].map((end) => formatEndpoint(endpointOf(end)));
    this.#onHop(
      `${this.now.toFixed(3)} ${where}: ${from} > ${to} ttl ${packet.ttl}, ${packet.payload.length} B, ${what}`,
    );
  }

  /** What every router does first; false when the datagram ends here. */
  spendHop(where: string, packet: Packet): boolean {
    if (packet.ttl <= 1) {
      this.drop(where, packet, "ttl");
      return false;
    }
    packet.ttl -= 1;
    return true;
  }
}
