import type { NodeStatus } from "../../core/tunnel/status.ts";
import { buildInfo } from "../../io/build-info.ts";
import { createLog } from "../../io/log/log.ts";
import { openTcpRelay, type TcpRelay } from "../../io/tcp/tcp-relay.ts";
import { LOOPBACK, type LoopbackIdentities, loopbackClient, loopbackServer } from "../loopback.ts";
import type { Role, RoleContext } from "../role.ts";
import { startClient } from "../tunnel/client.ts";
import { startServer } from "../tunnel/server.ts";
import { openUdpEcho, type UdpEcho } from "../udp-echo.ts";

/** Log lines kept for the case that something goes wrong. */
const KEPT_LINES = 20;

/**
 * What `ut demo` stands on, every part on 127.0.0.1 and a free port, both roles as they run anywhere else:
 *
 *     sender ─UDP─ client ═ N lanes ═ network ═ N lanes ═ server ─UDP─ echo
 *
 * The network is a TCP relay that can break single lanes.
 */
export class DemoBed implements AsyncDisposable {
  readonly client: Role;
  readonly server: Role;
  readonly echo: UdpEcho;
  /** The last warnings and errors that the two roles logged, JSON. */
  readonly log: readonly string[];
  readonly #network: TcpRelay;
  readonly #parts: AsyncDisposableStack;

  private constructor(
    parts: AsyncDisposableStack,
    bed: Pick<DemoBed, "client" | "server" | "echo" | "log">,
    network: TcpRelay,
  ) {
    this.#parts = parts;
    this.#network = network;
    this.client = bed.client;
    this.server = bed.server;
    this.echo = bed.echo;
    this.log = bed.log;
  }

  static async open(identities: LoopbackIdentities, lanes: number): Promise<DemoBed> {
    await using parts = new AsyncDisposableStack();
    const log: string[] = [];
    const echo = parts.use(await openUdpEcho());
    const server = parts.use(await startServer(loopbackServer(echo.port), identities.server, context("server", log)));
    const network = parts.use(await openTcpRelay({ host: LOOPBACK, port: server.port }));
    const client = parts.use(
      await startClient(loopbackClient(network.port, lanes), identities.client, context("client", log)),
    );
    return new DemoBed(parts.move(), { client, server, echo, log }, network);
  }

  /** Lanes that are up at both ends. */
  get openLanes(): number {
    return Math.min(openLanes(this.client.status()), openLanes(this.server.status()));
  }

  /** Reset the connection of one lane, as seen from the network. False: there is no such lane. */
  cut(lane: number): boolean {
    const status = this.server.status().sessions[0]?.lanes.find(({ id }) => id === lane);
    return status !== undefined && this.#network.cut(Number(status.remote.split(":").at(-1)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

function openLanes(status: NodeStatus): number {
  return status.sessions[0]?.lanes.filter(({ state }) => state === "open").length ?? 0;
}

function context(role: "client" | "server", lines: string[]): RoleContext {
  const write = (line: string) => {
    lines.push(line.trimEnd());
    if (lines.length > KEPT_LINES) lines.shift();
  };
  return {
    log: createLog({ level: "warn", role, destination: { write } }),
    node: `ut ${buildInfo.version}`,
    handshakeDone: () => {},
  };
}
