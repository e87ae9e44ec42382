import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { PipeId } from "../../core/peer/peer-event.ts";
import { FlowTable, type IdleFlow } from "../../core/pipe/flow-table.ts";
import { SOCKS_SERVICE } from "../../core/socks/service.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { bindTowards } from "../bind-towards.ts";
import type { SocksAgent } from "../socks/socks-agent.ts";
import { FlowTimer } from "./flow-timer.ts";
import type { Pipes, PipeUser } from "./peer-plane.ts";

type UdpService = Config["services"]["udp"][number];

/** Sockets towards services, for one pipe and for all of them: a peer can ask for flows as it likes. */
const MAX_PIPE_FLOWS = 128;
const MAX_FLOWS = 1_024;
/** RFC 4787 REQ-5 wants five minutes of a NAT; whoever asks for a service may rest as long as behind one. */
const IDLE_MS = 300_000;
/** Datagrams that may wait for their flow's socket; it opens within a millisecond. */
const EARLY_PACKETS = 256;
const QUIET_MS = 5_000;

/**
 * The agent role: a way out for `ut socks`, and UDP services by name, each for the certificate names that its `allow` has. A flow of a pipe is a
 * socket of its own towards the service's target, so that the service tells its clients apart.
 */
export class AgentServices implements Disposable {
  readonly #services: ReadonlyMap<string, UdpService>;
  /** The one service that is not UDP; undefined where nobody is allowed to use it. */
  readonly socks: SocksAgent | undefined;
  readonly #log: Log;
  readonly #pipes = new Map<PipeId, AgentPipe>();
  /** Datagrams that came to nothing at the edge to the services. */
  dropped = 0;

  constructor(services: Config["services"]["udp"], log: Log, socks?: SocksAgent) {
    this.socks = socks;
    this.#services = new Map(services.map((service) => [service.name, service]));
    this.#log = log;
  }

  /** Sockets towards services that are open now. */
  get flows(): number {
    let flows = 0;
    for (const pipe of this.#pipes.values()) flows += pipe.flows;
    return flows;
  }

  authorise(cn: string, service: string): boolean {
    if (service === SOCKS_SERVICE) return this.socks?.authorise(cn) === true;
    return this.#services.get(service)?.allow.includes(cn) === true;
  }

  /** A pipe that `authorise` let in. */
  accept(plane: Pipes, pipe: PipeId, service: string, peer: string): PipeUser {
    if (service === SOCKS_SERVICE && this.socks !== undefined) return this.socks.accept(plane, pipe, peer);
    // Invariant: only services that are there authorise anybody.
    const { target } = this.#services.get(service) as UdpService;
    const opened = new AgentPipe(this, plane, pipe, target, this.#log.child({ peer, service }));
    this.#pipes.set(pipe, opened);
    return {
      deliver: (flow, datagrams) => opened.deliver(flow, datagrams),
      direct: () => {},
      closed: () => {
        this.#pipes.delete(pipe);
        opened[Symbol.dispose]();
      },
    };
  }

  /** Whether another flow may have a socket. */
  get hasRoom(): boolean {
    return this.flows < MAX_FLOWS;
  }

  async drained(deadline: AbortSignal): Promise<void> {
    await Promise.all([...this.#pipes.values()].map((pipe) => pipe.drained(deadline)));
  }

  [Symbol.dispose](): void {
    for (const pipe of this.#pipes.values()) pipe[Symbol.dispose]();
    this.#pipes.clear();
    this.socks?.[Symbol.dispose]();
  }
}

/** One flow of a pipe: a socket towards the service, and what waits until it is open. */
interface ServiceFlow extends IdleFlow {
  readonly number: number;
  udp: UdpSocket | undefined;
  early: Uint8Array[];
  isOver: boolean;
}

/** One pipe to a service: its flows. */
class AgentPipe implements Disposable {
  readonly #agent: AgentServices;
  readonly #plane: Pipes;
  readonly #pipe: PipeId;
  readonly #target: UdpService["target"];
  readonly #log: DebouncedLog;
  readonly #flows = new FlowTable<number, ServiceFlow>({ maxFlows: MAX_PIPE_FLOWS, idleMs: IDLE_MS });
  readonly #timer: FlowTimer<number, ServiceFlow>;

  constructor(agent: AgentServices, plane: Pipes, pipe: PipeId, target: UdpService["target"], log: Log) {
    this.#agent = agent;
    this.#plane = plane;
    this.#pipe = pipe;
    this.#target = target;
    this.#log = debounced(log, QUIET_MS, now);
    this.#timer = new FlowTimer(this.#flows, (ended) => {
      for (const flow of ended) this.#end(flow);
    });
  }

  get flows(): number {
    return this.#flows.size;
  }

  deliver(number: number, datagrams: readonly Uint8Array[]): void {
    const flow = this.#flows.get(number) ?? this.#begin(number);
    if (flow === undefined) {
      this.#dropped("no_room", datagrams.length);
      return;
    }
    flow.usedAt = now();
    if (flow.udp !== undefined) flow.udp.send(datagrams);
    else for (const datagram of datagrams) this.#keep(flow, datagram);
  }

  async drained(deadline: AbortSignal): Promise<void> {
    await Promise.all(this.#flows.all().map((flow) => flow.udp?.drained(deadline)));
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    for (const flow of this.#flows.clear()) this.#end(flow);
    this.#log.flush();
  }

  #begin(number: number): ServiceFlow | undefined {
    if (!this.#agent.hasRoom && this.#flows.size === 0) return undefined;
    if (!this.#agent.hasRoom) this.#end(this.#flows.evict());
    const flow: ServiceFlow = { number, udp: undefined, early: [], isOver: false, usedAt: now() };
    this.#end(this.#flows.add(number, flow));
    this.#timer.arm();
    this.#open(flow).catch((error: unknown) => {
      this.#log.warn("service_udp_fail", { target: formatAddress(this.#target), err: error });
      this.#flows.delete(number);
      this.#end(flow);
    });
    return flow;
  }

  async #open(flow: ServiceFlow): Promise<void> {
    const udp = await openUdp({
      host: bindTowards(this.#target.host),
      port: 0,
      connect: this.#target,
      onDatagram: (datagram) => {
        flow.usedAt = this.#plane.send(this.#pipe, flow.number, datagram);
      },
      onDrop: (reason, count) => this.#dropped(reason, count),
      onSent: () => {},
      onError: (error) => this.#log.warn("udp_unreachable", { to: formatAddress(this.#target), err: error }),
    });
    if (flow.isOver) {
      udp[Symbol.dispose]();
      return;
    }
    flow.udp = udp;
    this.#log.info("flow_open", { flow: flow.number, port: udp.port, target: formatAddress(this.#target) });
    udp.send(flow.early);
    flow.early = [];
  }

  #keep(flow: ServiceFlow, datagram: Uint8Array): void {
    if (flow.early.length < EARLY_PACKETS) flow.early.push(datagram);
    else this.#dropped("udp_blocked", 1);
  }

  #end(flow: ServiceFlow | undefined): void {
    if (flow === undefined) return;
    flow.isOver = true;
    flow.udp?.[Symbol.dispose]();
    if (flow.early.length > 0) this.#dropped("closed", flow.early.length);
    this.#log.debug("flow_close", { flow: flow.number });
  }

  #dropped(reason: string, packets: number): void {
    this.#agent.dropped += packets;
    this.#log.warn("udp_drop", { reason, packets });
  }
}
