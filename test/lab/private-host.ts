import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";

/** Folders that a host has to itself, and what is in them at first: a copy of the machine's own, or nothing. */
const OWN_FOLDERS = { "/etc": "copy", "/usr/local/bin": "empty", "/run/wireguard": "empty" } as const;

/**
 * A namespace that is a host of its own for programs with fixed paths, too: it has its own /etc, /usr/local/bin and
 * /run/wireguard, in memory, and its own process ids, so that what a command leaves running in the background
 * (`wg-quick up` does) dies with it. Everything else of the file system is the machine's.
 *
 * Dispose of it before its lab: jobs in it end with it, and the lab waits for jobs.
 */
export class PrivateHost implements AsyncDisposable {
  readonly name: string;
  /** Where commands start; `dist/ut` and the like may be put here. */
  readonly folder: string;
  readonly namespace: Namespace;
  readonly #init: Job;
  readonly #reachable: string[] = [];

  private constructor(name: string, folder: string, namespace: Namespace, init: Job) {
    this.name = name;
    this.folder = folder;
    this.namespace = namespace;
    this.#init = init;
  }

  /** @param hosts lines for its /etc/hosts */
  static async open(lab: Lab, name: string, namespace: Namespace, hosts: readonly string[] = []): Promise<PrivateHost> {
    const folder = await lab.subfolder(name);
    const mounts = await lab.subfolder(`${name}-mounts`);
    const script = ["set -eu", `mount -t tmpfs -o mode=700 tmpfs ${mounts}`];
    for (const [path, content] of Object.entries(OWN_FOLDERS)) {
      const own = join(mounts, path);
      script.push(`mkdir -p ${own} ${path}`, ...(content === "copy" ? [`cp -a ${path}/. ${own}`] : []));
    }
    for (const line of hosts) script.push(`echo '${line}' >> ${join(mounts, "/etc/hosts")}`);
    for (const path of Object.keys(OWN_FOLDERS)) script.push(`mount --bind ${join(mounts, path)} ${path}`);
    // The first process of a PID namespace: when it goes, everything in there goes.
    script.push("echo ready", "exec sleep infinity");
    const isolation = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
    const init = namespace.start(`host ${name}`, ["unshare", ...isolation, "sh", "-c", script.join("\n")]);
    await init.line(/^ready$/);
    return new PrivateHost(name, folder, namespace, init);
  }

  /** Runs a shell script to its end, in the host's folder: its stdout. Throws with what it wrote if a command fails. */
  async run(script: string, timeoutMs = 20_000): Promise<string> {
    return await this.namespace.run(this.#inside(script), { timeoutMs });
  }

  /** Starts a shell script that goes on. It ends with the host. */
  start(name: string, script: string, onLine?: (line: string) => void): Job {
    return this.namespace.start(name, this.#inside(script), onLine && { onLine });
  }

  async write(path: string, text: string): Promise<void> {
    const source = join(this.folder, `.${Bun.randomUUIDv7()}`);
    await Bun.write(source, text);
    await this.run(`mkdir -p "$(dirname ${path})" && cp ${source} ${path} && rm ${source}`);
  }

  /**
   * Lets `ssh` and `scp` on this host reach another one, which runs no sshd: a command or file for `address` meets the
   * other's file system.
   */
  async mayReach(other: PrivateHost, address: string): Promise<void> {
    this.#reachable.push(`${address}) mnt=/proc/${other.#init.pid}/ns/mnt ;;`);
    const find = [
      "case $host in",
      ...this.#reachable,
      '*) echo "there is no host for $host" >&2; exit 255 ;; esac',
      'enter="nsenter --mount=$mnt --"',
    ];
    await this.#install("ssh", ["host=$1; shift", ...find, 'exec $enter sh -c "$*"']);
    await this.#install("scp", [
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a bash expansion
      'to=${@: -1}; files=("${@:1:$#-1}"); host=${to%%:*}',
      ...find,
      // Entering a mount namespace forgets the current folder.
      `exec $enter cp -- "\${files[@]/#/$PWD/}" "\${to#*:}"`,
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // `unshare` passes no SIGTERM on.
    await this.#init.stop("SIGKILL");
  }

  async #install(name: string, lines: readonly string[]): Promise<void> {
    const folder = join(this.folder, "shims");
    await mkdir(folder, { recursive: true });
    const path = join(folder, name);
    await Bun.write(path, ["#!/bin/bash", "set -eu", ...lines, ""].join("\n"));
    await chmod(path, 0o755);
  }

  #inside(script: string): string[] {
    const namespaces = `/proc/${this.#init.pid}/ns`;
    const enter = ["nsenter", `--mount=${namespaces}/mnt`, `--pid=${namespaces}/pid_for_children`, "--"];
    const path = `PATH=${join(this.folder, "shims")}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
    return [...enter, "env", path, "sh", "-euc", `cd ${this.folder}\n${script}`];
  }
}
