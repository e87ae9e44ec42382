import type { RandomBytes } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import type { Signal } from "../wire/signal.ts";
import { Alarm } from "./alarm.ts";
import { CnRates } from "./cn-rates.ts";
import { ConnectionTable } from "./connection-table.ts";
import { DEAD_AFTER_MS, PING_EVERY_MS } from "./heartbeat.ts";
import { HubConnection } from "./hub-connection.ts";
import { HubCounters } from "./hub-counters.ts";
import type { Attendee, ConnectionId, EvictReason, HubEvent, HubMessage } from "./hub-event.ts";
import type { HubOffice } from "./hub-office.ts";
import { HubPipes } from "./hub-pipe.ts";
import { RECONNECT_GRACE_MS } from "./limits.ts";
import type { Member } from "./member.ts";
import { OpenDesk } from "./open-desk.ts";
import { PipeDesk } from "./pipe-desk.ts";
import { Rendezvous } from "./rendezvous.ts";
import { Roster } from "./roster.ts";

export interface SignalHubOptions {
  readonly random: RandomBytes;
  /** UDP port of the server's STUN service, 0: it has none. */
  readonly stunPort: number;
}

/** One process at the server, for status and logs. */
export interface MemberStatus extends Attendee {
  readonly isConnected: boolean;
  readonly isRegistered: boolean;
  readonly rttMs: number | null;
  readonly nat: string;
  readonly pipes: number;
}

/** How often a peer is told at most that datagrams wait for its lanes. */
const LANES_WANTED_EVERY_MS = 1_000;

/**
 * The server's side of all control connections: who is there, who is found under which CN, pipes between two of them,
 * and the moments at which both ends begin to go direct. It carries offers that it can neither forge nor change, and
 * believes nothing of what a peer says: a channel is its owner's alone, an address is one that STUN saw.
 *
 * A pipe outlives a lost control connection by 90 s, as its datagrams flow over the lanes meanwhile: the same session
 * (CN and `session_id`) finds it again, and says with `resume` which ones it still has. Requests, wishes to punch and
 * STUN credentials end with the connection. A process that registers under a CN takes over from the one before it,
 * whose pipes as a target close. Nothing outlives the hub: after a restart all are opened anew.
 *
 * After every call the shell polls events, then messages, until there are none, then asks for `nextTimeout`.
 */
export class SignalHub {
  readonly counters = new HubCounters();
  readonly #options: SignalHubOptions;
  readonly #connections = new ConnectionTable();
  readonly #roster = new Roster();
  readonly #alarm = new Alarm();
  readonly #pipes: HubPipes;
  readonly #opens: OpenDesk;
  readonly #rendezvous: Rendezvous;
  readonly #desk: PipeDesk;
  readonly #events: HubEvent[] = [];

  constructor(options: SignalHubOptions) {
    this.#options = options;
    this.#pipes = new HubPipes(options.random);
    const office: HubOffice = {
      roster: this.#roster,
      pipes: this.#pipes,
      rates: new CnRates(),
      counters: this.counters,
      alarm: this.#alarm,
      send: (member, signal) => this.#connections.send(member, signal),
      hasRoom: (member) => this.#connections.hasRoom(member),
      tell: (event) => void this.#events.push(event),
    };
    this.#opens = new OpenDesk(office);
    this.#rendezvous = new Rendezvous(office);
    this.#desk = new PipeDesk(office, this.#opens, this.#rendezvous);
  }

  /** `hello{kind: control}` was read and answered. `id` has not been used before. */
  connected(now: Instant, id: ConnectionId, attendee: Attendee): void {
    const known = this.#roster.find(attendee);
    if (known?.connection !== undefined) this.#evict(now, known.connection, "reconnected");
    const excess = known === undefined ? this.#roster.excess(attendee.cn) : undefined;
    if (excess?.connection !== undefined) this.#evict(now, excess.connection, "too-many");
    if (excess !== undefined) this.#remove(excess, "peer-gone");
    const member = this.#roster.find(attendee) ?? this.#roster.add(attendee);
    const connection = new HubConnection(now, id, member, this.#options.random);
    member.connection = connection;
    member.expiresAt = NEVER;
    this.#connections.add(connection);
    const port = this.#options.stunPort;
    if (port > 0) this.#connections.send(member, { type: "stun_credential", ...connection.credential, port });
    this.#beat(now, connection);
    this.#settle(now);
  }

  /** The connection has ended, whoever ended it. */
  disconnected(now: Instant, id: ConnectionId): void {
    const connection = this.#connections.get(id);
    if (connection !== undefined) this.#drop(now, connection);
    this.#settle(now);
  }

  /** Of a connection that was evicted nothing is listened to. */
  received(now: Instant, id: ConnectionId, signal: Signal): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    this.counters.signals += 1;
    connection.heardAt = now;
    connection.heartbeat.heard();
    if (connection.rate.take(now)) this.#take(now, connection, signal);
    else this.#evict(now, connection, "flood");
    this.#settle(now);
  }

  /** Whether the connection's socket takes more now. While it does not, messages wait here: 256, then it is evicted. */
  setWritable(id: ConnectionId, isWritable: boolean): void {
    this.#connections.setWritable(id, isWritable);
  }

