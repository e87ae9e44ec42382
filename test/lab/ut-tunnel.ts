import { join } from "node:path";
import { stringify } from "yaml";
import { formatAddress } from "../../src/config/address.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import { type Namespace, runCommand } from "./namespace.ts";
import type { Endpoint } from "./pulse.ts";
import type { ProcessReading, Tunnel, TunnelReading } from "./tunnel.ts";

/** Config of one end, in the shape of its YAML file. */
export type UtConfig = Record<string, unknown>;

export interface UtTunnelOptions {
  binary: string;
  client: Namespace;
  server: Namespace;
  /** The server's address as the client sees it. */
  serverAddress: string;
  /** Of both UDP ends; 127.0.0.1 unless told. */
  loopback?: string;
  /** What the client's program is started with. */
  clientWrapper?: readonly string[];
  /** Laid over the configs below, key by key. */
  clientConfig?: UtConfig;
  serverConfig?: UtConfig;
}

const ENTRY_PORT = 15_000;
const EXIT_PORT = 51_820;
const LOOPBACK = "127.0.0.1";
const METRICS: Endpoint = { host: LOOPBACK, port: 5_080 };
/** Of every `ut` server in a lab, in a namespace of its own. */
export const UT_SERVER_PORT = 5_443;

/**
 * The `ut` binary at both ends, with a private CA of its own.
 *
 *   client namespace                                        server namespace
 *   entry 127.0.0.1:15000 ── ut client ══ lanes ══> :5443 ut server ── exit 127.0.0.1:51820
 */
export class UtTunnel implements Tunnel {
  readonly entry: Endpoint;
  readonly exit: Endpoint;
  readonly #options: UtTunnelOptions;
  readonly #folder: string;
  #client: Job;
  #server: Job;

  private constructor(options: UtTunnelOptions, folder: string, client: Job, server: Job) {
    const { loopback: host = LOOPBACK } = options;
    this.entry = { host, port: ENTRY_PORT };
    this.exit = { host, port: EXIT_PORT };
    this.#options = options;
    this.#folder = folder;
    this.#client = client;
    this.#server = server;
  }

  static async open(lab: Lab, options: UtTunnelOptions): Promise<UtTunnel> {
    const folder = await lab.subfolder(`ut-${Bun.randomUUIDv7().slice(-8)}`);
    const pki = await certificates(lab, options);
    const tls = (name: string) => ({
      ca_cert: join(pki, "ca.pem"),
      cert: join(pki, `${name}.pem`),
      key: join(pki, `${name}.key`),
    });
    const { loopback = LOOPBACK, serverAddress } = options;
    const metrics = { listen_addr: formatAddress(METRICS) };
    const server_addr = formatAddress({ host: serverAddress, port: UT_SERVER_PORT });
    const server: UtConfig = {
      role: "server",
      tcp: { listen_addr: server_addr },
      udp: { wg_udp_addr: formatAddress({ host: loopback, port: EXIT_PORT }) },
      metrics,
      tls: tls("server"),
    };
    const client: UtConfig = {
      role: "client",
      tcp: { server_addr },
      udp: { listen_addr: formatAddress({ host: loopback, port: ENTRY_PORT }) },
      metrics,
      tls: tls("client"),
    };
    await writeConfig(folder, "server", overlay(server, options.serverConfig ?? {}));
    await writeConfig(folder, "client", overlay(client, options.clientConfig ?? {}));
    const serverJob = await startServer(options, folder);
    const clientJob = await startClient(options, folder);
    return new UtTunnel(options, folder, clientJob, serverJob);
  }

  /** Ends the server with SIGTERM, or as a crash does, and starts it again `downMs` later at the earliest. */
  async restartServer(signal: "SIGTERM" | "SIGKILL", downMs: number): Promise<void> {
    const ended = this.#server.stop(signal);
    await Promise.all([ended, Bun.sleep(downMs)]);
    this.#server = await startServer(this.#options, this.#folder);
  }

