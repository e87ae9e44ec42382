import { randomBytes } from "node:crypto";
import type { Config } from "../../config/schema.ts";
import type { Transmit } from "../../core/machine.ts";
import type { TraversalStats } from "../../core/nat/traversal-stats.ts";
import type { PlaneStatus } from "../../core/nat/traversal-status.ts";
import { Peer } from "../../core/peer/peer.ts";
import type { DirectPath, PeerEvent, PipeId } from "../../core/peer/peer-event.ts";
import type { PipeExplanation } from "../../core/peer/trace.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { peerIdentity } from "../../io/pki/peer-identity.ts";
import { WakeTimer } from "../../io/wake-timer.ts";
import type { NatWatch } from "../nat/nat-watch.ts";
import type { NodeIdentity } from "../role.ts";
import { hardNatOptions } from "../settings.ts";
import type { Uplink } from "../tunnel/uplink.ts";
import { ControlConnection } from "./control-connection.ts";
import { PeerLog } from "./peer-log.ts";
import { peerNetwork, UNKNOWN_NETWORK } from "./peer-network.ts";
import { PeerSockets } from "./peer-sockets.ts";
import { type P2pUdpConn, type PipeUser, PipeUsers } from "./pipe-users.ts";
import { TunnelGuard } from "./tunnel-guard.ts";

export type { P2pUdpConn, PipeUser };

/** What roles do with pipes. */
export type Pipes = Pick<PeerPlane, "open" | "send" | "close">;

export interface PeerPlaneOptions {
  readonly config: Config;
  readonly identity: NodeIdentity;
  readonly log: Log;
  readonly stats: TraversalStats;
  /** Undefined where its socket could not be had: then everything goes through the server. */
  readonly watch: NatWatch | undefined;
  readonly uplink: Uplink;
  /** Program and version, for the other side's log. */
  readonly node: string;
  /** Whether a verified CN may use a service of this node. */
  readonly authorise: (cn: string, service: string) => boolean;
  /** A peer that may has opened a pipe for a service of this node. */
  readonly accept: (pipe: PipeId, service: string, peer: string) => PipeUser;
  /** Somebody has proven to be `cn`. */
  readonly certificateSeen: (cn: string, notAfter: Date) => void;
}

/** Lines about one thing that goes on and on. */
const QUIET_MS = 5_000;
/** What has failed at a certain time is not called again at once for the same reason. */
const AFTER_FAULT_MS = 1_000;

/**
 * The pipes of a process, whichever of its roles use them: drives the one `Peer` on the sockets of the direct plane, on
 * the lanes, and on the control connection. What comes in during one turn of the event loop is answered in one go, so
 * that datagrams leave in batches.
 */
