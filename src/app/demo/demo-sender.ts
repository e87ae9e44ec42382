import { now } from "../../io/clock.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { LOOPBACK } from "../loopback.ts";
import { tick, until } from "../wait.ts";
import type { DemoTraffic } from "./demo-traffic.ts";

/**
 * Most that is under way at once. Less than the smallest receive buffer that a system gives a UDP socket (Linux:
 * 208 KiB, of which a full packet takes 2.3): so whatever is lost, it is not a socket of this machine that lost it.
 */
const WINDOW_PACKETS = 64;
const WINDOW_BYTES = 96 * 1024;
/** No datagram has come for so long: those under way will not come any more. */
const SILENCE_MS = 3_000;

/** A UDP application in front of the client: sends `traffic` at a steady pace and hands back in what returns. */
export class DemoSender implements Disposable {
  readonly #traffic: DemoTraffic;
  readonly #target: number;
  #udp: UdpSocket;
  #heardAt = now();

  private constructor(traffic: DemoTraffic, target: number, udp: UdpSocket) {
    this.#traffic = traffic;
    this.#target = target;
    this.#udp = udp;
  }

  /** `target` is the client's UDP port. */
  static async open(traffic: DemoTraffic, target: number): Promise<DemoSender> {
    let sender: DemoSender | undefined;
    const udp = await openSocket(target, (datagram) => sender?.take(datagram));
    sender = new DemoSender(traffic, target, udp);
    return sender;
  }

  get port(): number {
    return this.#udp.port;
  }

  take(datagram: Uint8Array): void {
    this.#heardAt = now();
    this.#traffic.take(this.#heardAt, datagram);
  }

  /** One datagram alone, and wait until it is back. */
  async alone(size: number, signal: AbortSignal): Promise<void> {
    this.#udp.send([this.#traffic.make(now(), size)]);
    await this.settle(signal);
  }

  /** Up to `perSecond` datagrams a second for so long; less where this machine cannot, never more under way than the window. */
  async stream(perSecond: number, durationMs: number, signal: AbortSignal, watch: () => void): Promise<void> {
    const startedAt = now();
    const end = startedAt + durationMs;
    let due = 0;
    let lastAt = startedAt;
    for (let time = startedAt; time < end && !signal.aborted; time = now()) {
      // A turn that comes late is made up for; a machine that cannot keep up owes no more than the window.
      due = Math.min(due + ((time - lastAt) / 1_000) * perSecond, WINDOW_PACKETS);
      lastAt = time;
      const batch: Uint8Array[] = [];
      for (; due >= 1 && this.#roomFor(); due--) batch.push(this.#traffic.make(now()));
      if (batch.length > 0) this.#udp.send(batch);
      watch();
      await tick();
    }
  }

  /** Wait for all that is under way; give it up after a long silence. */
  async settle(signal: AbortSignal): Promise<void> {
    this.#heardAt = now();
    const traffic = this.#traffic;
    const done = () => traffic.inFlight === 0 || now() - this.#heardAt > SILENCE_MS;
    await until(done, Number.POSITIVE_INFINITY, signal);
    if (!signal.aborted) traffic.giveUp();
  }

  /** Go on from another UDP port, as WireGuard does when its network changes. */
  async move(): Promise<void> {
    const udp = await openSocket(this.#target, (datagram) => this.take(datagram));
    this.#udp[Symbol.dispose]();
    this.#udp = udp;
  }

  [Symbol.dispose](): void {
    this.#udp[Symbol.dispose]();
  }

  #roomFor(): boolean {
    return this.#traffic.inFlight < WINDOW_PACKETS && this.#traffic.inFlightBytes < WINDOW_BYTES;
  }
}

function openSocket(target: number, onDatagram: (datagram: Uint8Array) => void): Promise<UdpSocket> {
  return openUdp({
    host: LOOPBACK,
    port: 0,
    connect: { host: LOOPBACK, port: target },
    onDatagram,
    // What the system refuses never comes back, and is counted as lost.
    onDrop: () => {},
    onSent: () => {},
  });
}
