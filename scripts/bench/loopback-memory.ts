import { join } from "node:path";
import { Job } from "../../test/lab/job.ts";
import { overlay } from "../../test/lab/ut-tunnel.ts";
import { Cgroup } from "./cgroup.ts";
import type { ManyClients } from "./loopback-clients.ts";
import { startEcho } from "./loopback-native.ts";
import {
  LoopbackPath,
  memoryOf,
  type PathKind,
  type PathOptions,
  type ProcessMemory,
  UtFolder,
} from "./loopback-path.ts";

export interface MemoryOptions extends PathOptions {
  readonly bytes: number;
  readonly seconds: number;
  /** Of the one session, each way. */
  readonly mbit: number;
  /** Of the server with many of them. */
  readonly clients: number;
  readonly lanes: number;
  /** Of all clients together. */
  readonly perSecond: number;
}

/** One process: before the first datagram, and after its load. */
export interface MemoryRow {
  readonly name: string;
  readonly idle: ProcessMemory;
  readonly loaded: ProcessMemory;
}

export interface ManyClientsMemory extends MemoryRow {
  readonly clients: number;
  readonly lanes: number;
  readonly sent: number;
  readonly back: number;
  readonly rampSeconds: number;
}

/** The processes of one path under a steady load in both directions. */
export async function measureSessionMemory(kind: PathKind, options: MemoryOptions): Promise<MemoryRow[]> {
  await using path = await LoopbackPath.open(kind, options);
  const idle = await path.usage();
  const perSecond = (options.mbit * 1e6) / 8 / options.bytes;
  const stream = { perSecond, seconds: options.seconds, bytes: options.bytes, flows: 1, tickUs: 200 };
  const runs = await Promise.all([path.near.send(stream), path.far.send(stream)]);
  await Promise.all(runs.map(({ sent }) => sent));
  const loaded = await path.usage();
  return path.members.map(({ name }) => ({
    name: kind === "ut" ? `ut ${name}` : `bare UDP ${name}`,
    // Both were read of the same members.
    idle: idle[name]!,
    loaded: loaded[name]!,
  }));
}

/** They share the machine with the server: few enough processes, few enough clients in each. */
const PROCESSES = 4;
const RAMP_MS = 180_000;

/** One server, many clients with all their lanes, and traffic to an echo behind the server. */
export async function measureManyClients(options: MemoryOptions): Promise<ManyClientsMemory> {
  await using parts = new AsyncDisposableStack();
  const echo = await startEcho();
  parts.use(echo.job);
  const folder = parts.use(await UtFolder.open(options.binary));
  const cgroup = options.limits && parts.use(Cgroup.open("server", options.limits));
  const config = { tcp: { listen_addr: "127.0.0.1:0" }, udp: { wg_udp_addr: `127.0.0.1:${echo.port}` } };
  const server = await folder.start("server", overlay(config, options.config), cgroup);
  parts.use(server.job);
  const idle = await memoryOf(server.job);

  const startedAt = performance.now();
  const ca = {
    cert: await Bun.file(join(folder.path, "ca.pem")).text(),
    key: await Bun.file(join(folder.path, "ca.key")).text(),
  };
  const names = Array.from({ length: options.clients }, (_, index) => `client-${index}`);
  const jobs = Array.from({ length: PROCESSES }, (_, process) => {
    const job = parts.use(
      Job.start(`clients ${process}`, [Bun.argv[0] ?? "bun", join(import.meta.dir, "loopback-clients.ts")]),
    );
    const many: ManyClients = {
      ca,
      names: names.filter((_, index) => index % PROCESSES === process),
      serverPort: server.port,
      lanes: options.lanes,
      bytes: options.bytes,
      perSecond: options.perSecond / options.clients,
    };
    return { job, many };
  });
  await Promise.all(jobs.map(({ job, many }) => job.request(JSON.stringify(many), /^up /, RAMP_MS)));
  const rampSeconds = (performance.now() - startedAt) / 1_000;
  await Bun.sleep(options.seconds * 1_000);
  const ends = await Promise.all(jobs.map(({ job }) => job.request("end", /^done /)));
  const counts = ends.map((line) => line.split(" ").slice(1).map(Number));
  return {
    name: `ut server, ${options.clients} clients × ${options.lanes} lanes`,
    idle,
    loaded: await memoryOf(server.job),
    clients: options.clients,
    lanes: options.lanes,
    sent: counts.reduce((sum, [sent = 0]) => sum + sent, 0),
    back: counts.reduce((sum, [, back = 0]) => sum + back, 0),
    rampSeconds,
  };
}
