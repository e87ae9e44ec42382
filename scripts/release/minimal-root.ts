import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * Root file systems with nothing in them but the C library that a binary needs, for proving that it needs no more.
 * Each is filled in `folder`, which must exist.
 */

export type Architecture = "x64" | "arm64";

const MUSL = {
  x64: { debian: "amd64", machine: "x86_64" },
  arm64: { debian: "arm64", machine: "aarch64" },
} as const;

/** musl links against libstdc++ of its own kind; this wheel carries it, since its compiled code needs it, too. */
const WHEEL = "kiwisolver==1.4.8";

/** glibc as this machine has it: what the loader names for `binary`. */
export async function glibcRoot(binary: string, folder: string): Promise<void> {
  const { stdout } = Bun.spawnSync(["ldd", binary]);
  const libraries = [...stdout.toString().matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path ?? "");
  if (libraries.length === 0) throw new Error(`Cannot tell which libraries ${binary} needs`);
  for (const library of libraries) {
    mkdirSync(join(folder, dirname(library)), { recursive: true });
    copyFileSync(library, join(folder, library));
  }
}

/**
 * musl of Debian 13 (1.2.5; the 1.2.3 of Debian 12 is too old for these libraries' relocations) and libstdc++ of a
 * musllinux wheel, through `apt-get` and `pip`. Throws where either is missing or answers with less.
 */
export async function muslRoot(architecture: Architecture, folder: string): Promise<void> {
  const { debian, machine } = MUSL[architecture];
  const downloads = join(folder, "downloads");
  mkdirSync(downloads);
  await downloadMusl(debian, downloads);
  await run(
    [
      "pip",
      "download",
      "--quiet",
      "--no-deps",
      "--only-binary=:all:",
      `--platform=musllinux_1_2_${machine}`,
      "--python-version=3.12",
      WHEEL,
    ],
    downloads,
  );
  await run(["python3", "-m", "zipfile", "-e", fileIn(downloads, /\.whl$/), "wheel"], downloads);

  const lib = join(folder, "lib");
  mkdirSync(lib);
  const loader = `ld-musl-${machine}.so.1`;
  copyFileSync(join(downloads, "deb/usr/lib", `${machine}-linux-musl`, "libc.so"), join(lib, loader));
  symlinkSync(loader, join(lib, `libc.musl-${machine}.so.1`));
  const libraries = join(downloads, "wheel/kiwisolver.libs");
  for (const [pattern, name] of [
    [/^libstdc\+\+/, "libstdc++.so.6"],
    [/^libgcc_s/, "libgcc_s.so.1"],
  ] as const) {
    const file = fileIn(libraries, pattern);
    copyFileSync(join(libraries, file), join(lib, file));
    symlinkSync(basename(file), join(lib, name));
  }
}

/** `apt-get download` from Debian 13, with lists of its own, so that the machine's stay as they are. */
async function downloadMusl(architecture: string, folder: string): Promise<void> {
  const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
  if (!existsSync(keyring)) throw new Error(`Cannot get musl: this is no Debian (no ${keyring})`);
  const sources = join(folder, "sources.list");
  writeFileSync(sources, `deb [signed-by=${keyring}] http://deb.debian.org/debian trixie main\n`);
  for (const path of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(folder, path), { recursive: true });
  const settings = {
    "APT::Architecture": architecture,
    "APT::Architectures": architecture,
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Dir::Etc::SourceList": sources,
    "Dir::Etc::SourceParts": "-",
    "Dir::State::Lists": join(folder, "lists"),
    "Dir::Cache": join(folder, "cache"),
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  await run(["apt-get", "-qq", ...options, "update"], folder);
  await run(["apt-get", "-qq", ...options, "download", "musl"], folder);
  await run(["dpkg-deb", "-x", fileIn(folder, /^musl_.*\.deb$/), "deb"], folder);
}

function fileIn(folder: string, pattern: RegExp): string {
  const found = readdirSync(folder).find((name) => pattern.test(name));
  if (found === undefined) throw new Error(`Cannot find ${pattern} in ${folder}`);
  return found;
}

async function run(command: readonly string[], cwd: string): Promise<void> {
  if (Bun.which(command[0] ?? "") === null) throw new Error(`Cannot find ${command[0]}`);
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`Cannot run ${command.join(" ")}: exit ${code}\n${out}${err}`);
}
