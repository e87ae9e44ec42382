import { join } from "node:path";
import { onlyChildOf } from "./child-of.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { runCommand } from "./namespace.ts";

/**
 * A small Linux machine on which the system's own systemd is process 1: own processes, network, mounts and control
 * groups, an /etc with nothing in it but what is said here, and the machine's /usr. Everything else is in memory.
 */
export class SystemdMachine implements AsyncDisposable {
  readonly namespace: Namespace;
  readonly #unshare: Job;
  readonly #pid: number;

  private constructor(namespace: Namespace, unshare: Job, pid: number) {
    this.namespace = namespace;
    this.#unshare = unshare;
    this.#pid = pid;
  }

  /** @param files copied to it, from path to path, with their permissions; of root */
  static async boot(lab: Lab, name: string, files: Readonly<Record<string, string>>): Promise<SystemdMachine> {
    const namespace = await lab.namespace(name);
    const root = await lab.subfolder(`${name}-root`);
    const script = [...machine(root), ...copies(root, files), ...start(root)].join("\n");
    const isolation = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
    const unshare = namespace.start(name, [
      "unshare",
      ...isolation,
      "--cgroup",
      "--uts",
      "--ipc",
      "bash",
      "-euc",
      script,
    ]);
    await unshare.line(/^booting$/);
    // DIES_WITH_PARENT and `ip netns exec` have become `unshare` by then.
    const made = new SystemdMachine(namespace, unshare, onlyChildOf(unshare.pid));
    await made.run(`until systemctl is-active -q ${TARGET}; do sleep 0.05; done`);
    return made;
  }

  /** Runs a shell script on it to its end: its stdout. Throws with what it wrote if a command fails. */
  async run(script: string, timeoutMs = 20_000): Promise<string> {
    const enter = ["nsenter", "--target", String(this.#pid), "--all", "--root", "--wd"];
    return await runCommand([...enter, "env", "-i", PATH, "sh", "-euc", script], { timeoutMs });
  }

  /** What systemd says of a unit: `systemctl show`. */
  async show(unit: string, ...properties: string[]): Promise<Record<string, string>> {
    const text = await this.run(`systemctl show --property=${properties.join(",")} ${unit}`);
    return Object.fromEntries(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s) as [string, string]),
    );
  }

  /** What a unit has written, line by line, its manager's remarks among it. */
  async log(unit: string): Promise<string> {
    return await this.run(`journalctl --sync; journalctl --unit=${unit} --output=cat --no-pager`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#unshare.stop("SIGKILL");
  }
}

const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
/** All that is started at first. */
const TARGET = "lab.target";

function machine(root: string): string[] {
  const devices = ["null", "zero", "full", "random", "urandom", "tty"];
  return [
    `R=${root}`,
    "mount -t tmpfs -o mode=755 tmpfs $R",
    "cd $R",
    "mkdir -p usr etc/systemd/system proc sys dev run var/log var/tmp var/lib root old",
    "mkdir -m 1777 tmp",
    "mount --rbind /usr usr",
    // In its own folder there may be something else, and a unit finds nothing of the machine's own.
    "mount -t tmpfs -o mode=755 tmpfs usr/local",
    "mkdir usr/local/bin",
    "for link in bin sbin lib lib64; do ln -s usr/$link $link; done",
    "cp /etc/ld.so.cache etc/",
    "printf 'root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534:nobody:/:/bin/false\\n' > etc/passwd",
    "printf 'root:x:0:\\nnogroup:x:65534:\\n' > etc/group",
    "printf 'passwd: files systemd\\ngroup: files systemd\\nhosts: files\\n' > etc/nsswitch.conf",
    "echo 0123456789abcdef0123456789abcdef > etc/machine-id",
    "mount -t proc proc proc",
    "mount -t sysfs sysfs sys",
    // As the machine has it: all control groups in one tree, or those of systemd beside others.
    "if [ -f /sys/fs/cgroup/cgroup.controllers ]; then mount -t cgroup2 cgroup2 sys/fs/cgroup; else",
    "  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup",
    "  mkdir sys/fs/cgroup/unified sys/fs/cgroup/systemd",
    "  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified",
    "  mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd",
    "fi",
    "mount -t tmpfs -o mode=755 tmpfs dev",
    "mkdir dev/shm dev/pts",
    "ln -s pts/ptmx dev/ptmx",
    `for device in ${devices.join(" ")}; do touch dev/$device; mount --bind /dev/$device dev/$device; done`,
    "mount -t tmpfs -o mode=755 tmpfs run",
    `printf '[Unit]\\nDefaultDependencies=no\\nRequires=systemd-journald.service\\nAfter=systemd-journald.service\\n' > etc/systemd/system/${TARGET}`,
    // What belongs to hardware, or would configure the network.
    "for unit in systemd-udevd systemd-networkd systemd-resolved; do ln -s /dev/null etc/systemd/system/$unit.service; done",
    // As for what waits for the network: here it is up.
    "ln -s /dev/null etc/systemd/system/network-online.target",
  ];
}

function copies(root: string, files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).flatMap(([to, from]) => {
    const path = join(root, to);
    return [`mkdir -p "$(dirname ${path})"`, `cp -p ${from} ${path}`, `chown root:root ${path}`];
  });
}

/** The root must be the mount namespace's own, and shared, or services could have none of their own. */
function start(root: string): string[] {
  const init = `/lib/systemd/systemd --system --unit=${TARGET} --log-target=journal --show-status=no`;
  const inside = `umount -l /old; rmdir /old; mount --make-rshared /; echo booting; exec ${init}`;
  return [`cd ${root}`, "pivot_root . old", `exec env -i container=lab ${PATH} /bin/sh -c '${inside}'`];
}
