import { UtError } from "../../core/error.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { Pacer } from "../../core/tunnel/pacer.ts";
import { bindProblem } from "../bind-problem.ts";
import { now } from "../clock.ts";
import { clearReceiveErrors, setDontFragment, setReceiveBuffer } from "../system/sockopt.ts";
import { unlessAborted } from "../unless-aborted.ts";

/** The largest UDP payload over IPv4; the system throws EMSGSIZE above it. */
export const MAX_DATAGRAM_BYTES = 65_507;
/** Datagrams that may wait for the socket to drain. */
export const WAITING_PACKETS = 4_096;
/** Asked of the system; without CAP_NET_ADMIN it gives what net.core.rmem_max allows. */
const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;

export interface UdpOptions {
  readonly host: string;
  readonly port: number;
  /** Datagrams go to, and come from, this address only. */
  readonly connect?: { readonly host: string; readonly port: number };
  /** What is too large for its way is lost, not cut in pieces; where the system can. */
  readonly dontFragment?: boolean;
  /** An IPv6 wildcard takes its port for IPv6 alone. */
  readonly ipv6Only?: boolean;
  /** The config key or flag that names another address, for who cannot have this one. */
  readonly setting?: string;
  /** `datagram` is the receiver's to keep. */
  onDatagram(datagram: Uint8Array, port: number, address: string): void;
  /** Datagrams were dropped: the system refused them, too many waited for the socket, or it was closed. */
  onDrop(reason: UdpDropReason, count: number): void;
  /** The system took so many datagrams with so many payload bytes. */
  onSent(count: number, bytes: number): void;
  /** The network answered with an error, such as ECONNREFUSED where nobody listens. No datagram of ours was dropped. */
  onError?(error: Error): void;
}

export type UdpDropReason = "udp_error" | "udp_blocked" | "too_large" | "closed";

export interface UdpSocket extends Disposable {
  readonly host: string;
  readonly port: number;
  /** Datagrams that were given to `send` and that the system has not taken yet. */
  readonly waiting: number;
  /** Send all of `datagrams` to the connected address. They may be reused after this returns. */
  send(datagrams: readonly Uint8Array[]): void;
  /** Send all of `datagrams` to one address. They may be reused after this returns. */
  sendTo(datagrams: readonly Uint8Array[], port: number, address: string): void;
  /** IP time to live of what leaves from now on, 1 to 255; what still waits leaves with it, too. */
  setTtl(ttl: number): void;
  /** Resolves when nothing waits any more, or when `signal` fires. */
  drained(signal: AbortSignal): Promise<void>;
}

/** How soon what waits is looked at again: the finest that a timer gives. */
const RELEASE_MS = 1;

type Message = string | number | Uint8Array;

/**
 * One UDP socket with batched sends. A batch that the system cuts short goes on where it stopped: after an ICMP error
 * Linux fails the next send once and says nothing of which datagram it was about, so the rest is simply sent again.
 * A burst leaves at a pace that the receiver's buffer survives (`Pacer`). What cannot leave yet waits, bounded, oldest
 * out. Throws `io.bind`.
 */
