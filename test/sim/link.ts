import type { Due } from "./event-queue.ts";
import type { Net } from "./net.ts";
import type { Node, Packet } from "./packet.ts";

/** What a link does to datagrams in its one direction. */
export interface LinkQuality {
  readonly delayMs: number;
  /** Probabilities, 0 to 1: of getting lost, of coming twice, of coming later than what was sent after it. */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
}

export const LOCAL_LINK: LinkQuality = { delayMs: 0.1, loss: 0, duplication: 0, reordering: 0 };

/** A datagram that is held back is so by up to this many delays of its link, and by up to 5 ms on a link without one. */
const REORDER_DELAYS = 3;
const REORDER_MIN_MS = 5;

class Arrival implements Due {
  readonly #to: Node;
  readonly #packet: Packet;

  constructor(to: Node, packet: Packet) {
    this.#to = to;
    this.#packet = packet;
  }

  fire(): void {
    this.#to.receive(this.#packet);
  }
}

/** One direction of a wire. Nothing arrives before the event queue has had its turn, be the delay 0. */
export class Link implements Node {
  readonly #net: Net;
  readonly #name: string;
  readonly #to: Node;
  readonly #quality: LinkQuality;

  constructor(net: Net, name: string, to: Node, quality: LinkQuality) {
    this.#net = net;
    this.#name = name;
    this.#to = to;
    this.#quality = quality;
  }

  receive(packet: Packet): void {
    const { loss, duplication } = this.#quality;
    if (this.#happens(loss)) this.#net.drop(this.#name, packet, "loss");
    else {
      if (this.#happens(duplication)) {
        this.#net.counters.duplicated += 1;
        this.#carry({ ...packet });
      }
      this.#carry(packet);
    }
  }

  #carry(packet: Packet): void {
    const { delayMs, reordering } = this.#quality;
    const held = this.#happens(reordering)
      ? this.#net.random.next() * Math.max(REORDER_MIN_MS, REORDER_DELAYS * delayMs)
      : 0;
    this.#net.queue.push(this.#net.now + delayMs + held, new Arrival(this.#to, packet));
  }

  #happens(probability: number): boolean {
    return probability > 0 && this.#net.random.next() < probability;
  }
}
