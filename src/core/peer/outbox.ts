import type { Transmit } from "../machine.ts";
import type { ChannelDatagram, FlowDatagram, PeerEvent, SocketRequest } from "./peer-event.ts";
import { FIRST_FAN_SOCKET } from "./peer-options.ts";

/** First in, first out, at a constant price however much is in it. */
export class Fifo<Item> {
  #items: Item[] = [];
  #next = 0;

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    if (this.#next === this.#items.length) return undefined;
    const item = this.#items[this.#next++];
    if (this.#next === this.#items.length) {
      this.#items = [];
      this.#next = 0;
    }
    return item;
  }
}

/** Everything that a `Peer` and its parts want done, until the shell polls it, which it does after every call. */
export class Outbox {
  readonly transmits = new Fifo<Transmit>();
  readonly channels = new Fifo<ChannelDatagram>();
  readonly datagrams = new Fifo<FlowDatagram>();
  readonly events = new Fifo<PeerEvent>();
  readonly sockets = new Fifo<SocketRequest>();
  #nextSocket = FIRST_FAN_SOCKET;

  /** Asks for `count` sockets; the number of the first one. */
  openSockets(count: number): number {
    const first = this.#nextSocket;
    this.#nextSocket += count;
    this.sockets.push({ type: "open", first, count });
    return first;
  }

  closeSockets(first: number, count: number, keep?: number): void {
    this.sockets.push({ type: "close", first, count, ...(keep !== undefined && { keep }) });
  }
}
