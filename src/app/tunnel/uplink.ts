import { randomUUID } from "node:crypto";
import type { Config } from "../../config/schema.ts";
import type { UtError } from "../../core/error.ts";
import type { Instant } from "../../core/time.ts";
import type { ChannelDatagram } from "../../core/tunnel/channels.ts";
import { TunnelCounters } from "../../core/tunnel/counters.ts";
import type { Session } from "../../core/tunnel/session.ts";
import type { SessionStatus } from "../../core/tunnel/status.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import type { NodeIdentity, RoleContext } from "../role.ts";
import { ServerLink } from "./server-link.ts";
import { Servers, type ServerUser } from "./servers.ts";

/**
 * This process's lanes, for all of its roles: a `ServerLink` to each of its servers, one of which is in use. The client
 * role sends its datagrams with `offer`, the peer roles theirs with `offerChannel`; what comes back goes to whoever has
 * set `onDatagrams` and `onChannel`.
 *
 * Every one of its users may drain and dispose of it; the first one that does ends it for all.
 */
export class Uplink implements AsyncDisposable, ServerUser {
  readonly counters = new TunnelCounters();
  /** Of the lanes, and to be named in the hello of the control connection. */
  readonly sessionId = randomUUID();
  readonly servers: Servers;
  /** The session's, and the same for lines that could come once for each packet. */
  readonly log: Log;
  readonly noisy: DebouncedLog;
  /** Handshakes that failed, by reason. */
  readonly handshakeFailures = new Map<string, number>();
  /** Datagrams of the tunnel: sent before this returns, or copied. Without, they are dropped and counted. */
  onDatagrams: ((datagrams: readonly Uint8Array[]) => void) | undefined;
  /** A datagram of a channel: used before this returns, or copied. Without, it is dropped and counted. */
  onChannel: ((channel: number, datagram: Uint8Array) => void) | undefined;
  readonly #links: readonly ServerLink[];
  #link: ServerLink;

  constructor(config: Config, identity: NodeIdentity, context: RoleContext) {
    const { counters, sessionId, handshakeFailures } = this;
    const log = context.log.child({ client_cn: identity.cn, session_id: sessionId });
    const noisy = debounced(log, 5_000, now);
    this.log = log;
    this.noisy = noisy;
    // Invariant: the config of a role that needs lanes has it.
    const addresses = config.tcp.server_addr!;
    this.servers = new Servers(addresses, config.tcp.idle_seconds * 1_000, log);
    const parts = { config, identity, context, sessionId, counters, log, noisy, handshakeFailures };
    this.#links = addresses.map(
      (address, server): ServerLink =>
        new ServerLink(address, parts, {
          deliver: (datagrams) => this.#deliver(datagrams),
          deliverChannels: (datagrams) => this.#deliverChannels(server, datagrams),
          opened: () => this.servers.opened(server),
          answered: () => this.servers.answered(server),
          ended: (worked) => this.#ended(server, worked),
        }),
    );
    // Invariant: a list of servers is not empty.
    this.#link = this.#links[0]!;
    this.servers.use(this);
  }

  /** With the server in use. */
  get session(): Session {
    return this.#link.session;
  }

  /** Why the last dial of the server in use came to nothing; undefined when a lane has opened since. */
  get lastError(): UtError | undefined {
    return this.#link.lastError;
  }

  /** A datagram of the tunnel. It is kept, not copied. */
  offer(datagram: Uint8Array): void {
    this.#wanted(this.#link.offer(datagram));
  }

  /** A datagram for the other end of `channel`, a number of the server in use. It is kept, not copied. */
  offerChannel(channel: number, datagram: Uint8Array): void {
    this.#wanted(this.#link.offerChannel(channel, datagram));
  }

  /** What waits for `channel` is of no use any more. */
  closeChannel(channel: number): void {
    this.session.closeChannel(channel);
  }

  /** Lanes are wanted: something will come over them, or is about to go. */
  demand(): void {
    this.#link.demand();
    this.#wanted(now());
  }

  isUp(server: number): boolean {
    return (this.#links[server]?.session.lanes.length ?? 0) > 0;
  }

  try(server: number): void {
    this.#links[server]?.probe();
  }

  move(from: number, to: number): void {
    const [before, after] = [this.#links[from], this.#links[to]];
    if (before === undefined || after === undefined) return;
    this.#link = after;
    before.moveTo(after);
  }

  leave(server: number): void {
    this.#links[server]?.leave();
  }

  /**
   * The session with the server in use, and those others that still have lanes. `udp`: the local address that the
   * tunnel's datagrams come from, "" without.
   */
  status(udp: string): SessionStatus[] {
    this.counters.laneReconnects = this.#links.reduce((sum, { redials }) => sum + redials, 0);
    return this.#links
      .filter((link) => link === this.#link || link.session.lanes.length > 0)
      .map((link) => link.status(udp));
  }

  /** Send what waits, say GOODBYE, wait for the servers; `deadline` cuts it short. */
  async drain(deadline: AbortSignal): Promise<void> {
    this.servers[Symbol.dispose]();
    await Promise.all(this.#links.map((link) => link.drain(deadline)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.servers[Symbol.dispose]();
    await Promise.all(this.#links.map((link) => link[Symbol.asyncDispose]()));
    this.noisy.flush();
  }

  #wanted(at: Instant | undefined): void {
    if (at !== undefined) this.servers.wanted(at);
  }

  /** What a lane to another server never got out goes where everything goes. */
  #ended(server: number, worked: boolean): void {
    this.servers.ended(server, worked);
    const link = this.#links[server];
    if (link !== undefined && link !== this.#link && link.session.queuedPackets > 0) link.moveTo(this.#link);
  }

  #deliver(datagrams: readonly Uint8Array[]): void {
    this.servers.wanted(now());
    if (this.onDatagrams === undefined) this.counters.down.drops.no_peer += datagrams.length;
    else this.onDatagrams(datagrams);
  }

  #deliverChannels(server: number, datagrams: readonly ChannelDatagram[]): void {
    this.servers.wanted(now());
    const counters = this.counters.channels.down;
    for (const { channel, datagram } of datagrams) {
      // The number of another server means nothing here.
      if (this.onChannel === undefined || server !== this.servers.current) counters.drops.unknown++;
      else {
        counters.outPackets++;
        counters.outBytes += datagram.length;
        this.onChannel(channel, datagram);
      }
    }
  }
}
