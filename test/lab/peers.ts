import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { NodeIdentity } from "../../src/app/role.ts";
import type { PipeExplanation } from "../../src/core/peer/trace.ts";
import { ADDRESSES, type HostName } from "../contract/world.ts";
import { identity } from "../e2e/support/identities.ts";
import type { LogLine } from "../e2e/support/logbook.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import type { NatWorld } from "./nat-world.ts";
import type { LocalPort } from "./numbered-stream.ts";
import { overlay, UT_SERVER_PORT, type UtConfig } from "./ut-tunnel.ts";

export interface PeersOptions {
  /** The `ut` that all three run. */
  readonly binary: string;
  /** Laid over the configs of relay and agent, and over the server's. */
  readonly peer?: UtConfig;
  readonly server?: UtConfig;
}

/** The part of `/api/status` that is about pipes. */
export interface PeerStatus {
  readonly traversal: { readonly pipes: readonly PipeExplanation[]; readonly stats: Readonly<Record<string, number>> };
}

const { stun: SERVER, stunSecond: SECOND } = ADDRESSES;
const METRICS = "127.0.0.1:5080";
/** None that the system gives away by itself: a fan of sockets may be open before a test takes the service's. */
const RELAY_PORT = 15_001;
const SERVICE_PORT = 15_002;
const SERVICE = "service";
/** Starting takes long where many do at the same time. */
const START_LIMIT_MS = 30_000;

/** Of the server, in a world with `Ipv6Lines`. */
export const SERVER_V6 = "2001:db8:5::10";

const server = await identity({ cn: "server", hosts: [SERVER, SERVER_V6] });
const office = await identity({ cn: "office" });
const home = await identity({ cn: "home" });

/**
 * Real binaries on the map of test/contract/world.ts: two homes that no port leads into, and their server outside.
 *
 *   a1: program ── 127.0.0.1:15001 ut relay ── nat a ── internet ── nat b ── ut agent ── 127.0.0.1:15002 service :b1
 *                                                          │
 *                              stun: ut server 203.0.113.10:5443, STUN at .10 and .11, ports 3478 and 3479
 */
export class Peers implements AsyncDisposable {
  readonly server: UtNode;
  readonly agent: UtNode;
  readonly relay: UtNode;
  /** Where programs at a1 send to, and where they come out at b1. */
  readonly entry: LocalPort;
  readonly exit: LocalPort;

  private constructor(world: NatWorld, server: UtNode, agent: UtNode, relay: UtNode) {
    this.server = server;
    this.agent = agent;
    this.relay = relay;
    this.entry = { host: world.namespaceOf("a1"), port: RELAY_PORT };
    this.exit = { host: world.namespaceOf("b1"), port: SERVICE_PORT };
  }

  /** The relay is started last, once the server knows the agent; it may still be opening its pipe afterwards. */
  static async open(lab: Lab, world: NatWorld, { binary, peer = {}, server: more = {} }: PeersOptions): Promise<Peers> {
    await using opening = new AsyncDisposableStack();
    const start = async (host: HostName, who: NodeIdentity, config: UtConfig) =>
      opening.use(await UtNode.start(lab, world.namespaceOf(host), binary, who, config));
    const listen = [SERVER, SECOND].flatMap((address) => [`${address}:3478`, `${address}:3479`]);
    const outside = {
      role: "server",
      tcp: { listen_addr: `${SERVER}:${UT_SERVER_PORT}` },
      server: { stun: { listen } },
    };
    const server_ = await start("stun", server, overlay(outside, more));
    const common = overlay(
      { tcp: { server_addr: `${SERVER}:${UT_SERVER_PORT}` }, nat: { stun_servers: [] }, p2p: { port_mapping: false } },
      peer,
    );
    const services = { udp: [{ name: SERVICE, target: `127.0.0.1:${SERVICE_PORT}`, allow: [home.cn] }] };
    const agent = await start("b1", office, { ...common, role: "agent", services });
    await server_.logged("peer_registered");
    const relay = await start("a1", home, {
      ...common,
      role: "relay",
      relay: [{ listen_addr: `127.0.0.1:${RELAY_PORT}`, to: office.cn, service: SERVICE }],
    });
    opening.move();
    return new Peers(world, server_, agent, relay);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [this.relay, this.agent, this.server]) await node[Symbol.asyncDispose]();
  }
}

/** One `ut` process in a namespace, and everything it has logged. */
export class UtNode implements AsyncDisposable {
  readonly lines: LogLine[] = [];
  readonly #host: Namespace;
  readonly #command: readonly string[];
  readonly #state: string;
  #job: Job;

  private constructor(host: Namespace, command: readonly string[], state: string) {
    this.#host = host;
    this.#command = command;
    this.#state = state;
    this.#job = this.#run();
  }

  static async start(lab: Lab, host: Namespace, binary: string, who: NodeIdentity, config: UtConfig): Promise<UtNode> {
    const folder = await lab.subfolder(`${host.name}-${who.cn}`);
    const file = (name: string) => join(folder, name);
    await Promise.all([
      writeFile(file("ca.pem"), who.ca),
      writeFile(file("node.pem"), who.cert),
      writeFile(file("node.key"), who.key, { mode: 0o600 }),
    ]);
    const tls = { ca_cert: file("ca.pem"), cert: file("node.pem"), key: file("node.key") };
    await writeFile(file("ut.yaml"), stringify({ tls, metrics: { listen_addr: METRICS }, ...config }));
    const node = new UtNode(host, [binary, "-config", file("ut.yaml")], folder);
    await node.logged("start");
    return node;
  }

  get pid(): number {
    return this.#job.pid;
  }

  /** The first line of `event`, already there or to come, with these fields, from the `from`th line on. */
  async logged(event: string, where: Partial<LogLine> = {}, from = 0): Promise<LogLine> {
    const find = () => this.lines.slice(from).find((line) => matches(line, event, where));
    const deadline = performance.now() + START_LIMIT_MS;
    for (let line = find(); ; line = find()) {
      if (line !== undefined) return line;
      if (!this.#job.running || performance.now() > deadline)
        throw new Error(`${this.#host.name} never logged ${event}; it last wrote:\n${this.#job.tail}`);
      await Bun.sleep(2);
    }
  }

  /** All lines of `event` so far. */
  logs(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Its last lines, for a message. */
  get tail(): string {
    return this.#job.tail;
  }

  async status(): Promise<PeerStatus> {
    return JSON.parse(await this.#host.run(["curl", "-sS", "--fail", `http://${METRICS}/api/status`]));
  }

  async cpuSeconds(): Promise<number> {
    return await this.#job.cpuSeconds();
  }

  /** Ends it, and starts it again `downMs` later at the earliest. How long it was away, ms. */
  async restart(signal: "SIGTERM" | "SIGKILL", downMs: number): Promise<number> {
    const began = performance.now();
    const from = this.lines.length;
    await Promise.all([this.#job.stop(signal), Bun.sleep(downMs)]);
    this.#job = this.#run();
    await this.logged("start", {}, from);
    return performance.now() - began;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#job.stop("SIGKILL");
  }

  #run(): Job {
    const onLine = (text: string) => {
      if (text.startsWith("{")) this.lines.push(JSON.parse(text) as LogLine);
    };
    return this.#host.start(`ut in ${this.#host.name}`, this.#command, {
      env: { XDG_STATE_HOME: this.#state },
      onLine,
    });
  }
}

function matches(line: LogLine, event: string, where: Partial<LogLine>): boolean {
  return line.event === event && Object.entries(where).every(([key, value]) => line[key] === value);
}
