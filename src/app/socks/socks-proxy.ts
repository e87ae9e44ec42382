import { type Address, formatAddress } from "../../config/address.ts";
import type { Authenticate } from "../../core/socks/handshake.ts";
import { ENTRY_REFUSALS, type EntryRefusal, SocksCounters } from "../../core/socks/socks-counters.ts";
import { now } from "../../io/clock.ts";
import { type DebouncedLog, debounced, type Log } from "../../io/log/log.ts";
import type { TcpConnection } from "../../io/tcp/tcp-connection.ts";
import { listenTcp, type TcpListener } from "../../io/tcp/tcp-listen.ts";
import type { Streams } from "../streams/stream-link.ts";
import { SocksConnection, type SocksEntry } from "./socks-connection.ts";

/** Programs' connections at the same time, and those of them that have not yet said what they want. */
const MAX_CONNECTIONS = 2_048;
const MAX_PENDING = 512;
const QUIET_MS = 5_000;

export interface SocksProxyOptions {
  readonly listen: Address;
  /** Certificate name of the agent, for the log. */
  readonly peer: string;
  readonly streams: Streams;
  readonly authenticate: Authenticate | undefined;
  readonly log: Log;
}

/** The local port of `ut socks`. Throws `io.bind` when it cannot be had. */
export class SocksProxy implements Disposable {
  readonly counters = new SocksCounters<EntryRefusal>(ENTRY_REFUSALS);
  readonly #options: SocksProxyOptions;
  readonly #log: DebouncedLog;
  readonly #listener: TcpListener;
  /** The oldest first. */
  readonly #connections = new Set<SocksConnection>();
  readonly #entry: SocksEntry;

  constructor(options: SocksProxyOptions) {
    const { listen, peer, streams, authenticate, log } = options;
    this.#options = options;
    this.#log = debounced(log.child({ peer }), QUIET_MS, now);
    this.#entry = {
      streams,
      authenticate,
      counters: this.counters,
      log: log.child({ peer }),
      refused: (reason, detail) => this.#refused(reason, detail),
      unreachable: (error) => this.#unreachable(error),
    };
    const { host, port } = listen;
    this.#listener = listenTcp({ host, port, key: "socks.listen_addr" }, (tcp) => this.#accept(tcp));
  }

  get port(): number {
    return this.#listener.port;
  }

  /** `address:port` that was bound. */
  get address(): string {
    return formatAddress({ host: this.#options.listen.host, port: this.port });
  }

  /** Takes no more connections. */
  stop(): void {
    this.#listener.stop();
  }

  /** What is still open was not finished, and its ends hear so. */
  [Symbol.dispose](): void {
    for (const connection of [...this.#connections]) connection.reset();
    this.#listener[Symbol.dispose]();
    this.#log.flush();
  }

  #accept(tcp: TcpConnection): void {
    const pending = [...this.#connections].filter(({ isPending }) => isPending);
    if (pending.length >= MAX_PENDING) {
      this.#refused("crowded");
      pending[0]?.reset();
    }
    if (this.#connections.size >= MAX_CONNECTIONS) {
      this.#refused("crowded");
      tcp.reset();
      return;
    }
    this.#connections.add(new SocksConnection(this.#entry, tcp, (over) => this.#connections.delete(over)));
  }

  #refused(reason: EntryRefusal, detail?: string): void {
    this.counters.refuse(reason);
    this.#log.warn("socks_refused", { reason, detail });
  }

  #unreachable(error: unknown): void {
    const { peer } = this.#options;
    const hint = `is "ut agent" running at ${peer}, with this node's certificate name in services.socks.allow; "ut nat explain ${peer}" tells more`;
    this.#log.error("socks_agent_unreachable", { err: error, hint });
  }
}
