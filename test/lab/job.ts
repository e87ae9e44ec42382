/** In front of a command: the kernel kills it when the process that started it dies, in whatever way. */
export const DIES_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"] as const;

/** Lines of output kept for an error message. */
const TAIL_LINES = 60;

interface Waiter {
  matches: (line: string) => boolean;
  resolve: (line: string) => void;
  reject: (error: Error) => void;
}

/**
 * A long-lived process of a lab: its output as lines, a line protocol on its stdin, an orderly end by its own pid.
 * No job outlives the process that started it.
 */
export class Job implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #unread: string[] = [];
  readonly #tail: string[] = [];
  readonly #onLine: ((line: string) => void) | undefined;
  #waiters: Waiter[] = [];
  readonly #drained: Promise<unknown>;

  private constructor(name: string, command: readonly string[], options: JobOptions) {
    this.#name = name;
    this.#onLine = options.onLine;
    this.#process = Bun.spawn([...DIES_WITH_PARENT, ...command], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    this.#drained = Promise.all([this.#pump(this.#process.stdout), this.#pump(this.#process.stderr)]).then(async () => {
      const code = await this.#process.exited;
      const error = this.#failure(`ended (${this.#process.signalCode ?? `exit ${code}`})`);
      for (const waiter of this.#waiters) waiter.reject(error);
      this.#waiters = [];
    });
  }

  static start(name: string, command: readonly string[], options: JobOptions = {}): Job {
    return new Job(name, command, options);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The last lines it wrote, for a message. */
  get tail(): string {
    return this.#tail.join("\n");
  }

  /** The next line, already written or to come, that matches; lines before it are skipped. Rejects when it ends. */
  line(matches: RegExp | ((line: string) => boolean), timeoutMs = 10_000): Promise<string> {
    const test = typeof matches === "function" ? matches : (line: string) => matches.test(line);
    const index = this.#unread.findIndex(test);
    if (index >= 0) return Promise.resolve(this.#unread.splice(0, index + 1).at(-1) ?? "");
    this.#unread.length = 0;
    if (!this.running) return Promise.reject(this.#failure("has ended"));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        reject(this.#failure(`did not answer with ${matches} within ${timeoutMs} ms`));
      }, timeoutMs);
      const waiter: Waiter = {
        matches: test,
        resolve: (line) => {
          clearTimeout(timer);
          resolve(line);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      };
      this.#waiters.push(waiter);
    });
  }

  /** Writes one line and gives back the next line of output that matches. */
  async request(line: string, matches: RegExp, timeoutMs?: number): Promise<string> {
    const answer = this.line(matches, timeoutMs);
    this.#process.stdin.write(`${line}\n`);
    await this.#process.stdin.flush();
    return await answer;
  }

  /** User plus system CPU seconds so far, of all its threads. */
  async cpuSeconds(): Promise<number> {
    const stat = await Bun.file(`/proc/${this.pid}/stat`).text();
    // The name in parentheses may hold spaces; utime and stime are fields 14 and 15, in ticks of 1/100 s (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Ends it and waits until it is gone; SIGKILL after `graceMs`. Gives back what it wrote that nobody has read. */
  async stop(signal: NodeJS.Signals = "SIGTERM", graceMs = 4_000): Promise<string[]> {
    if (this.running) this.#process.kill(signal);
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), graceMs);
    await this.#process.exited;
    clearTimeout(timer);
    await this.#drained;
    return this.#unread.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** For an exit handler, where nothing can be awaited. */
  killNow(): void {
    if (this.running) this.#process.kill("SIGKILL");
  }

  async #pump(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of stream) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    }
    if (rest !== "") this.#take(rest);
  }

  #take(line: string): void {
    this.#onLine?.(line);
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    const index = this.#waiters.findIndex((waiter) => waiter.matches(line));
    if (index >= 0) for (const waiter of this.#waiters.splice(index, 1)) waiter.resolve(line);
    // Nobody may ever read a chatty daemon's lines.
    else if (this.#unread.push(line) > TAIL_LINES) this.#unread.shift();
  }

  #failure(what: string): Error {
    return new Error(`${this.#name} ${what}; it last wrote:\n${this.tail || "(nothing)"}`);
  }
}

export interface JobOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Sees every line of stdout and stderr. */
  onLine?: (line: string) => void;
}
