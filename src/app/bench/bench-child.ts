import { UtError } from "../../core/error.ts";
import type { BenchAnswer, BenchPart, BenchRequest, BenchUsage } from "./bench-worker.ts";

const STOP_MS = 3_000;

/** A process of `ut bench`, started from the same program. */
export class BenchChild implements AsyncDisposable {
  readonly name: string;
  /** Where it takes datagrams, or lanes. */
  readonly port: number;
  readonly #process: Bun.Subprocess;
  readonly #answers: Answers;

  private constructor(name: string, port: number, child: Bun.Subprocess, answers: Answers) {
    this.name = name;
    this.port = port;
    this.#process = child;
    this.#answers = answers;
  }

  /** `command` runs `runBenchWorker` in a new process. Throws `bench.failed` when it cannot be what it is told to be. */
  static async start(command: readonly string[], what: BenchPart): Promise<BenchChild> {
    const answers = new Answers(what.part);
    const child = Bun.spawn([...command], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "inherit",
      // Ctrl-C on a terminal reaches the whole process group: the parent decides when its children end.
      detached: true,
      ipc: (message: BenchAnswer) => answers.take(message),
      onExit: (_child, code, signal) => answers.end(`ended with ${signal ?? `exit code ${code}`}`),
    });
    const answer = await answers.to(() => child.send({ ask: "be", what } satisfies BenchRequest));
    if (answer.answer === "port") return new BenchChild(what.part, answer.port, child, answers);
    child.kill("SIGKILL");
    const why = answer.answer === "failed" ? answer.message : "it answered something else";
    throw new UtError("bench.failed", `Cannot start the ${what.part} of the benchmark: ${why}`);
  }

  async usage(): Promise<BenchUsage> {
    const answer = await this.#answers.to(() => this.#process.send({ ask: "usage" } satisfies BenchRequest));
    if (answer.answer === "usage") return answer;
    throw new UtError("bench.failed", `Cannot read what the ${this.name} of the benchmark used`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    this.#process.disconnect();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
    await this.#process.exited;
    clearTimeout(timer);
  }
}

/** One question at a time, each with its answer. */
class Answers {
  readonly #name: string;
  #pending: PromiseWithResolvers<BenchAnswer> | undefined;
  #ended: string | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  to(ask: () => void): Promise<BenchAnswer> {
    this.#pending = Promise.withResolvers();
    const { promise } = this.#pending;
    if (this.#ended === undefined) ask();
    else this.end(this.#ended);
    return promise;
  }

  take(answer: BenchAnswer): void {
    this.#pending?.resolve(answer);
    this.#pending = undefined;
  }

  end(how: string): void {
    this.#ended = how;
    this.#pending?.reject(new UtError("bench.failed", `The ${this.#name} of the benchmark ${how}`));
    this.#pending = undefined;
  }
}
