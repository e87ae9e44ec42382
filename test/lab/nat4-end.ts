import type { Nat4Report } from "../../src/app/nat/nat4.ts";
import { DIES_WITH_PARENT } from "./job.ts";
import type { Namespace } from "./namespace.ts";

/** One `ut nat4 …-send` in a namespace. */
export interface Nat4End extends AsyncDisposable {
  /** Its stderr so far, where with `--json` everything but the report stands. */
  readonly said: string;
  /** Resolves when its stderr matches. */
  heard(text: RegExp): Promise<RegExpExecArray>;
  pressEnter(): void;
  kill(signal: NodeJS.Signals): void;
  /** How it ended; `report` is undefined if it printed none. */
  readonly ended: Promise<{ code: number; report: Nat4Report | undefined }>;
}

/** Starts `ut nat4 ARGS --json`; it ends with this process at the latest. */
export function startNat4(binary: string, host: Namespace, args: readonly string[], token = "secret"): Nat4End {
  const command = [...DIES_WITH_PARENT, "ip", "netns", "exec", host.name, binary, "nat4", ...args, "--json"];
  const environment = { ...process.env, UT_NAT4_TOKEN: token };
  const child = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: "pipe", env: environment });
  let said = "";
  let changed = Promise.withResolvers<void>();
  const listening = listen();

  async function listen(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      said += decoder.decode(chunk, { stream: true });
      changed.resolve();
      changed = Promise.withResolvers();
    }
    changed.resolve();
  }

  async function end() {
    const [out, code] = await Promise.all([new Response(child.stdout).text(), child.exited, listening]);
    return { code, report: out === "" ? undefined : (JSON.parse(out) as Nat4Report) };
  }

  return {
    get said() {
      return said;
    },
    async heard(text) {
      for (;;) {
        const match = text.exec(said);
        if (match !== null) return match;
        if (child.exitCode !== null) throw new Error(`ut nat4 ended without ${text}; it said:\n${said}`);
        await changed.promise;
      }
    },
    pressEnter() {
      child.stdin.write("\n");
      child.stdin.flush();
    },
    kill: (signal) => child.kill(signal),
    ended: end(),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
