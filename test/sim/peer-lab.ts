import { hmacSha256 } from "../../src/core/crypto.ts";
import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import type { NatKind } from "../../src/core/nat/direct-way.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { Peer } from "../../src/core/peer/peer.ts";
import type { AttemptReport, PeerEvent, SocketRequest } from "../../src/core/peer/peer-event.ts";
import { FIRST_FAN_SOCKET, type PeerNetwork, type PeerOptions } from "../../src/core/peer/peer-options.ts";
import type { PeerIdentity } from "../../src/core/pipe/handshake.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import { SignalHub } from "../../src/core/signal/hub.ts";
import { StunServer, type StunServerEvent } from "../../src/core/stun/server.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";
import { decodeSignal, encodeSignal, type Signal, type SignalInput } from "../../src/core/wire/signal.ts";
import { ADDRESSES, type HostName, type Running } from "../contract/world.ts";
import { Random } from "../random.ts";
import type { SimWorld } from "./sim-world.ts";

const STUN = { address: ADDRESSES.stun, port: 3_478 };
const PORT = 5_000;
const utf8 = new TextEncoder();

/** A CA in memory: each CN has its key, and everybody knows whose signature is whose. */
export function testIdentity(cn: string, key = cn): PeerIdentity {
  const seal = (name: string, text: Uint8Array) => hmacSha256(utf8.encode(`key of ${name}`), text);
  return {
    cn,
    certificate: `certificate of ${cn}`,
    sign: (text) => seal(key, text),
    verify(certificate, text, signature) {
      const [, name = ""] = /^certificate of (.+)$/.exec(certificate) ?? [];
      if (name === "") return { ok: false, kind: "bad-certificate", detail: "not of this CA" };
      if (Buffer.compare(seal(name, text), signature) === 0) return { ok: true, cn: name };
      return { ok: false, kind: "bad-signature", detail: `not of ${name}` };
    },
  };
}

/** What happens later, outside of the simulated internet: TCP connections that nothing is lost on. */
class Clock implements Machine<never> {
  readonly #due: { readonly at: Instant; readonly run: (now: Instant) => void }[] = [];

  at(at: Instant, run: (now: Instant) => void): void {
    this.#due.push({ at, run });
    this.#due.sort((one, other) => one.at - other.at);
  }

  handleDatagram(): void {}

