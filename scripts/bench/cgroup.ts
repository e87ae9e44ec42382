import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CgroupLimits {
  /** Cores, by quota: what a container's `cpus` does. */
  readonly cores: number;
  readonly memoryBytes: number;
}

const ROOT = "/sys/fs/cgroup";
/** The kernel's default, for version 1 and 2. */
const PERIOD_US = 100_000;

/**
 * A control group of this run, with limits: version 2 where the `cpu` and `memory` controllers are there, else version
 * 1. Its processes start inside, so that all their threads and all their memory count.
 */
export class Cgroup implements Disposable {
  readonly #folders: readonly string[];

  private constructor(folders: readonly string[]) {
    this.#folders = folders;
  }

  /** Why there can be none here, or undefined. */
  static problem(): string | undefined {
    if (process.platform !== "linux") return "cgroups exist on Linux only";
    if (process.getuid?.() !== 0) return "cgroups need root";
    return layout() === undefined ? `no cpu and memory controllers under ${ROOT}` : undefined;
  }

  static open(name: string, limits: CgroupLimits): Cgroup {
    const found = layout();
    if (found === undefined) throw new Error(`Cannot limit ${name}: ${Cgroup.problem()}`);
    const group = `ut-bench-${process.pid}-${name}`;
    const quota = Math.round(limits.cores * PERIOD_US);
    if (found.version === 2) {
      const folder = join(found.root, group);
      // A controller is on in a group only if its parent passes it on.
      writeFileSync(join(found.root, "cgroup.subtree_control"), "+cpu +memory");
      mkdirSync(folder);
      writeFileSync(join(folder, "cpu.max"), `${quota} ${PERIOD_US}`);
      writeFileSync(join(folder, "memory.max"), `${limits.memoryBytes}`);
      return new Cgroup([folder]);
    }
    const cpu = join(ROOT, "cpu", group);
    const memory = join(ROOT, "memory", group);
    for (const folder of [cpu, memory]) mkdirSync(folder);
    writeFileSync(join(cpu, "cpu.cfs_period_us"), `${PERIOD_US}`);
    writeFileSync(join(cpu, "cpu.cfs_quota_us"), `${quota}`);
    writeFileSync(join(memory, "memory.limit_in_bytes"), `${limits.memoryBytes}`);
    return new Cgroup([cpu, memory]);
  }

  /** `command`, started as a member. */
  wrap(command: readonly string[]): string[] {
    const join = this.#folders.map((folder) => `echo $$ > ${folder}/cgroup.procs`).join(" && ");
    return ["sh", "-c", `${join} && exec "$@"`, "sh", ...command];
  }

  /** How often, and for how long in all, its processes had to wait for their quota. */
  throttled(): { periods: number; seconds: number } {
    const stat = readFileSync(join(this.#folders[0] ?? "", "cpu.stat"), "utf8");
    const value = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, "m").exec(stat)?.[1] ?? 0);
    return { periods: value("nr_throttled"), seconds: value("throttled_time") / 1e9 + value("throttled_usec") / 1e6 };
  }

  /** Its processes have ended. */
  [Symbol.dispose](): void {
    for (const folder of this.#folders) rmdirSync(folder);
  }
}

function layout(): { version: 1 } | { version: 2; root: string } | undefined {
  for (const root of [ROOT, join(ROOT, "unified")]) {
    const file = join(root, "cgroup.controllers");
    const controllers = existsSync(file) ? readFileSync(file, "utf8").trim().split(" ") : [];
    if (controllers.includes("cpu") && controllers.includes("memory")) return { version: 2, root };
  }
  const version1 = existsSync(join(ROOT, "cpu/cpu.cfs_quota_us")) || existsSync(join(ROOT, "cpu/cgroup.procs"));
  return version1 && existsSync(join(ROOT, "memory/cgroup.procs")) ? { version: 1 } : undefined;
}