  async observe(): Promise<TunnelReading> {
    const { client, server } = this.#options;
    const [clientReading, serverReading] = await Promise.all([
      readProcess(client, this.#client),
      readProcess(server, this.#server),
    ]);
    return { client: clientReading, server: serverReading };
  }

  /** The last lines of both logs, for a message. */
  get logs(): string {
    return `client:\n${this.#client.tail}\nserver:\n${this.#server.tail}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.stop();
    await this.#server.stop();
  }
}

/** The sum of a counter over all its series that `where` accepts, read from a metrics page. */
export function sumMetric(metrics: Record<string, number>, name: string, where = ""): number {
  let sum = 0;
  for (const [series, value] of Object.entries(metrics))
    if ((series === name || series.startsWith(`${name}{`)) && series.includes(where)) sum += value;
  return sum;
}

/** `base` with the leaves of `over` put in; neither is changed. */
export function overlay(base: UtConfig, over: UtConfig): UtConfig {
  const result = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    result[key] = isSection(old) && isSection(value) ? overlay(old, value) : value;
  }
  return result;
}

function isSection(value: unknown): value is UtConfig {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One CA per lab, made by the first tunnel that needs it. */
async function certificates(lab: Lab, options: UtTunnelOptions): Promise<string> {
  const folder = await lab.subfolder("pki");
  if (await Bun.file(join(folder, "server.pem")).exists()) return folder;
  const pki = (...args: string[]) => runCommand([options.binary, "pki", ...args, "--dir", folder]);
  await pki("init");
  await pki("issue", "--cn", "client");
  await pki("issue", "--cn", "server", "--host", options.serverAddress);
  return folder;
}

async function writeConfig(folder: string, role: string, config: UtConfig): Promise<void> {
  await Bun.write(join(folder, `${role}.yaml`), stringify(config));
}

async function startServer(options: UtTunnelOptions, folder: string): Promise<Job> {
  const job = options.server.start("ut server", [options.binary, "-config", join(folder, "server.yaml")]);
  await untilBound(options.server, job, "tcp", UT_SERVER_PORT);
  return job;
}

async function startClient(options: UtTunnelOptions, folder: string): Promise<Job> {
  const { client, binary, clientWrapper = [] } = options;
  const job = client.start("ut client", [...clientWrapper, binary, "-config", join(folder, "client.yaml")]);
  await untilBound(client, job, "udp", ENTRY_PORT);
  return job;
}

/** Asks the kernel, not the log: a port that is bound takes datagrams and connections from now on. */
async function untilBound(namespace: Namespace, job: Job, protocol: "tcp" | "udp", port: number): Promise<void> {
  const deadline = performance.now() + 10_000;
  const query = ["ss", "-Hln", protocol === "tcp" ? "-t" : "-u", `sport = :${port}`];
  while ((await namespace.run(query)).trim() === "") {
    if (!job.running) throw new Error(`ut ended instead of listening on ${protocol} port ${port}:\n${job.tail}`);
    if (performance.now() > deadline) throw new Error(`ut does not listen on ${protocol} port ${port}:\n${job.tail}`);
    await Bun.sleep(10);
  }
}

async function readProcess(namespace: Namespace, job: Job): Promise<ProcessReading> {
  const status = await Bun.file(`/proc/${job.pid}/status`).text();
  const rssKiB = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  const url = `http://${METRICS.host}:${METRICS.port}/metrics`;
  const page = await namespace.run([process.execPath, "-e", `console.log(await (await fetch("${url}")).text())`]);
  return { cpuSeconds: await job.cpuSeconds(), rssMiB: rssKiB / 1024, metrics: parseMetrics(page) };
}

function parseMetrics(page: string): Record<string, number> {
  const metrics: Record<string, number> = {};
  for (const line of page.split("\n")) {
    const [, series, value] = /^(ut_[^ ]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (series !== undefined) metrics[series] = Number(value);
  }
  return metrics;
}
