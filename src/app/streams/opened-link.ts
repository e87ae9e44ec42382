import { randomBytes } from "node:crypto";
import { equalBytes } from "../../core/crypto.ts";
import type { PipeId } from "../../core/peer/peer-event.ts";
import { FLOW_QUIC } from "../../core/pipe/packet.ts";
import {
  decodeWelcome,
  encodeHello,
  isGreeting,
  LINK_ID_BYTES,
  type LinkId,
} from "../../core/streams/link-greeting.ts";
import type { Pipes, PipeUser } from "../peers/peer-plane.ts";
import { openShim, type QuicShim } from "./quic-shim.ts";

const HELLO_MS = 500;

export interface OpenedLinkOptions {
  readonly plane: Pipes;
  readonly to: string;
  readonly service: string;
  /** The other end answers. `isKnown`: it has not forgotten this link since it last did. */
  readonly up: (isKnown: boolean) => void;
  /** There is no pipe. */
  readonly down: (reason: string) => void;
}

/** Throws `io.bind`. */
export async function openLink(options: OpenedLinkOptions): Promise<OpenedLink> {
  const link = new OpenedLink(options);
  await link.open();
  return link;
}

/**
 * The opener's end of a link: QUIC's datagrams over a pipe to a service of `to`, and over the next one when that is
 * lost. Made by `openLink`.
 */
export class OpenedLink implements PipeUser, Disposable {
  readonly #options: OpenedLinkOptions;
  readonly #id: LinkId = new Uint8Array(randomBytes(LINK_ID_BYTES));
  #shim: QuicShim | undefined;
  #pipe: PipeId | undefined;
  /** There is a pipe: what is sent on it gets there. */
  #isOpen = false;
  /** HELLO is said again until somebody answers. */
  #helloTimer: Timer | undefined;
  dropped = 0;

  constructor(options: OpenedLinkOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    this.#shim = await openShim((datagram) => this.#toPipe(datagram));
    const { plane, to, service } = this.#options;
    this.#pipe = plane.open(to, service, this);
  }

  /** Where QUIC finds the other end. */
  get port(): number {
    return this.#shim?.port ?? 0;
  }

  /** Where QUIC dials from. */
  set dialerPort(port: number) {
    if (this.#shim !== undefined) this.#shim.endpointPort = port;
  }

  opened(): void {
    this.#isOpen = true;
    this.#hello();
  }

  waiting(reason: string): void {
    this.#isOpen = false;
    this.#hush();
    this.#options.down(reason);
  }

  deliver(flow: number, datagrams: readonly Uint8Array[]): void {
    if (flow !== FLOW_QUIC) {
      this.dropped += datagrams.length;
      return;
    }
    for (const datagram of datagrams) if (isGreeting(datagram)) this.#greeted(datagram);
    this.#shim?.toQuic(datagrams.filter((datagram) => !isGreeting(datagram)));
  }

  direct(): void {}

  closed(): void {
    this.#pipe = undefined;
    this.waiting("the pipe was closed");
  }

  [Symbol.dispose](): void {
    this.#hush();
    if (this.#pipe !== undefined) this.#options.plane.close(this.#pipe);
    this.#pipe = undefined;
    this.#shim?.[Symbol.dispose]();
  }

  #hello(): void {
    clearTimeout(this.#helloTimer);
    this.#send(encodeHello(this.#id));
    this.#helloTimer = setTimeout(() => this.#hello(), HELLO_MS);
  }

  #greeted(datagram: Uint8Array): void {
    const welcome = decodeWelcome(datagram);
    if (welcome === undefined || this.#helloTimer === undefined || !equalBytes(welcome.link, this.#id)) return;
    this.#hush();
    this.#options.up(welcome.isKnown);
  }

  /** HELLO need not be said any more, or cannot be. */
  #hush(): void {
    clearTimeout(this.#helloTimer);
    this.#helloTimer = undefined;
  }

  #toPipe(datagram: Uint8Array): void {
    // Else 64 old ones would wait for the next pipe, and QUIC sends them again by itself.
    if (this.#isOpen) this.#send(datagram);
    else this.dropped += 1;
  }

  #send(datagram: Uint8Array): void {
    if (this.#pipe !== undefined) this.#options.plane.send(this.#pipe, FLOW_QUIC, datagram);
  }
}
