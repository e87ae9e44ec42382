import { now } from "../../src/io/clock.ts";
import { openUdp, type UdpSocket } from "../../src/io/udp/udp.ts";
import { openInside } from "./inside.ts";
import type { Namespace } from "./namespace.ts";

/** A UDP port on the loopback of a host. */
export interface LocalPort {
  readonly host: Namespace;
  readonly port: number;
}

/** What became of a stream. Datagrams are told by their numbers, from 0 in the order in which they were sent. */
export interface StreamReport {
  readonly sent: number;
  /** From the first one's start until one of them was back; infinite if none was. */
  readonly firstBackMs: number;
  /** Not back. `lostThere`: those of them that had not even arrived. */
  readonly lost: readonly number[];
  readonly lostThere: readonly number[];
  /** Arrived, or were back, more than once. */
  readonly doubled: readonly number[];
  /** The longest time in which none was back, from the first one that was until the last one was sent. */
  readonly longestGapMs: number;
  /** Round trip of the middle one. */
  readonly p50Ms: number;
}

interface Back {
  readonly number: number;
  readonly at: number;
}

const LOOPBACK = "127.0.0.1";
const EVERY_MS = 20;
const BYTES = 400;
/** The longest round trip: what was sent last is back by then. */
const SETTLE_MS = 700;

/**
 * A program that sends a numbered datagram every 20 ms, come what may, and one at the far end that sends each back to
 * where it came from. Both are sockets of this process, on the loopback of their hosts.
 */
export class NumberedStream implements Disposable {
  readonly #sentAt: number[] = [];
  readonly #arrived: number[] = [];
  readonly #back: Back[] = [];
  #near: UdpSocket | undefined;
  #far: UdpSocket | undefined;
  #timer: Timer | undefined;

  private constructor() {}

  /** `entry`: where a relay listens; `exit`: what its service leads to. The first datagram leaves at once. */
  static async start(entry: LocalPort, exit: LocalPort): Promise<NumberedStream> {
    const stream = new NumberedStream();
    stream.#far = await listen(exit.host, exit.port, (datagram, port, address) => {
      stream.#arrived.push(numberOf(datagram));
      stream.#far?.sendTo([datagram], port, address);
    });
    stream.#near = await listen(entry.host, 0, (datagram) =>
      stream.#back.push({ number: numberOf(datagram), at: now() }),
    );
    stream.#send(entry.port);
    stream.#timer = setInterval(() => stream.#send(entry.port), EVERY_MS);
    return stream;
  }

  get sent(): number {
    return this.#sentAt.length;
  }

  get back(): number {
    return this.#back.length;
  }

  /** Sends no more, and waits for what is still under way. */
  async finish(): Promise<StreamReport> {
    clearInterval(this.#timer);
    await Bun.sleep(SETTLE_MS);
    return this.#report();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#near?.[Symbol.dispose]();
    this.#far?.[Symbol.dispose]();
  }

  #send(port: number): void {
    const datagram = new Uint8Array(BYTES);
    new DataView(datagram.buffer).setUint32(0, this.#sentAt.length);
    this.#sentAt.push(now());
    this.#near?.sendTo([datagram], port, LOOPBACK);
  }

  #report(): StreamReport {
    const [arrivals, backs] = [countsOf(this.#arrived), countsOf(this.#back.map(({ number }) => number))];
    const numbers = this.#sentAt.map((_, number) => number);
    const [first = Number.POSITIVE_INFINITY] = this.#back.map(({ at }) => at);
    const trips = this.#back
      .map(({ number, at }) => at - (this.#sentAt[number] ?? at))
      .sort((one, other) => one - other);
    return {
      sent: numbers.length,
      firstBackMs: first - (this.#sentAt[0] ?? 0),
      lost: numbers.filter((number) => !backs.has(number)),
      lostThere: numbers.filter((number) => !arrivals.has(number)),
      doubled: numbers.filter((number) => (arrivals.get(number) ?? 0) > 1 || (backs.get(number) ?? 0) > 1),
      longestGapMs: this.#longestGapMs(),
      p50Ms: trips[trips.length >> 1] ?? Number.NaN,
    };
  }

  #longestGapMs(): number {
    let [last, longest] = [this.#back[0]?.at ?? 0, 0];
    for (const { at } of this.#back) {
      longest = Math.max(longest, at - last);
      last = at;
    }
    return Math.max(longest, (this.#sentAt.at(-1) ?? 0) - last);
  }
}

async function listen(
  host: Namespace,
  port: number,
  onDatagram: (datagram: Uint8Array, port: number, address: string) => void,
): Promise<UdpSocket> {
  const onDrop = (reason: string, count: number) => {
    // The program itself must never be what loses a datagram.
    if (reason !== "closed") throw new Error(`a stream's own socket dropped ${count}: ${reason}`);
  };
  return await openInside(host, () => openUdp({ host: LOOPBACK, port, onDatagram, onDrop, onSent: () => {} }));
}

function numberOf(datagram: Uint8Array): number {
  return new DataView(datagram.buffer, datagram.byteOffset).getUint32(0);
}

function countsOf(numbers: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return counts;
}
