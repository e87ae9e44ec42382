import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { Job } from "../../test/lab/job.ts";
import { overlay, type UtConfig } from "../../test/lab/ut-tunnel.ts";
import { Cgroup, type CgroupLimits } from "./cgroup.ts";
import { LoopbackPeer, startForwarder } from "./loopback-native.ts";

/** What stands between the two peers of a measurement. */
export type PathKind = "straight" | "forwarder" | "ut" | "direct";

/** The first attempt, and a second one. */
const DIRECT_MS = 30_000;

export interface PathOptions {
  readonly binary: string;
  /** Laid over the configs of both ends. */
  readonly config: UtConfig;
  /** Of each process of the path; undefined leaves them free. */
  readonly limits: CgroupLimits | undefined;
}

/** A process of a path. */
export interface Member {
  readonly name: string;
  readonly job: Job;
  readonly cgroup: Cgroup | undefined;
}

/**
 * Two peers and what is between them, every part a process of its own, on 127.0.0.1 and free ports:
 *
 *     straight   near ───────────────────────────────── far
 *     forwarder  near ── loopback-forward ───────────── far
 *     ut         near ── ut client ══ lanes ══ ut server ── far
 *     direct     near ── ut relay ── sealed UDP ── ut agent ── far      (a ut server brings them together)
 */
export class LoopbackPath implements AsyncDisposable {
  readonly kind: PathKind;
  readonly near: LoopbackPeer;
  readonly far: LoopbackPeer;
  readonly members: readonly Member[];
  readonly #parts: AsyncDisposableStack;

  private constructor(
    kind: PathKind,
    near: LoopbackPeer,
    far: LoopbackPeer,
    members: Member[],
    parts: AsyncDisposableStack,
  ) {
    this.kind = kind;
    this.near = near;
    this.far = far;
    this.members = members;
    this.#parts = parts;
  }

  static async open(kind: PathKind, options: PathOptions): Promise<LoopbackPath> {
    await using parts = new AsyncDisposableStack();
    const far = parts.use(await LoopbackPeer.bind());
    const members: Member[] = [];
    const entry = await openMiddle(kind, far.port, options, members, parts);
    const near = parts.use(await LoopbackPeer.connect(entry));
    await near.greet();
    // The other lanes come up behind the first; then both ends have time to compile what is hot.
    await Bun.sleep(500);
    return new LoopbackPath(kind, near, far, members, parts.move());
  }

  /** By process: CPU so far, and memory. */
  async usage(): Promise<Record<string, { cpuSeconds: number } & ProcessMemory>> {
    const one = async ({ name, job }: Member) =>
      [name, { cpuSeconds: await job.cpuSeconds(), ...(await memoryOf(job)) }] as const;
    return Object.fromEntries(await Promise.all(this.members.map(one)));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

export interface ProcessMemory {
  /** The largest resident memory it has had (VmHWM): with the pages of its program file, which processes share. */
  readonly peakMiB: number;
  /** What is its own of it now (RssAnon). */
  readonly ownMiB: number;
}

export async function memoryOf(job: Job): Promise<ProcessMemory> {
  const status = await Bun.file(`/proc/${job.pid}/status`).text();
  const mib = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? Number.NaN) / 1024;
  return { peakMiB: mib("VmHWM"), ownMiB: mib("RssAnon") };
}

/** `ut` with a folder for its files: certificates of a private CA and one config for each process. */
export class UtFolder implements AsyncDisposable {
  readonly path: string;
  readonly #binary: string;

  private constructor(path: string, binary: string) {
    this.path = path;
    this.#binary = binary;
  }

  static async open(binary: string): Promise<UtFolder> {
    const folder = new UtFolder(await mkdtemp(join(tmpdir(), "ut-bench-")), binary);
    await folder.#pki("init");
    for (const cn of ["client", "relay", "agent"]) await folder.#pki("issue", "--cn", cn);
    await folder.#pki("issue", "--cn", "server", "--host", "127.0.0.1");
    return folder;
  }

