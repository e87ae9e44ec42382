import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { PipeId } from "../../core/peer/peer-event.ts";
import { FlowNumbers } from "../../core/pipe/flow-numbers.ts";
import { FlowTable, type IdleFlow } from "../../core/pipe/flow-table.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import { FlowTimer } from "./flow-timer.ts";
import type { Pipes, PipeUser } from "./peer-plane.ts";

export type RelayEntry = Config["relay"][number];

/** Local senders of one port at a time. */
const MAX_FLOWS = 1_024;
const QUIET_MS = 5_000;

/**
 * One port of the relay role: what local programs send to it goes to a service of an agent, and what comes back goes to
 * the program that sent. Each local address is a flow of its own on the port's one pipe.
 *
 * Throws `io.bind` when the port cannot be had.
 */
export async function openRelayPort(entry: RelayEntry, plane: Pipes, log: Log): Promise<RelayPort> {
  const port = new RelayPort(entry, plane, log);
  await port.listen();
  return port;
}

/** A local program, by the address it sends from. */
interface LocalFlow extends IdleFlow {
  readonly number: number;
  readonly port: number;
  readonly address: string;
}

/** Made by `openRelayPort`. */
export class RelayPort implements PipeUser, Disposable {
  readonly #entry: RelayEntry;
  readonly #plane: Pipes;
  readonly #log: DebouncedLog;
  readonly #flows: FlowTable<string, LocalFlow>;
  readonly #byNumber = new Map<number, LocalFlow>();
  readonly #numbers = new FlowNumbers();
  readonly #timer: FlowTimer<string, LocalFlow>;
  #udp: UdpSocket | undefined;
  #pipe: PipeId | undefined;
  /** Whoever sent last will probably send next. */
  #last: LocalFlow | undefined;
  #stopped = false;
  dropped = 0;

  constructor(entry: RelayEntry, plane: Pipes, log: Log) {
    this.#entry = entry;
    this.#plane = plane;
    this.#log = debounced(log.child({ peer: entry.to, service: entry.service }), QUIET_MS, now);
    this.#flows = new FlowTable({ maxFlows: MAX_FLOWS, idleMs: entry.idle_seconds * 1_000 });
    this.#timer = new FlowTimer(this.#flows, (ended) => {
      for (const flow of ended) this.#forget(flow);
    });
  }

  async listen(): Promise<void> {
    const { host, port } = this.#entry.listen_addr;
    this.#udp = await openUdp({
      host,
      port,
      setting: "relay[].listen_addr",
      onDatagram: (datagram, fromPort, from) => this.#fromLocal(datagram, fromPort, from),
      onDrop: (reason, count) => {
        this.dropped += count;
        this.#log.warn("udp_drop", { reason, packets: count });
      },
      onSent: () => {},
      onError: (error) => this.#log.warn("udp_unreachable", { err: error }),
    });
    this.#pipe = this.#plane.open(this.#entry.to, this.#entry.service, this);
  }

  get port(): number {
    return this.#udp?.port ?? 0;
  }

  /** `address:port` that was bound. */
  get address(): string {
    return formatAddress({ host: this.#entry.listen_addr.host, port: this.port });
  }

  deliver(flow: number, datagrams: readonly Uint8Array[]): void {
    const local = this.#byNumber.get(flow);
    if (local === undefined) {
      this.dropped += datagrams.length;
      return;
    }
    local.usedAt = now();
    this.#udp?.sendTo(datagrams, local.port, local.address);
  }

  direct(): void {}

  closed(): void {
    this.#pipe = undefined;
  }

  /** Takes nothing more in. */
  stop(): void {
    this.#stopped = true;
  }

  async drained(deadline: AbortSignal): Promise<void> {
    await this.#udp?.drained(deadline);
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#udp?.[Symbol.dispose]();
    this.#log.flush();
  }

  #fromLocal(datagram: Uint8Array, port: number, address: string): void {
    if (this.#stopped || this.#pipe === undefined) return;
    let flow = this.#last;
    if (flow === undefined || flow.port !== port || flow.address !== address) {
      const key = `${address} ${port}`;
      flow = this.#flows.get(key) ?? this.#begin(key, port, address);
      this.#last = flow;
    }
    flow.usedAt = this.#plane.send(this.#pipe, flow.number, datagram);
  }

  #begin(key: string, port: number, address: string): LocalFlow {
    const number = this.#numbers.take((taken) => this.#byNumber.has(taken));
    const flow: LocalFlow = { number, port, address, usedAt: now() };
    const evicted = this.#flows.add(key, flow);
    if (evicted !== undefined) this.#forget(evicted);
    this.#byNumber.set(number, flow);
    this.#log.info("flow_open", { flow: number, address, port });
    this.#timer.arm();
    return flow;
  }

  #forget(flow: LocalFlow): void {
    this.#byNumber.delete(flow.number);
    if (this.#last === flow) this.#last = undefined;
    this.#log.debug("flow_close", { flow: flow.number, address: flow.address, port: flow.port });
  }
}