export class PeerPlane implements Disposable {
  readonly #options: PeerPlaneOptions;
  readonly #peer: Peer;
  readonly #control: ControlConnection;
  readonly #sockets: PeerSockets | undefined;
  readonly #guard = new TunnelGuard((transmits) => this.#disposed || this.#sockets?.send(transmits));
  readonly #log: PeerLog;
  readonly #quiet: DebouncedLog;
  readonly #users: PipeUsers;
  #faults = 0;
  #pumpDue = false;
  /** When the turn of the event loop began whose end will pump. */
  #turnAt: Instant = Number.NEGATIVE_INFINITY;
  readonly #timer = new WakeTimer(() => {
    const isWell = this.#safely(() => this.#peer.handleTimeout(now()));
    this.#pump(isWell ? 0 : AFTER_FAULT_MS);
  });
  #disposed = false;

  constructor(options: PeerPlaneOptions) {
    this.#options = options;
    const { config, identity, log, watch, uplink } = options;
    this.#quiet = debounced(log, QUIET_MS, now);
    this.#log = new PeerLog(log, options.stats);
    this.#users = new PipeUsers({
      accept: options.accept,
      connOf: (path) => this.#conn(path),
      failed: (pipe, error) => this.#failed(pipe, error),
    });
    this.#peer = new Peer({
      now: now(),
      random: (length) => new Uint8Array(randomBytes(length)),
      identity: peerIdentity(identity, config.tls.deny_cn, options.certificateSeen),
      authorise: options.authorise,
      direct: config.p2p.direct && watch !== undefined,
      node: options.node,
      isTarget: config.roles.includes("agent"),
      includeLoopback: config.p2p.include_loopback,
      prefer: config.p2p.prefer,
      hardNat: hardNatOptions(config),
    });
    if (watch === undefined) this.#peer.setNetwork(now(), UNKNOWN_NETWORK);
    else this.#sockets = this.#openSockets(watch);
    uplink.onChannel = (channel, packet) => this.#did((time) => this.#peer.handleChannel(time, { channel, packet }));
    this.#control = new ControlConnection(
      {
        servers: uplink.servers,
        way: config.tcp,
        serverName: config.tls.server_name,
        identity,
        sessionId: uplink.sessionId,
        node: options.node,
        log,
      },
      {
        connected: (server, { peerCn, peerNotAfter }) => {
          if (peerNotAfter !== undefined) options.certificateSeen(peerCn, peerNotAfter);
          this.#did((time) => this.#peer.controlConnected(time, server));
        },
        lost: () => this.#did((time) => this.#peer.controlLost(time)),
        received: (signal) => this.#did((time) => this.#peer.handleSignal(time, signal)),
      },
    );
    this.#control.dial();
  }

  /** Why this node has no control connection; undefined while it has one. */
  get problem(): string | undefined {
    if (this.#control.isConnected) return undefined;
    return this.#control.lastError?.message ?? "the control connection is being dialled";
  }

  /** A pipe to a service, for as long as this node runs: it is opened again whenever it is lost. */
  open(to: string, service: string, user: PipeUser): PipeId {
    const pipe = this.#peer.open(now(), to, service);
    this.#users.add(pipe, user);
    this.#log.wanted(pipe, to, service);
    this.#pumpSoon();
    return pipe;
  }

  /** One datagram. Returns when this turn of the event loop began: datagrams come in batches, and each would ask. */
  send(pipe: PipeId, flow: number, datagram: Uint8Array): Instant {
    this.#pumpSoon();
    this.#peer.send(this.#turnAt, pipe, flow, datagram);
    return this.#turnAt;
  }

  /** Either end's: says goodbye to the other one. `PipeUser.closed` follows, after which its number means nothing. */
  close(pipe: PipeId, reason = "closed"): void {
    this.#did((time) => this.#peer.close(time, pipe, reason));
  }

  /** Every pipe: where its datagrams go, and why. */
  explain(): readonly PipeExplanation[] {
    return this.#peer.explain(now());
  }

  status(): PlaneStatus {
    return { paths: this.#peer.totals, tunnelRefused: this.#guard.refused, faults: this.#faults };
  }

  /** What is kept for pipes, each 0 when there is none: whatever else is left is a leak. */
  get holdings(): {
    readonly pipes: number;
    readonly sessions: number;
    readonly sockets: number;
    readonly users: number;
  } {
    const sockets = this.#peer.holdings.sockets + (this.#sockets?.extra ?? 0);
    return { ...this.#peer.holdings, sockets, users: this.#users.count };
  }

  /** Tell every peer, and the server, that this node goes. */
  end(): void {
    this.#safely(() => {
      for (const { pipe } of this.explain()) this.#peer.close(now(), pipe, "shutdown");
    });
    this.#pump();
    this.#control.end();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#timer[Symbol.dispose]();
    this.#control[Symbol.dispose]();
    this.#sockets?.[Symbol.dispose]();
    this.#quiet.flush();
  }

  #openSockets(watch: NatWatch): PeerSockets {
    const learn = () => this.#did((time) => this.#peer.setNetwork(time, peerNetwork(watch.view())));
    watch.onChange = learn;
    learn();
    return new PeerSockets(
      watch.share(),
      watch.view().locals,
      {
        datagram: (datagram) => this.#did((time) => this.#peer.handleDatagram(time, datagram)),
        opened: (first, count) => this.#did((time) => this.#peer.socketsOpened(time, first, count)),
      },
      this.#quiet,
    );
  }

  #did(what: (time: Instant) => void): void {
    this.#safely(() => what(now()));
    this.#pumpSoon();
  }

  /** The process has other things to do than to end for an error that is not even a pipe's. */
  #safely(what: () => void): boolean {
    try {
      what();
      return true;
    } catch (error) {
      this.#faults += 1;
      this.#quiet.warn("peer_fault", { err: error });
      return false;
    }
  }

  /** It costs the pipe, and nothing else. */
  #failed(pipe: PipeId, error: unknown): void {
    this.#log.handle({ type: "fault", pipe, error });
    this.#faults += 1;
    this.#did((time) => this.#peer.close(time, pipe, "fault"));
  }

  #pumpSoon(): void {
    if (this.#pumpDue || this.#disposed) return;
    this.#pumpDue = true;
    this.#turnAt = now();
    setImmediate(() => {
      this.#pumpDue = false;
      if (!this.#disposed) this.#pump();
    });
  }

  #pump(pauseMs = 0): void {
    const isWell = this.#safely(() => this.#flush());
    this.#timer.setBy(Math.max(this.#peer.nextTimeout(), now() + (isWell ? pauseMs : AFTER_FAULT_MS)));
  }

  #flush(): void {
    const peer = this.#peer;
    for (let next = peer.pollSockets(); next !== undefined; next = peer.pollSockets()) this.#sockets?.handle(next);
    this.#transmit();
    for (let next = peer.pollChannel(); next !== undefined; next = peer.pollChannel())
      this.#options.uplink.offerChannel(next.channel, next.packet);
    for (let next = peer.pollSignal(); next !== undefined; next = peer.pollSignal()) this.#control.send(next);
    // A pipe's first datagram may come with the news that it is open, its last one with that of its end.
    const events: PeerEvent[] = [];
    for (let next = peer.pollEvent(); next !== undefined; next = peer.pollEvent()) events.push(next);
    for (const event of events) if (event.type === "opened") this.#handle(event);
    this.#users.deliver(() => peer.pollDatagram());
    for (const event of events) if (event.type !== "opened") this.#handle(event);
  }

  #transmit(): void {
    const transmits: Transmit[] = [];
    for (let next = this.#peer.pollTransmit(); next !== undefined; next = this.#peer.pollTransmit())
      transmits.push(next);
    if (transmits.length > 0) this.#guard.send(now(), transmits);
  }

  #handle(event: PeerEvent): void {
    this.#log.handle(event);
    if (event.type === "fault") this.#faults += 1;
    else if (event.type === "lanes-wanted") this.#options.uplink.demand();
    else if (event.type === "control-dead") this.#control.drop();
    else this.#users.handle(event);
  }

  #conn({ socket, remote, meta }: DirectPath): P2pUdpConn | undefined {
    const local = this.#sockets?.local(socket);
    return local && { socket: local, remote, meta };
  }
}
