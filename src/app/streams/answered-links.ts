import type { PipeId } from "../../core/peer/peer-event.ts";
import { FLOW_QUIC } from "../../core/pipe/packet.ts";
import { decodeHello, encodeWelcome, isGreeting, type LinkId } from "../../core/streams/link-greeting.ts";
import type { Pipes, PipeUser } from "../peers/peer-plane.ts";
import { openShim, type QuicShim } from "./quic-shim.ts";

/** Links at a time, of one peer and of all: each is a socket. */
const MAX_PEER_LINKS = 16;
const MAX_LINKS = 256;

/**
 * The answering end of links: each has a socket on loopback, by whose port QUIC's listener tells whose connection it
 * is. A link lives as long as it has a pipe or a connection, and follows its peer from pipe to pipe.
 */
export class AnsweredLinks implements Disposable {
  readonly #listenerPort: number;
  readonly #links = new Map<string, AnsweredLink>();
  /** Datagrams that belong to no link, or to no flow of ours. */
  dropped = 0;

  constructor(listenerPort: number) {
    this.#listenerPort = listenerPort;
  }

  get size(): number {
    return this.#links.size;
  }

  /** What a peer's pipe carries: its first HELLO says which link. */
  accept(plane: Pipes, pipe: PipeId, peer: string): PipeUser {
    return new LinkPipe(this, peer, (datagram) => plane.send(pipe, FLOW_QUIC, datagram));
  }

  /** The link whose socket has this port. */
  at(port: number): AnsweredLink | undefined {
    for (const link of this.#links.values()) if (link.port === port) return link;
    return undefined;
  }

  /** The link of that name, begun if there is none. Undefined: it would be one too many. */
  take(peer: string, id: LinkId): { readonly link: AnsweredLink; readonly isKnown: boolean } | undefined {
    const key = `${peer} ${id.toHex()}`;
    const known = this.#links.get(key);
    if (known !== undefined) return { link: known, isKnown: true };
    const ofPeer = [...this.#links.values()].filter((link) => link.peer === peer).length;
    if (ofPeer >= MAX_PEER_LINKS || this.#links.size >= MAX_LINKS) return undefined;
    const link = new AnsweredLink(peer, this.#listenerPort, () => this.#links.delete(key));
    this.#links.set(key, link);
    return { link, isKnown: false };
  }

  [Symbol.dispose](): void {
    for (const link of [...this.#links.values()]) link[Symbol.dispose]();
  }
}

type Send = (datagram: Uint8Array) => void;

/** The answerer's end of a link: a socket that QUIC knows it by, and the pipe that it has now. */
export class AnsweredLink implements Disposable {
  readonly peer: string;
  readonly #ended: () => void;
  readonly #shim: Promise<QuicShim>;
  #opened: QuicShim | undefined;
  /** The pipe that said HELLO for it last; undefined: another one is waited for, as long as there are connections. */
  #send: Send | undefined;
  #connections = 0;
  #isOver = false;

  constructor(peer: string, listenerPort: number, ended: () => void) {
    this.peer = peer;
    this.#ended = ended;
    this.#shim = openShim((datagram) => this.#send?.(datagram), listenerPort);
    this.#shim.then(
      (shim) => {
        this.#opened = shim;
        if (this.#isOver) shim[Symbol.dispose]();
      },
      () => this[Symbol.dispose](),
    );
  }

  /** 0 until it is open. */
  get port(): number {
    return this.#opened?.port ?? 0;
  }

  get connections(): number {
    return this.#connections;
  }

  /** Datagrams go to this pipe from now on. Rejects with `io.bind`. */
  async follow(send: Send): Promise<void> {
    this.#send = send;
    await this.#shim;
  }

  /** This pipe is no more. */
  leave(send: Send): void {
    if (this.#send !== send) return;
    this.#send = undefined;
    this.#endUnused();
  }

  toQuic(datagrams: readonly Uint8Array[]): void {
    this.#opened?.toQuic(datagrams);
  }

  connected(): void {
    this.#connections += 1;
  }

  disconnected(): void {
    this.#connections -= 1;
    this.#endUnused();
  }

  [Symbol.dispose](): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#opened?.[Symbol.dispose]();
    this.#ended();
  }

  #endUnused(): void {
    if (this.#send === undefined && this.#connections === 0) this[Symbol.dispose]();
  }
}

/** One pipe of a peer, and the link that it carries. */
class LinkPipe implements PipeUser {
  readonly #links: AnsweredLinks;
  readonly #peer: string;
  readonly #send: Send;
  #link: AnsweredLink | undefined;
  /** The answer to every HELLO on this pipe. */
  #welcome: Uint8Array | undefined;

  constructor(links: AnsweredLinks, peer: string, send: Send) {
    this.#links = links;
    this.#peer = peer;
    this.#send = send;
  }

  deliver(flow: number, datagrams: readonly Uint8Array[]): void {
    const ours = flow === FLOW_QUIC ? datagrams : [];
    for (const datagram of ours) if (isGreeting(datagram)) this.#greeted(datagram);
    const packets = ours.filter((datagram) => !isGreeting(datagram));
    if (this.#link === undefined || flow !== FLOW_QUIC) this.#links.dropped += datagrams.length;
    else if (packets.length > 0) this.#link.toQuic(packets);
  }

  direct(): void {}

  closed(): void {
    this.#link?.leave(this.#send);
    this.#link = undefined;
  }

  #greeted(datagram: Uint8Array): void {
    const id = decodeHello(datagram);
    if (id === undefined) return;
    if (this.#link === undefined) this.#join(id);
    else if (this.#welcome !== undefined) this.#send(this.#welcome);
  }

  #join(id: LinkId): void {
    const taken = this.#links.take(this.#peer, id);
    if (taken === undefined) return;
    const { link, isKnown } = taken;
    this.#link = link;
    link.follow(this.#send).then(
      () => {
        this.#welcome = encodeWelcome({ link: id, isKnown });
        this.#send(this.#welcome);
      },
      // There was no socket for it: the next HELLO may have more luck.
      () => {
        this.#link = undefined;
      },
    );
  }
}