export async function openUdp(options: UdpOptions): Promise<UdpSocket> {
  const stride = options.connect === undefined ? 3 : 1;
  const batch: Message[] = [];
  let waiting: Message[] = [];
  let timer: Timer | undefined;
  let emptied = Promise.withResolvers<void>();
  const pacer = new Pacer(now());
  const socket = await bind(options, {
    data: (_socket, datagram, port, address) => options.onDatagram(datagram, port, address),
    drain: () => release(0),
    // Without a handler an ICMP error would end the process; the send that it fails is retried.
    error: (error) => options.onError?.(error),
  });
  const { fd, sendMany } = socket as unknown as { fd: number; sendMany(messages: Message[]): number };
  clearReceiveErrors(fd);
  if (options.dontFragment === true) setDontFragment(fd);
  setReceiveBuffer(fd, RECEIVE_BUFFER_BYTES);

  /** Returns how many messages of `messages` the system took. */
  function sendAll(messages: Message[]): number {
    const total = messages.length / stride;
    let sent = 0;
    let retried = false;
    while (sent < total) {
      let taken: number;
      try {
        taken = sendMany.call(socket, sent === 0 ? messages : messages.slice(sent * stride));
      } catch (error) {
        // The error belongs to an earlier datagram; this one is healthy. A second failure is its own.
        if (!retried) options.onError?.(error as Error);
        else {
          options.onDrop("udp_error", 1);
          sent++;
        }
        retried = !retried;
        continue;
      }
      if (taken <= 0) {
        if (retried) return sent;
        retried = true;
        continue;
      }
      retried = false;
      countSent(messages, sent, taken);
      sent += taken;
    }
    return sent;
  }

  function countSent(messages: readonly Message[], first: number, count: number): void {
    let bytes = 0;
    for (let i = first; i < first + count; i++) bytes += (messages[i * stride] as Uint8Array).length;
    options.onSent(count, bytes);
  }

  /** Send `batch` behind what waits, as much of both as the pacer lets go now. */
  function sendBatch(): void {
    const arrived = batch.length / stride;
    if (waiting.length > 0) {
      keep(batch);
      release(arrived);
    } else {
      const granted = pacer.take(now(), arrived, arrived);
      const sent = sendAll(granted < arrived ? batch.slice(0, granted * stride) : batch);
      if (sent < arrived) {
        keep(batch.slice(sent * stride));
        releaseLater();
      }
    }
    batch.length = 0;
  }

  function keep(messages: readonly Message[]): void {
    // Views into a receive buffer do not outlive the call that brought them.
    if (waiting.length === 0) emptied = Promise.withResolvers();
    for (const message of messages) waiting.push(message instanceof Uint8Array ? message.slice() : message);
    const surplus = waiting.length / stride - WAITING_PACKETS;
    if (surplus <= 0) return;
    waiting.splice(0, surplus * stride);
    options.onDrop("udp_blocked", surplus);
  }

  function release(arrived: number): void {
    if (waiting.length === 0 || socket.closed) return;
    const granted = pacer.take(now(), arrived, waiting.length / stride);
    const sent = sendAll(waiting.slice(0, granted * stride));
    waiting = waiting.slice(sent * stride);
    if (waiting.length > 0) releaseLater();
    else emptied.resolve();
  }

  function releaseLater(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      release(0);
    }, RELEASE_MS);
  }

  function add(datagram: Uint8Array): boolean {
    if (datagram.length <= MAX_DATAGRAM_BYTES && !socket.closed) {
      batch.push(datagram);
      return true;
    }
    options.onDrop(socket.closed ? "closed" : "too_large", 1);
    return false;
  }

  return {
    host: options.host,
    port: socket.port,
    get waiting() {
      return waiting.length / stride;
    },
    send(datagrams) {
      for (const datagram of datagrams) add(datagram);
      if (batch.length > 0) sendBatch();
    },
    sendTo(datagrams, port, address) {
      for (const datagram of datagrams) if (add(datagram)) batch.push(port, address);
      if (batch.length > 0) sendBatch();
    },
    setTtl(ttl) {
      if (!socket.closed) socket.setTTL(ttl);
    },
    async drained(signal) {
      if (waiting.length > 0) await unlessAborted(emptied.promise, signal);
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      if (!socket.closed) socket.close();
      if (waiting.length > 0) options.onDrop("closed", waiting.length / stride);
      waiting = [];
      emptied.resolve();
    },
  };
}

interface Handlers {
  data(socket: unknown, datagram: Uint8Array, port: number, address: string): void;
  drain(): void;
  error(error: Error): void;
}

type BunSocket = Bun.udp.Socket<"uint8array"> | Bun.udp.ConnectedSocket<"uint8array">;

async function bind(
  { host, port, connect, ipv6Only, setting }: UdpOptions,
  { data, drain, error }: Handlers,
): Promise<BunSocket> {
  // Undocumented: usockets' LIBUS_SOCKET_IPV6_ONLY.
  const flags = ipv6Only === true ? 8 : 0;
  const common = { hostname: host, port, binaryType: "uint8array", flags } as const;
  // Bun's types hand an `error` handler the socket; in truth the error is its only argument (FINDINGS).
  const socket = { data, drain, error: (cause: unknown) => error(cause as Error) };
  try {
    // Within `try`: some errors are thrown, not rejected with.
    return connect === undefined
      ? await Bun.udpSocket({ ...common, socket })
      : await Bun.udpSocket({ ...common, connect: { hostname: connect.host, port: connect.port }, socket });
  } catch (cause) {
    const named = (one: { host: string; port: number }) => formatEndpoint({ address: one.host, port: one.port });
    const towards = connect === undefined ? "" : ` towards ${named(connect)}`;
    const remedy = setting === undefined ? "" : `; set ${setting}`;
    throw new UtError("io.bind", `Cannot bind UDP ${named({ host, port })}${towards}: ${bindProblem(cause)}${remedy}`, {
      cause,
      details: { host, port },
    });
  }
}
