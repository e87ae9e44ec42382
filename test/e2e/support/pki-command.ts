import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const UT = [process.execPath, join(import.meta.dir, "../../../src/main.ts")];

export interface Finished {
  readonly out: string;
  readonly err: string;
  readonly code: number;
}

/** A folder in which a person calls `ut pki`, as a process of its own each time. */
export class PkiCommand implements AsyncDisposable {
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
  }

  static async make(): Promise<PkiCommand> {
    return new PkiCommand(await mkdtemp(join(tmpdir(), "ut-pki-")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true });
  }

  /** `ut pki WORDS`, with the words split at spaces. */
  async run(words: string): Promise<Finished> {
    const child = Bun.spawn([...UT, "pki", ...words.split(" ")], { cwd: this.#root, stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { out, err, code };
  }

  async mustRun(words: string): Promise<void> {
    const { err, code } = await this.run(words);
    if (code !== 0 || err !== "") throw new Error(`ut pki ${words} ended with ${code}: ${err}`);
  }

  file(name: string): string {
    return join(this.#root, "pki", name);
  }

  read(name: string): Promise<string> {
    return readFile(this.file(name), "utf8");
  }
}