  /** A Binding request came from there, and its MESSAGE-INTEGRITY is of this user. */
  observed(now: Instant, username: string, endpoint: Endpoint): void {
    this.#connections.byUsername(username)?.sightings.add(now, endpoint);
  }

  stunPassword(username: string): string | undefined {
    return this.#connections.byUsername(username)?.credential.password;
  }

  /** Datagrams wait for lanes of this session. Told at most once a second. */
  lanesWanted(now: Instant, attendee: Attendee, packets: number): void {
    const connection = this.#roster.find(attendee)?.connection;
    if (connection === undefined || now - connection.lanesWantedAt < LANES_WANTED_EVERY_MS) return;
    connection.lanesWantedAt = now;
    this.#connections.send(connection.member, { type: "lanes_wanted", packets });
    this.#settle(now);
  }

  handleTimeout(now: Instant): void {
    if (!this.#alarm.rings(now)) return;
    for (const connection of this.#connections.all) this.#beat(now, connection);
    for (const member of [...this.#roster.all()])
      if (member.expiresAt <= now) this.#remove(member, "peer-gone");
      else this.#alarm.set(member.expiresAt);
    this.#opens.handleTimeout(now);
    this.#rendezvous.handleTimeout(now);
    this.#settle(now);
  }

  nextTimeout(): Instant {
    return this.#alarm.at;
  }

  /** In turn, one message of each connection. */
  pollMessage(): HubMessage | undefined {
    return this.#connections.poll();
  }

  pollEvent(): HubEvent | undefined {
    return this.#events.shift();
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Offered and opened. */
  get pipes(): number {
    return this.#pipes.count;
  }

  get pendingOpens(): number {
    return this.#opens.pending;
  }

  get members(): MemberStatus[] {
    return [...this.#roster.all()].map(({ cn, sessionId, connection, isRegistered, info, ends }) => ({
      cn,
      sessionId,
      isConnected: connection !== undefined,
      isRegistered,
      rttMs: connection?.heartbeat.rttMs ?? null,
      nat: info.nat,
      pipes: ends.size,
    }));
  }

  #take(now: Instant, connection: HubConnection, signal: Signal): void {
    const { member } = connection;
    switch (signal.type) {
      case "ping":
        this.#connections.send(member, { type: "pong", id: signal.id });
        break;
      case "pong":
        connection.heartbeat.pong(now, signal.id);
        break;
      case "register":
        this.#register(now, member, signal.node);
        break;
      case "peer_info":
        member.info = signal.info;
        break;
      case "resume":
        this.#desk.resume(member, signal.channels);
        break;
      case "find_peer": {
        const registered = this.#roster.registered(signal.to) !== undefined;
        this.#connections.send(member, { type: "found_peer", to: signal.to, registered });
        break;
      }
      case "open_p2p":
        this.#opens.request(now, member, signal);
        break;
      case "p2p_accept":
      case "p2p_reject":
      case "p2p_close":
      case "candidates":
      case "punch_request":
      case "punch_ack":
      case "p2p_result":
        this.#desk.take(now, member, signal);
        break;
      default:
        // What only the server says.
        this.counters.dropped.unexpected += 1;
    }
  }

  /** The latest one wins. */
  #register(now: Instant, member: Member, node: string): void {
    for (const other of this.#roster.of(member.cn)) {
      if (other === member) continue;
      if (other.isRegistered && other.connection !== undefined) this.#evict(now, other.connection, "replaced");
      // Lost before, or evicted just now: whoever wants the service is to find the one that has it.
      for (const end of [...other.ends.values()])
        if (other.connection === undefined && end === end.pipe.target) this.#desk.close(end.pipe, "replaced");
    }
    this.#connections.send(member, { type: "registered", lease_ms: PING_EVERY_MS + DEAD_AFTER_MS });
    if (member.isRegistered) return;
    member.isRegistered = true;
    this.#events.push({ type: "registered", attendee: member.attendee, node });
    this.#opens.registered(now, member);
  }

  #beat(now: Instant, connection: HubConnection): void {
    const due = connection.heartbeat.poll(now);
    if (due === "dead") {
      this.#evict(now, connection, "dead");
      return;
    }
    if (due !== undefined) this.#connections.send(connection.member, { type: "ping", id: due });
    this.#alarm.set(connection.heartbeat.nextTimeout());
  }

  #evict(now: Instant, connection: HubConnection, reason: EvictReason): void {
    this.counters.evicted[reason] += 1;
    const { id, member } = connection;
    this.#events.push({ type: "evict", id, attendee: member.attendee, reason });
    this.#drop(now, connection);
  }

  #drop(now: Instant, connection: HubConnection): void {
    const { member } = connection;
    this.#connections.remove(connection);
    member.connection = undefined;
    member.isRegistered = false;
    this.#opens.left(member);
    this.#rendezvous.left(member);
    member.expiresAt = now + RECONNECT_GRACE_MS;
    if (member.ends.size === 0) this.#roster.remove(member);
    else this.#alarm.set(member.expiresAt);
  }

  #remove(member: Member, reason: string): void {
    for (const { pipe } of [...member.ends.values()]) this.#desk.close(pipe, reason);
    this.#roster.remove(member);
  }

  /** Evicting one may fill another. */
  #settle(now: Instant): void {
    for (let slow = this.#connections.overflowed; slow !== undefined; slow = this.#connections.overflowed)
      this.#evict(now, slow, "slow-reader");
  }
}
