import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeIdentity } from "../../../src/app/role.ts";
import type { LogLine } from "./logbook.ts";
import { Logbook } from "./logbook.ts";
import { until } from "./until.ts";

/** What `npm` scripts run: the program from source. */
const UT = [process.execPath, join(import.meta.dir, "../../../src/main.ts")];

/** `ut` as a process of its own, with what it logs. */
export interface UtProcess extends AsyncDisposable {
  readonly child: Bun.Subprocess<"ignore", "pipe", "pipe">;
  readonly lines: readonly LogLine[];
  readonly stderr: () => Promise<string>;
  /** The first line of `event`, as soon as it is there. */
  logged(event: string): Promise<LogLine>;
}

export function startUt(...args: string[]): UtProcess {
  const child = Bun.spawn([...UT, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const lines: LogLine[] = [];
  let hasEnded = false;
  const reading = (async () => {
    let rest = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const texts = (rest + chunk).split("\n");
      rest = texts.pop() ?? "";
      for (const text of texts) {
        Logbook.everything.push(text);
        lines.push(JSON.parse(text));
      }
    }
    hasEnded = true;
  })();
  const stderr = child.stderr.text();
  return {
    child,
    lines,
    stderr: () => stderr,
    async logged(event) {
      const find = () => lines.find((line) => line.event === event);
      await until(`"${event}" in the log`, () => find() !== undefined || hasEnded);
      const line = find();
      if (line === undefined) throw new Error(`ut ended before it logged ${event}: ${await stderr}`);
      return line;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
      await reading;
    },
  };
}

/** A folder with a node's certificates and a config that names them. */
export interface ConfigFolder extends AsyncDisposable {
  readonly path: string;
}

export async function configFolder(identity: NodeIdentity, settings: Record<string, unknown>): Promise<ConfigFolder> {
  const folder = await mkdtemp(join(tmpdir(), "ut-e2e-"));
  const file = (name: string) => join(folder, name);
  await writeFile(file("ca.pem"), identity.ca);
  await writeFile(file("node.pem"), identity.cert);
  await writeFile(file("node.key"), identity.key, { mode: 0o600 });
  const tls = { ca_cert: file("ca.pem"), cert: file("node.pem"), key: file("node.key") };
  const metrics = { listen_addr: "127.0.0.1:0" };
  // STUN has fixed ports by default, and tests run side by side.
  const server = { stun: { listen: [] } };
  // JSON is YAML.
  await writeFile(file("ut.yaml"), JSON.stringify({ tls, metrics, server, log: { level: "debug" }, ...settings }));
  return {
    path: file("ut.yaml"),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** The port of the first `host:port` in a start line's `listen`. */
export function listenPort(start: LogLine): number {
  return Number(
    String((start.listen as string[])[0])
      .split(":")
      .at(-1),
  );
}
