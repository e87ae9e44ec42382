import { connect, createServer, type Server, type Socket } from "node:net";
import { ExitDialer } from "../../../../src/app/socks/exit-dialer.ts";
import { SocksExit } from "../../../../src/app/socks/socks-exit.ts";
import { SocksProxy } from "../../../../src/app/socks/socks-proxy.ts";
import { ExitPolicy } from "../../../../src/core/socks/exit-policy.ts";
import { parseExitRule } from "../../../../src/core/socks/exit-rule.ts";
import { authenticator } from "../../../../src/core/socks/users.ts";
import { createLog } from "../../../../src/io/log/log.ts";
import type { ResolvedAddress } from "../../../../src/io/tcp/happy-eyeballs.ts";
import { until } from "../../../e2e/support/until.ts";
import { StreamPair } from "../streams/stream-pair.ts";

export interface SocksBedOptions {
  readonly destinations?: readonly string[];
  readonly users?: Readonly<Record<string, string>>;
  readonly resolve?: (host: string) => Promise<ResolvedAddress[]>;
}

/** A proxy and an exit in one process, with streams between them that are nothing but memory. */
export class SocksBed implements Disposable {
  readonly lines: Record<string, unknown>[] = [];
  readonly exit: SocksExit;
  readonly streams: StreamPair;
  readonly proxy: SocksProxy;
  readonly #clients: Socket[] = [];

  constructor({ destinations = ["127.0.0.0/8"], users = {}, resolve }: SocksBedOptions = {}) {
    const destination = { write: (line: string) => this.lines.push(JSON.parse(line)) };
    const log = createLog({ level: "debug", role: "test", destination: destination as never });
    const rules = destinations.flatMap((text) => parseExitRule(text) ?? []);
    const policy = new ExitPolicy({ rules, isOwn: (address) => address === "192.0.2.1" });
    this.exit = new SocksExit(new ExitDialer(policy, resolve), log);
    this.streams = new StreamPair((_peer, stream) => this.exit.accept(stream));
    this.proxy = new SocksProxy({
      listen: { host: "127.0.0.1", port: 0 },
      peer: "office",
      streams: this.streams,
      authenticate: authenticator(users),
      log,
    });
  }

  /** A program that has connected to the proxy. */
  async client(): Promise<Program> {
    const socket = connect({ port: this.proxy.port, host: "127.0.0.1", allowHalfOpen: true });
    this.#clients.push(socket);
    return new Program(socket);
  }

  /** A program that has asked for `port` on loopback, and was let in. */
  async connected(port: number): Promise<Program> {
    const program = await this.client();
    program.send(Buffer.from([5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff]));
    await program.has(12);
    if (program.received[3] !== 0) throw new Error(`refused: ${program.received.toString("hex")}`);
    program.received = program.received.subarray(12);
    return program;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.destroy();
    this.proxy[Symbol.dispose]();
    this.exit[Symbol.dispose]();
  }
}

/** One end of a TCP connection, and all that it has heard. */
export class Program {
  received: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  hasEnded = false;
  /** How it closed. */
  closed: "cleanly" | "broken" | undefined;
  readonly socket: Socket;
  bytes = 0;
  /** Whether it remembers what it hears. */
  keeps = true;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.bytes += chunk.length;
      if (this.keeps) this.received = Buffer.concat([this.received, chunk]);
    });
    socket.on("end", () => {
      this.hasEnded = true;
    });
    socket.on("error", () => {
      this.closed = "broken";
    });
    socket.on("close", () => {
      this.closed ??= "cleanly";
    });
  }

  send(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  async has(bytes: number): Promise<Buffer> {
    await until(`${bytes} bytes`, () => this.bytes >= bytes || this.closed !== undefined);
    return this.received;
  }

  async ended(): Promise<Buffer> {
    await until("the end", () => this.hasEnded || this.closed !== undefined);
    return this.received;
  }

  async over(): Promise<"cleanly" | "broken"> {
    await until("the close", () => this.closed !== undefined);
    return this.closed as "cleanly" | "broken";
  }
}

/** A TCP server on loopback; `accept` gets each connection. */
export async function tcpServer(accept: (program: Program) => void): Promise<Disposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    accept(new Program(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
