import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runPki } from "../../../../src/cli/pki/pki.ts";
import { UtError } from "../../../../src/core/error.ts";
import { fakeTerminal } from "../fake-terminal.ts";

/** When the tests take place, unless they say otherwise. */
export const NOW = new Date("2030-01-02T03:04:05Z");

/** All of stdout and the exit code, or `kind: message` of the error that main would print; the folder reads as DIR. */
export type Outcome = { readonly out: string; readonly code: number } | { readonly error: string };

/** `ut pki` on a folder of its own, in this process and at any time. */
export class PkiFolder implements AsyncDisposable {
  readonly path: string;
  readonly #root: string;

  private constructor(root: string) {
    this.#root = root;
    this.path = join(root, "pki");
  }

  static async make(): Promise<PkiFolder> {
    return new PkiFolder(await mkdtemp(join(tmpdir(), "ut-cli-pki-")));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true });
  }

  run(subcommand: string, ...flags: string[]): Promise<Outcome> {
    return this.runAt(NOW, subcommand, ...flags);
  }

  async runAt(now: Date, subcommand: string, ...flags: string[]): Promise<Outcome> {
    const terminal = fakeTerminal();
    try {
      const code = await runPki([subcommand, "--dir", this.path, ...flags], terminal, now);
      return { out: this.#anonymous(terminal.printed.join("\n")), code };
    } catch (error) {
      if (!(error instanceof UtError)) throw error;
      return { error: this.#anonymous(`${error.kind}: ${error.message}`) };
    }
  }

  /** For what only prepares: an error ends the test. */
  async mustRun(subcommand: string, ...flags: string[]): Promise<void> {
    const outcome = await this.run(subcommand, ...flags);
    if ("error" in outcome) throw new Error(outcome.error);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  read(name: string): Promise<string> {
    return readFile(this.file(name), "utf8");
  }

  /** Every file, hidden ones too: `{ "ca.key": "600", … }`. */
  async modes(): Promise<Record<string, string>> {
    const names = (await readdir(this.path)).sort();
    const modes = names.map(async (name) => [name, ((await stat(this.file(name))).mode & 0o777).toString(8)]);
    return Object.fromEntries(await Promise.all(modes));
  }

  async contents(): Promise<Record<string, string>> {
    const names = (await readdir(this.path)).sort();
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await this.read(name)])));
  }

  #anonymous(text: string): string {
    return text.replaceAll(this.path, "DIR");
  }
}
