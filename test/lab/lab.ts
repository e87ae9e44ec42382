import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "./job.ts";
import { Namespace } from "./namespace.ts";
import { type WanAddresses, WanLink, type WanOptions } from "./wan-link.ts";

/** Marks what belongs to a lab among all namespaces of the machine: `utlab-<pid of its process>-<count>-<name>`. */
const PREFIX = "utlab";

/** The same for interfaces, where 15 characters must do: `ut-<pid>-<lab>-<count>`, base 36. */
const INTERFACE_PREFIX = "ut-";

/** Where wireguard-go of all namespaces keeps its control sockets; one that is killed leaves its own behind. */
const WIREGUARD_SOCKETS = "/run/wireguard";

let labs = 0;

/**
 * A private piece of internet made of network namespaces, gone without a trace when it is disposed of.
 *
 * Several labs run side by side: every name carries the process id, and all links exist inside the namespaces only.
 * A lab is torn down by `await using`, by SIGINT or SIGTERM, when the process exits in any other way, and, should it
 * be killed, by the next lab of the machine. Nothing needs a bridge to the outside, so nothing can leak into it.
 *
 * Needs root. One thing is changed outside of the namespaces: `cubic` joins the congestion controls that namespaces
 * may use (`net.ipv4.tcp_allowed_congestion_control`), because what most users' kernels do has to be measurable.
 */
export class Lab implements AsyncDisposable {
  /** A folder for keys, configs and recordings, removed with the lab. */
  readonly folder: string;
  readonly #number: number;
  readonly #id: string;
  readonly #namespaces: Namespace[] = [];
  readonly #jobs: Job[] = [];
  readonly #interfaces: string[] = [];
  readonly #onSignal = (signal: NodeJS.Signals) => {
    this.#tearDownNow();
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  readonly #onExit = () => this.#tearDownNow();
  #disposed = false;

  private constructor() {
    labs += 1;
    this.#number = labs;
    this.#id = `${process.pid}-${labs}`;
    this.folder = mkdtempSync(join(tmpdir(), `${PREFIX}-${this.#id}-`));
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
    process.on("exit", this.#onExit);
  }

  static async open(): Promise<Lab> {
    removeLeftovers();
    await allowCubic();
    return new Lab();
  }

  /**
   * A host of its own, with loopback up and the congestion control of most users' machines.
   *
   * @param sysctls what to set inside it beside that, such as `{ "net.ipv4.ip_forward": 1 }`
   */
  async namespace(name: string, sysctls: Record<string, string | number> = {}): Promise<Namespace> {
    const namespace = await Namespace.create(`${PREFIX}-${this.#id}-${name}`, (job) => this.#jobs.push(job));
    this.#namespaces.push(namespace);
    await namespace.sysctl({ "net.ipv4.tcp_congestion_control": "cubic", ...sysctls });
    return namespace;
  }

  /** A cable without delay between two hosts, each address with its prefix length (`10.1.0.1/24`). */
  async cable(a: CableEnd, b: CableEnd): Promise<void> {
    await a.host.ip([`link add ${a.device} type veth peer name ${b.device} netns ${b.host.name}`]);
    for (const end of [a, b])
      await end.host.ip([`addr add ${end.address} dev ${end.device}`, `link set ${end.device} up`]);
  }

  /** A long-distance link between two hosts. */
  async wan(a: Namespace, b: Namespace, options: WanOptions, addresses?: WanAddresses): Promise<WanLink> {
    return await WanLink.open(a, b, options, addresses);
  }

  /** An interface name that is unique on the whole machine, for programs that keep their sockets in one place for all. */
  uniqueInterface(): string {
    const name = `${INTERFACE_PREFIX}${[process.pid, this.#number, this.#interfaces.length].map((part) => part.toString(36)).join("-")}`;
    // The kernel's IFNAMSIZ leaves 15 characters.
    if (name.length > 15) throw new Error(`Interface name ${name} is too long: too many interfaces in one process`);
    this.#interfaces.push(name);
    return name;
  }

  async subfolder(name: string): Promise<string> {
    const path = join(this.folder, name);
    await mkdir(path, { recursive: true });
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed) return;
    // Newest first: what was started on top of something else ends before it.
    for (const job of this.#jobs.reverse()) await job.stop();
    this.#tearDownNow();
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
    process.off("exit", this.#onExit);
  }

  #tearDownNow(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const job of this.#jobs) job.killNow();
    for (const namespace of this.#namespaces) namespace.deleteNow();
    for (const name of this.#interfaces) rmSync(join(WIREGUARD_SOCKETS, `${name}.sock`), { force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface CableEnd {
  host: Namespace;
  device: string;
  address: string;
}

async function allowCubic(): Promise<void> {
  const path = "/proc/sys/net/ipv4/tcp_allowed_congestion_control";
  const allowed = (await Bun.file(path).text()).trim().split(" ");
  if (!allowed.includes("cubic")) await Bun.write(path, [...allowed, "cubic"].join(" "));
}

/** Namespaces, folders and sockets of labs whose process is gone. Their programs died with it. */
function removeLeftovers(): void {
  const orphaned = (name: string) => {
    const pid = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
  };
  for (const name of readEntries("/run/netns").filter(orphaned)) Bun.spawnSync(["ip", "netns", "del", name]);
  for (const name of readEntries(tmpdir()).filter(orphaned))
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  for (const name of readEntries(WIREGUARD_SOCKETS)) {
    const pid = new RegExp(`^${INTERFACE_PREFIX}([0-9a-z]+)-`).exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number.parseInt(pid, 36))) rmSync(join(WIREGUARD_SOCKETS, name), { force: true });
  }
}

function readEntries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // no namespace has ever been made on this machine
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