  handleTimeout(now: Instant): void {
    while ((this.#due[0]?.at ?? NEVER) <= now) this.#due.shift()?.run(now);
  }

  pollTransmit(): undefined {}

  pollEvent(): undefined {}

  nextTimeout(): Instant {
    return this.#due[0]?.at ?? NEVER;
  }
}

/** One socket of a fan: a window of a `PeerNode`. */
class FanSocket implements Machine<never> {
  readonly #out: Transmit[] = [];
  readonly #take: (datagram: Datagram) => void;

  constructor(take: (datagram: Datagram) => void) {
    this.#take = take;
  }

  send(transmit: Transmit): void {
    this.#out.push({ ...transmit, socket: 0 });
  }

  handleDatagram(_now: Instant, datagram: Datagram): void {
    this.#take(datagram);
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#out.shift();
  }

  pollEvent(): undefined {}

  nextTimeout(): Instant {
    return NEVER;
  }
}

/** `Peer` as a machine of the simulation: what is no datagram goes to the lab. */
class PeerNode implements Machine<PeerEvent> {
  readonly peer: Peer;
  /** After each call of the peer, before its transmits are polled. */
  shell = () => {};
  /** An error inside of one of its pipes is an error of the test, unless that is what it is about. */
  mayFail = false;
  /** Whether another socket than the shared one sends it. */
  send: (transmit: Transmit) => boolean = () => false;

  constructor(peer: Peer) {
    this.peer = peer;
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.peer.handleDatagram(now, datagram);
  }

  handleTimeout(now: Instant): void {
    this.peer.handleTimeout(now);
  }

  pollTransmit(): Transmit | undefined {
    this.shell();
    for (let next = this.peer.pollTransmit(); next !== undefined; next = this.peer.pollTransmit())
      if (!this.send(next)) return next;
    return undefined;
  }

  pollEvent(): PeerEvent | undefined {
    const event = this.peer.pollEvent();
    if (event?.type === "fault" && !this.mayFail) throw event.error;
    return event;
  }

  nextTimeout(): Instant {
    return this.peer.nextTimeout();
  }
}

export interface PeerSpec {
  readonly host: HostName;
  readonly cn: string;
  readonly nat: NatKind;
  readonly network?: Partial<PeerNetwork>;
  readonly options?: Partial<PeerOptions>;
}

/** A process in the lab: its peer, its sockets, and what it has received. */
export interface LabPeer {
  readonly cn: string;
  readonly running: Running<PeerNode>;
  readonly peer: Peer;
  readonly events: readonly PeerEvent[];
  readonly reports: AttemptReport[];
  readonly received: { readonly pipe: number; readonly flow: number; readonly text: string; readonly at: Instant }[];
  /** Sockets beyond the shared one. */
  readonly fan: Map<number, Running<FanSocket>>;
  /** Sealed packets over the relay, each way. */
  relayed: number;
  connect(): void;
  disconnect(): void;
  do(what: (peer: Peer, now: Instant) => void): void;
}

interface Link {
  readonly id: number;
  readonly peer: LabPeer;
}

export interface LabOptions {
  readonly seed: number;
  /** One way, between a peer and the server. */
  readonly delayMs?: number;
}

/**
 * Whole peers with one server: its hub, its STUN port, and a switch for channels, all in a `SimWorld`. What goes over
 * TCP goes past the simulated internet, in order and with a delay. `onSignal…` are for a server that lies.
 */
export class PeerLab {
  readonly world: SimWorld;
  hub: SignalHub;
  /** Nothing that one peer sends to another one over UDP arrives any more. */
  isUdpCut = false;
  onSignalToPeer: (to: LabPeer, signal: SignalInput) => SignalInput | undefined = (_to, signal) => signal;
  onSignalFromPeer: (from: LabPeer, signal: Signal) => Signal | undefined = (_from, signal) => signal;
  onChannel: (from: LabPeer, packet: Uint8Array) => Uint8Array | undefined = (_from, packet) => packet;
  readonly #random: Random;
  readonly #delayMs: number;
  readonly #clock: Running<Clock>;
  readonly #links = new Map<number, Link>();
  readonly #routes = new Map<string, { readonly session: string; readonly channel: number }>();
  readonly #peers = new Map<string, LabPeer>();
  #lastLink = 0;
  #hubWakesAt: Instant = NEVER;
  #isUp = true;

  private constructor(world: SimWorld, clock: Running<Clock>, { seed, delayMs = 15 }: LabOptions) {
    this.world = world;
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#random = new Random(seed);
    this.hub = this.#newHub();
  }

  static async open(world: SimWorld, options: LabOptions): Promise<PeerLab> {
    const lab = new PeerLab(world, await world.start("stun", [], () => new Clock()), options);
    await world.start("stun", [STUN], () => lab.#stunServer());
    return lab;
  }

  get now(): Instant {
    return this.world.now();
  }

  /** After so long, as the world's time goes. */
  later(ms: number, run: (now: Instant) => void): void {
    this.#clock.machine.at(this.now + ms, run);
    this.#clock.poke();
  }

  async pass(ms: number): Promise<void> {
    await this.world.until(() => false, ms);
  }

  /** The server stops: nothing gets through it, and it forgets everything. */
  stopServer(): void {
    this.#isUp = false;
    this.#routes.clear();
    for (const { peer } of [...this.#links.values()]) peer.disconnect();
  }

  startServer(): void {
    this.#isUp = true;
    this.#hubWakesAt = NEVER;
    this.hub = this.#newHub();
    for (const peer of this.#peers.values()) peer.connect();
  }

  async start({ host, cn, nat, network, options }: PeerSpec): Promise<LabPeer> {
    const lab = this;
    const { world } = this;
    const fan: LabPeer["fan"] = new Map();
    let link: number | undefined;
    const running = await world.start(host, [{ port: PORT }], (_local, now) => {
      const peer = new Peer({
        now,
        random: (length) => this.#random.bytes(length),
        identity: testIdentity(cn),
        authorise: () => true,
        direct: true,
        node: "test",
        isTarget: true,
        includeLoopback: false,
        prefer: "auto",
        hardNat: { mode: "off", role: "auto", assistDelayMs: 300, settings: PUNCH_DEFAULTS },
        ...options,
      });
      const hosts = [{ endpoint: { address: ADDRESSES[host], port: PORT }, socket: 0 }];
      peer.setNetwork(now, {
        nat,
        reflex: undefined,
        gathered: { hosts, reflexive: [] },
        isPortMapped: false,
        ...network,
      });
      return new PeerNode(peer);
    });
    const { peer } = running.machine;
    const labPeer: LabPeer = {
      ...{ cn, running, peer, events: running.events, fan, received: [], relayed: 0 },
      get reports() {
        return running.events.flatMap((event) => (event.type === "attempt-ended" ? [event.report] : []));
      },
      connect() {
        if (link !== undefined || !lab.#isUp) return;
        lab.#lastLink += 1;
        link = lab.#lastLink;
        lab.#links.set(link, { id: link, peer: labPeer });
        lab.hub.connected(lab.now, link, { cn, sessionId: cn });
        lab.#pumpHub();
        this.do((it, now) => it.controlConnected(now, STUN.address));
      },
      disconnect() {
        if (link === undefined) return;
        const id = link;
        link = undefined;
        lab.#links.delete(id);
        if (lab.#isUp) lab.hub.disconnected(lab.now, id);
        lab.#pumpHub();
        this.do((it, now) => it.controlLost(now));
      },
      do(what) {
        what(peer, lab.now);
        running.poke();
      },
    };
    running.machine.shell = () => this.#shell(labPeer);
    running.machine.send = (transmit) => {
      if (lab.isUdpCut && transmit.to.address !== STUN.address) return true;
      if (transmit.socket < FIRST_FAN_SOCKET) return false;
      const socket = fan.get(transmit.socket);
      socket?.machine.send(transmit);
      socket?.poke();
      return true;
    };
    this.#hosts.set(labPeer, host);
    this.#linkOf.set(labPeer, () => link);
    this.#peers.set(cn, labPeer);
    running.poke();
    labPeer.connect();
    return labPeer;
  }

  readonly #hosts = new Map<LabPeer, HostName>();
  readonly #linkOf = new Map<LabPeer, () => number | undefined>();

  /** What the process's shell does after each call. */
  #shell(peer: LabPeer): void {
    const machine = peer.peer;
    for (let next = machine.pollSockets(); next !== undefined; next = machine.pollSockets()) this.#sockets(peer, next);
    for (let next = machine.pollChannel(); next !== undefined; next = machine.pollChannel())
      this.#carry(peer, next.channel, next.packet);
    for (let next = machine.pollSignal(); next !== undefined; next = machine.pollSignal()) this.#say(peer, next);
    for (let next = machine.pollDatagram(); next !== undefined; next = machine.pollDatagram()) {
      const { pipe, flow, payload } = next;
      peer.received.push({ pipe, flow, text: new TextDecoder().decode(payload), at: this.now });
    }
  }

  #sockets(peer: LabPeer, request: SocketRequest): void {
    const { first, count } = request;
    if (request.type === "close") {
      for (let socket = first; socket < first + count; socket++) {
        if (socket === request.keep) continue;
        peer.fan.get(socket)?.stop();
        peer.fan.delete(socket);
      }
      return;
    }
    // Invariant: every peer was given its host.
    const host = this.#hosts.get(peer) as HostName;
    for (let socket = first; socket < first + count; socket++) {
      const take = (datagram: Datagram) => peer.do((it, now) => it.handleDatagram(now, { ...datagram, socket }));
      peer.fan.set(
        socket,
        this.world.startNow(host, [{}], () => new FanSocket(take)),
      );
    }
    this.later(1, (now) => {
      peer.peer.socketsOpened(now, first, count);
      peer.running.poke();
    });
  }

  #carry(from: LabPeer, channel: number, packet: Uint8Array): void {
    const carried = this.onChannel(from, packet);
    if (carried === undefined) return;
    from.relayed += 1;
    this.later(this.#delayMs, () => {
      const route = this.#isUp ? this.#routes.get(`${from.cn} ${channel}`) : undefined;
      const to = route && this.#peers.get(route.session);
      if (to === undefined || route === undefined) return;
      this.later(this.#delayMs, () =>
        to.do((it, now) => it.handleChannel(now, { channel: route.channel, packet: carried.slice() })),
      );
    });
  }

  #say(from: LabPeer, input: SignalInput): void {
    const id = this.#linkOf.get(from)?.();
    const decoded = decodeSignal(encodeSignal(input));
    if (!decoded.ok) throw new Error(`${from.cn} says what nobody can read: ${JSON.stringify(input)}`);
    const signal = this.onSignalFromPeer(from, decoded.signal);
    if (signal === undefined || id === undefined) return;
    this.later(this.#delayMs, (now) => {
      if (!this.#links.has(id)) return;
      this.hub.received(now, id, signal);
      this.#pumpHub();
    });
  }

  #pumpHub(): void {
    const { hub } = this;
    for (let event = hub.pollEvent(); event !== undefined; event = hub.pollEvent()) {
      if (event.type !== "opened" && event.type !== "closed") continue;
      const [one, other] = event.ends;
      for (const [from, to] of [[one, other] as const, [other, one] as const]) {
        const key = `${from.sessionId} ${from.channel}`;
        if (event.type === "opened") this.#routes.set(key, { session: to.sessionId, channel: to.channel });
        else this.#routes.delete(key);
      }
    }
    for (let next = hub.pollMessage(); next !== undefined; next = hub.pollMessage()) this.#tell(next.to, next.signal);
    const at = Math.max(hub.nextTimeout(), this.now);
    if (at >= this.#hubWakesAt || !this.#isUp) return;
    this.#hubWakesAt = at;
    this.later(at - this.now, (now) => {
      if (hub !== this.hub) return;
      this.#hubWakesAt = NEVER;
      hub.handleTimeout(now);
      this.#pumpHub();
    });
  }

  #tell(id: number, input: SignalInput): void {
    const link = this.#links.get(id);
    const told = link && this.onSignalToPeer(link.peer, input);
    if (link === undefined || told === undefined) return;
    this.inject(link.peer, told, this.#delayMs, id);
  }

  /** As if the server had said it. */
  inject(to: LabPeer, input: SignalInput, delayMs = 0, id = this.#linkOf.get(to)?.()): void {
    const decoded = decodeSignal(encodeSignal(input));
    if (!decoded.ok) throw new Error(`The server says what nobody can read: ${JSON.stringify(input)}`);
    this.later(delayMs, () => {
      if (id !== undefined && this.#linkOf.get(to)?.() === id) to.do((it, now) => it.handleSignal(now, decoded.signal));
    });
  }

  #newHub(): SignalHub {
    return new SignalHub({ random: (length) => this.#random.bytes(length), stunPort: STUN.port });
  }

  #stunServer(): Machine<StunServerEvent> {
    const server = new StunServer({
      sockets: [STUN],
      users: { passwordOf: (name) => this.hub.stunPassword(name), secret: new Uint8Array(32) },
    });
    const observe = (now: Instant) => {
      for (let event = server.pollEvent(); event !== undefined; event = server.pollEvent())
        if (event.type === "observed") this.hub.observed(now, event.username, event.from);
    };
    return {
      handleDatagram: (now, datagram) => {
        server.handleDatagram(now, datagram);
        observe(now);
      },
      handleTimeout: () => {},
      pollTransmit: () => server.pollTransmit(),
      pollEvent: () => undefined,
      nextTimeout: () => NEVER,
    };
  }
}

export function endpointOf(host: HostName): Endpoint {
  return { address: ADDRESSES[host], port: PORT };
}
