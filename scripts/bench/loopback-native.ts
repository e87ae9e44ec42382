import { mkdir, rename } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { Job } from "../../test/lab/job.ts";
import type { Cgroup } from "./cgroup.ts";

/** The path of one of the C programs beside this file, compiled when its source is new. */
async function compiled(name: "loopback-peer" | "loopback-forward"): Promise<string> {
  const source = join(import.meta.dir, `${name}.c`);
  const hash = Bun.hash(await Bun.file(source).bytes()).toString(36);
  const folder = join(tmpdir(), `ut-bench-cache-${userInfo().uid}`);
  const binary = join(folder, `${name}-${hash}`);
  if (await Bun.file(binary).exists()) return binary;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${binary}.${process.pid}`;
  const compiler = Bun.spawn(["cc", "-O2", "-Wall", "-Wextra", "-o", fresh, source], {
    stdout: "ignore",
    stderr: "pipe",
  });
  const complaints = await new Response(compiler.stderr).text();
  if ((await compiler.exited) !== 0) throw new Error(`Cannot compile ${source}: ${complaints.trim()}`);
  await rename(fresh, binary);
  return binary;
}

/** A program that says `ready PORT`, and the port. */
async function startReady(name: string, command: readonly string[]): Promise<{ job: Job; port: number }> {
  const job = Job.start(name, command);
  const line = await job.line(/^ready \d+$/);
  return { job, port: Number(line.split(" ")[1]) };
}

/** The bare UDP forwarder, loopback-forward.c. */
export function startForwarder(targetPort: number, cgroup?: Cgroup): Promise<{ job: Job; port: number }> {
  const command = async () => [await compiled("loopback-forward"), String(targetPort)];
  return command().then((words) => startReady("loopback-forward", cgroup?.wrap(words) ?? words));
}

/** A UDP echo in C. */
export async function startEcho(): Promise<{ job: Job; port: number }> {
  return await startReady("loopback-echo", [await compiled("loopback-peer"), "echo", "127.0.0.1", "0"]);
}

export interface Stream {
  readonly perSecond: number;
  readonly seconds: number;
  readonly bytes: number;
  readonly flows: number;
  /** What is due leaves together so often, µs. */
  readonly tickUs: number;
}

export interface SentStream {
  readonly run: number;
  readonly count: number;
  /** Not taken by the kernel. */
  readonly refused: number;
  /** Worst delay of a batch behind its schedule. */
  readonly lateMs: number;
}

export interface ArrivedStream {
  readonly count: number;
  readonly duplicates: number;
  /** One way, ms. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** From the first arrival to the last. */
  readonly seconds: number;
}

/** One end of a UDP conversation that does not cost much CPU itself: loopback-peer.c says what it does. */
export class LoopbackPeer implements AsyncDisposable {
  readonly port: number;
  readonly #job: Job;

  private constructor(job: Job, port: number) {
    this.#job = job;
    this.port = port;
  }

  /** The end that waits to be talked to, as the local WireGuard of a server does. */
  static async bind(): Promise<LoopbackPeer> {
    return await LoopbackPeer.#open("bind", 0);
  }

  /** The end that talks first. */
  static async connect(port: number): Promise<LoopbackPeer> {
    return await LoopbackPeer.#open("connect", port);
  }

  static async #open(mode: "bind" | "connect", port: number): Promise<LoopbackPeer> {
    const command = [await compiled("loopback-peer"), mode, "127.0.0.1", String(port)];
    const { job, port: own } = await startReady(`loopback-peer ${mode}`, command);
    return new LoopbackPeer(job, own);
  }

  /** Greets until the peer answers: the path stands. */
  async greet(timeoutMs = 10_000): Promise<void> {
    await this.#ask(`greet ${timeoutMs}`, "greet", timeoutMs + 2_000);
  }

  /** Starts to send; `sent` of the answer resolves at the end. */
  async send(stream: Stream): Promise<{ run: number; sent: Promise<SentStream> }> {
    const { perSecond, seconds, bytes, flows, tickUs } = stream;
    const [run = 0] = await this.#ask(`send ${perSecond} ${seconds} ${bytes} ${flows} ${tickUs}`, "send");
    const sent = this.#job.line(/^sent /, seconds * 1_000 + 10_000).then((line) => {
      const [, count = 0, refused = 0, lateNs = 0] = numbers(line);
      return { run, count, refused, lateMs: lateNs / 1e6 };
    });
    return { run, sent };
  }

  /** What came of `run`, once all `count` are there, or nothing came for a quarter of a second. */
  async received(run: number, count: number): Promise<ArrivedStream> {
    await this.#ask(`wait ${run} ${count} 250 5000`, "wait");
    const [got = 0, duplicates = 0, ...times] = await this.#ask(`take ${run}`, "take");
    const [p50Ms = 0, p95Ms = 0, p99Ms = 0, p999Ms = 0, maxMs = 0, spanMs = 0] = times.map((ns) => ns / 1e6);
    return { count: got, duplicates, p50Ms, p95Ms, p99Ms, p999Ms, maxMs, seconds: spanMs / 1_000 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#job.stop();
  }

  async #ask(command: string, name: string, timeoutMs = 10_000): Promise<number[]> {
    const line = await this.#job.request(command, new RegExp(`^(${name}|error)( |$)`), timeoutMs);
    if (line.startsWith("error")) throw new Error(`Cannot do \`${command}\` with loopback-peer: ${line}`);
    return numbers(line);
  }
}

/** Behind the first word. */
function numbers(line: string): number[] {
  return line.split(" ").slice(1).map(Number);
}
