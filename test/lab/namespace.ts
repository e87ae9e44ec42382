import { DIES_WITH_PARENT, Job, type JobOptions } from "./job.ts";

/** One host of a lab: a Linux network namespace and the programs that run in it. */
export class Namespace {
  readonly name: string;
  readonly #track: (job: Job) => void;

  private constructor(name: string, track: (job: Job) => void) {
    this.name = name;
    this.#track = track;
  }

  static async create(name: string, track: (job: Job) => void): Promise<Namespace> {
    await runCommand(["ip", "netns", "add", name]);
    const namespace = new Namespace(name, track);
    // Without this an IPv6 address cannot be used for its first one or two seconds (duplicate address detection).
    const noDad = { "net.ipv6.conf.default.accept_dad": 0, "net.ipv6.conf.all.accept_dad": 0 };
    await namespace.sysctl(noDad);
    await namespace.ip(["link set lo up"]);
    return namespace;
  }

  /** Lines for `ip -batch` inside this namespace. */
  async ip(lines: readonly string[]): Promise<void> {
    await runCommand(["ip", "-n", this.name, "-batch", "-"], { input: `${lines.join("\n")}\n` });
  }

  /** nftables statements inside this namespace. */
  async nft(script: string): Promise<void> {
    await this.run(["nft", "-f", "-"], { input: script });
  }

  async sysctl(values: Record<string, string | number>): Promise<void> {
    const settings = Object.entries(values).map(([key, value]) => `${key}=${value}`);
    await this.run(["sysctl", "-q", "-w", ...settings]);
  }

  /** Runs a program to its end: its stdout. Throws with its stderr when it fails or takes longer than `timeoutMs`. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<string> {
    return await runCommand([...DIES_WITH_PARENT, ...this.#inside(), ...command], options);
  }

  /** Starts a program that ends with the lab at the latest. */
  start(name: string, command: readonly string[], options?: JobOptions): Job {
    const job = Job.start(name, [...this.#inside(), ...command], options);
    this.#track(job);
    return job;
  }

  /** For an exit handler, where nothing can be awaited. */
  deleteNow(): void {
    Bun.spawnSync(["ip", "netns", "del", this.name]);
  }

  #inside(): string[] {
    return ["ip", "netns", "exec", this.name];
  }
}

export interface RunOptions {
  input?: string;
  timeoutMs?: number;
  env?: Record<string, string>;
}

/** Runs a program to its end: its stdout. Throws with what it wrote when it fails or takes longer than `timeoutMs`. */
export async function runCommand(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const timeoutMs = options.timeoutMs ?? 15_000;
  const child = Bun.spawn([...command], {
    stdin: options.input === undefined ? "ignore" : new Blob([options.input]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, ...options.env },
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code === 0) return out;
  const why = child.signalCode === "SIGKILL" ? `took more than ${timeoutMs} ms` : `exit ${code}`;
  throw new Error(`Cannot run \`${command.join(" ")}\`: ${why}: ${(err || out).trim().slice(-2_000)}`);
}
