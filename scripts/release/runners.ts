import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { arm64Command, DEBIAN_PACKAGES } from "../prove-arm64.ts";
import { type Architecture, glibcRoot, muslRoot } from "./minimal-root.ts";

/** A way to run a binary here: the command in front of its arguments, and what it shows. */
export interface Runner extends Disposable {
  readonly command: readonly string[];
  /** For the table: `natively`, `qemu`, … */
  readonly how: string;
}

/**
 * How a Linux binary can be run on this machine, so that it meets nothing but the C library that it is made for. Throws
 * what is missing.
 */
export async function runnerFor(target: string, binary: string): Promise<Runner> {
  const [system, architecture, libc] = target.split("-");
  if (system !== "linux") throw new Error(`this is no ${system}`);
  const isNative = architecture === process.arch;
  if (libc === undefined && !isNative) return foreignGlibc(binary);
  const folder = mkdtempSync(join(tmpdir(), "ut-root-"));
  try {
    if (libc === "musl") await muslRoot(architecture as Architecture, folder);
    else await glibcRoot(binary, folder);
    return isNative ? inRoot(binary, folder, libc ?? "glibc") : underQemu(binary, folder);
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}

function foreignGlibc(binary: string): Runner {
  const command = arm64Command(binary);
  if (command === undefined) throw new Error(`apt-get install ${DEBIAN_PACKAGES}`);
  return { command, how: "under qemu", [Symbol.dispose]() {} };
}

function underQemu(binary: string, root: string): Runner {
  const qemu = Bun.which("qemu-aarch64");
  if (qemu === null) throw new Error(`apt-get install ${DEBIAN_PACKAGES}`);
  return { command: [qemu, "-L", root, binary], how: "under qemu, in a musl root", ...removing(root) };
}

/** A root with the C library, /proc, two devices and the current folder; as nobody. One process all the way. */
function inRoot(binary: string, root: string, libc: string): Runner {
  if (process.getuid?.() !== 0) throw new Error("a root of its own takes root's rights");
  for (const path of ["proc", "dev", "work", "bin"]) mkdirSync(join(root, path), { recursive: true });
  chmodSync(root, 0o755);
  const script = `cd "$1"; shift
mount --rbind /proc proc
for device in null urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
touch bin/ut; mount --bind "$1" bin/ut; shift
chown 65534 "$OLDPWD"; mount --bind "$OLDPWD" work
exec unshare --root=. --wd=/work --setuid=65534 --setgid=65534 /bin/ut "$@"`;
  const isolation = ["unshare", "--mount", "--propagation", "private"];
  return {
    command: [...isolation, "sh", "-euc", script, "sh", root, binary],
    how: `in a root with ${libc} only`,
    ...removing(root),
  };
}

function removing(root: string): Disposable {
  return {
    [Symbol.dispose]() {
      if (existsSync(root)) rmSync(root, { recursive: true });
    },
  };
}