  /** Starts one role and resolves with the port it listens on. */
  async start(
    role: "client" | "server" | "relay" | "agent",
    config: UtConfig,
    cgroup: Cgroup | undefined,
  ): Promise<{ job: Job; port: number; stun: readonly string[] }> {
    const pem = (name: string) => join(this.path, name);
    const base = {
      role,
      metrics: { listen_addr: "127.0.0.1:0" },
      tls: { ca_cert: pem("ca.pem"), cert: pem(`${role}.pem`), key: pem(`${role}.key`) },
    };
    const file = pem(`${role}.yaml`);
    await Bun.write(file, stringify(overlay(base, config)));
    const command = [this.#binary, "-config", file];
    const job = Job.start(`ut ${role}`, cgroup?.wrap(command) ?? command);
    const line = JSON.parse(await job.line(/"event":"start"/)) as { listen: string[]; stun: string[] };
    return { job, port: Number(line.listen[0]?.split(":").at(-1)), stun: line.stun };
  }

  async #pki(...words: string[]): Promise<void> {
    const pki = Bun.spawn([this.#binary, "pki", ...words, "--dir", this.path], { stdout: "ignore", stderr: "pipe" });
    if ((await pki.exited) !== 0) throw new Error(`Cannot make certificates: ${await new Response(pki.stderr).text()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true });
  }
}

/** The UDP port that leads to `farPort`. */
async function openMiddle(
  kind: PathKind,
  farPort: number,
  options: PathOptions,
  members: Member[],
  parts: AsyncDisposableStack,
): Promise<number> {
  const cgroupOf = (name: string) => options.limits && parts.use(Cgroup.open(name, options.limits));
  const add = (name: string, job: Job, cgroup: Cgroup | undefined) =>
    void members.push({ name, job: parts.use(job), cgroup });
  if (kind === "straight") return farPort;
  if (kind === "forwarder") {
    const cgroup = cgroupOf("forwarder");
    const { job, port } = await startForwarder(farPort, cgroup);
    add("forwarder", job, cgroup);
    return port;
  }
  const folder = parts.use(await UtFolder.open(options.binary));
  if (kind === "direct") return await openDirect(folder, farPort, options, add, cgroupOf, parts);
  const serverGroup = cgroupOf("server");
  const serverConfig = overlay(
    { tcp: { listen_addr: "127.0.0.1:0" }, udp: { wg_udp_addr: `127.0.0.1:${farPort}` } },
    options.config,
  );
  const server = await folder.start("server", serverConfig, serverGroup);
  add("server", server.job, serverGroup);
  const clientGroup = cgroupOf("client");
  const clientConfig = overlay(
    { tcp: { server_addr: `127.0.0.1:${server.port}` }, udp: { listen_addr: "127.0.0.1:0" } },
    options.config,
  );
  const client = await folder.start("client", clientConfig, clientGroup);
  add("client", client.job, clientGroup);
  return client.port;
}

/** Relay and agent on the direct path. Their server carries nothing, so it is no member. */
async function openDirect(
  folder: UtFolder,
  farPort: number,
  options: PathOptions,
  add: (name: string, job: Job, cgroup: Cgroup | undefined) => void,
  cgroupOf: (name: string) => Cgroup | undefined,
  parts: AsyncDisposableStack,
): Promise<number> {
  const stun = { listen: ["127.0.0.1:0"] };
  const server = await folder.start("server", { tcp: { listen_addr: "127.0.0.1:0" }, server: { stun } }, undefined);
  parts.use(server.job);
  const peer = overlay(
    {
      tcp: { server_addr: `127.0.0.1:${server.port}` },
      nat: { stun_servers: server.stun },
      // A machine that is too busy to answer in time is no reason to measure the lanes.
      p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, include_loopback: true, prefer: "direct" },
    },
    options.config,
  );
  const services = { udp: [{ name: "far", target: `127.0.0.1:${farPort}`, allow: ["relay"] }] };
  const agentGroup = cgroupOf("agent");
  const agent = await folder.start("agent", { ...peer, services }, agentGroup);
  add("agent", agent.job, agentGroup);
  const relayGroup = cgroupOf("relay");
  const entry = [{ listen_addr: "127.0.0.1:0", to: "agent", service: "far" }];
  const relay = await folder.start("relay", { ...peer, relay: entry }, relayGroup);
  add("relay", relay.job, relayGroup);
  await Promise.all([relay, agent].map(({ job }) => job.line(/"event":"pipe_direct"/, DIRECT_MS)));
  return relay.port;
}
