import { existsSync } from "node:fs";
import { access, constants, mkdir, readFile, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { UtError } from "../../core/error.ts";
import { replaceFile } from "../../io/system/atomic-file.ts";
import type { ProgramResult } from "../../io/system/run-program.ts";
import { type CommandLine, MARKER, type ServicePlan } from "./plan.ts";

/** What placing a service does beside the one file, and what it tells. */
export interface Hands {
  run(command: CommandLine): Promise<ProgramResult>;
  /** Each step, before it is taken. */
  say(step: string): void;
}

/**
 * Writes the file of a service whole or not at all, and has it started. Throws `io.file` where it cannot be written or
 * belongs to somebody else, before anything was changed; `service.failed` where a command fails.
 */
export async function installService(plan: ServicePlan, text: string, hands: Hands): Promise<void> {
  const other = plan.others.find((path) => existsSync(path));
  if (other !== undefined)
    throw new UtError("io.file", `Cannot write ${plan.path}: it would replace ${other}\nNext: choose another --name`);
  const existing = await readOwn(plan.path, "replace");
  await expectWritable(plan.path, plan.makesFolder);
  if (existing !== undefined) for (const command of plan.replace) await attempt(command, hands);
  hands.say(`writing ${plan.path}`);
  await replaceFile(plan.path, text, 0o644);
  for (const command of plan.start) await insist(command, plan, hands);
}

/** Takes back what `installService` did, and nothing else. Throws as that does. */
export async function uninstallService(plan: ServicePlan, hands: Hands): Promise<void> {
  if ((await readOwn(plan.path, "remove")) === undefined)
    throw new UtError("io.file", `Cannot uninstall ${basename(plan.path)}: ${plan.path} does not exist`);
  await expectWritable(plan.path, false);
  for (const command of plan.stop) await attempt(command, hands);
  hands.say(`removing ${plan.path}`);
  await rm(plan.path);
  for (const command of plan.forget) await attempt(command, hands);
}

/** A file that was written here, or undefined where there is none. */
async function readOwn(path: string, verb: "replace" | "remove"): Promise<string | undefined> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") return undefined;
    throw new UtError("io.file", `Cannot read ${path}: ${codeOf(cause)}`, { cause });
  });
  if (text === undefined || text.includes(MARKER)) return text;
  throw new UtError(
    "io.file",
    `Cannot ${verb} ${path}: it was not written by ut service install\nNext: remove it yourself, or choose another --name`,
  );
}

/** Before anything is stopped for a file that cannot be written then. */
async function expectWritable(path: string, makesFolder: boolean): Promise<void> {
  const folder = dirname(path);
  try {
    if (makesFolder) await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new UtError("io.file", `Cannot write ${path}: ${reason(cause, folder)}`, { cause, details: { path } });
  }
}

function reason(cause: unknown, folder: string): string {
  switch (codeOf(cause)) {
    case "EACCES":
      return `${folder} is not writable for this user\nNext: run it with sudo, or "ut service print" and put it in place by hand`;
    case "EROFS":
      return `${folder} is on a read-only file system\nNext: "ut service print", and have the system's own configuration place it`;
    case "ENOENT":
      return `there is no folder ${folder}\nNext: make it, if this is the init system of this machine`;
    default:
      return `${folder}: ${codeOf(cause)}`;
  }
}

/** What may fail: the service was not running, or is not known yet. */
async function attempt(command: CommandLine, { run, say }: Hands): Promise<void> {
  say(command.join(" "));
  await run(command).catch(() => undefined);
}

async function insist(command: CommandLine, { path }: ServicePlan, { run, say }: Hands): Promise<void> {
  const text = command.join(" ");
  say(text);
  const { code, output } = await run(command).catch((cause: unknown) => {
    throw new UtError("service.failed", `Cannot run ${text}: ${codeOf(cause) ?? cause}; ${path} is in place`, {
      cause,
    });
  });
  if (code === 0) return;
  throw new UtError(
    "service.failed",
    `Cannot start the service: "${text}" ended with ${code}\n${output.trim()}\n${path} is in place; "ut service uninstall" with the same flags removes it`,
    { details: { command: text, code } },
  );
}

function codeOf(cause: unknown): string | undefined {
  return cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
}
