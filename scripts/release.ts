/**
 * Makes a release and shows that it works: `npm run release`.
 *
 *     bun run scripts/release.ts                      every target, into dist/release
 *     bun run scripts/release.ts --target linux-x64   some; may be repeated
 *     --out DIR                                       instead of dist/release
 *     --allow-dirty                                   although the tree has changes
 *     --allow-unproven                                although something cannot be run or checked on this machine
 *
 * For each target: builds it in two copies of the tree, which must give the same bytes; proves it (Linux: a tunnel over loopback, in a root
 * with nothing but its C library or under qemu; macOS: a code signature that fits every page); packs it with examples
 * and documents. Then SHA256SUMS over all archives, and a table. Exits with 1 when anything is not as it should be.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { version } from "../package.json";
import { isMachoSignatureValid } from "./macho-signature.ts";
import { proveBinary } from "./prove-binary.ts";
import { runnerFor } from "./release/runners.ts";
import { TARGETS } from "./targets.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Beside the binary, in each archive. */
const COMPANIONS = ["README.md", "CHANGELOG.md", "config", "docs"];
/** What a build reads. */
const SOURCES = ["src", "config", "scripts", "package.json", "tsconfig.json", "node_modules"];

/** Names of different length, in case a path gets into what is built. */
const COPIES = ["one", "and-the-other"] as const;

interface Entry {
  readonly target: string;
  readonly archive: string;
  readonly binaryBytes: number;
  readonly archiveBytes: number;
  readonly sha256: string;
  /** How it was proven; undefined where it could not be. */
  readonly proof: string | undefined;
}

if (import.meta.main) process.exit(await main());

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      target: { type: "string", multiple: true, default: Object.keys(TARGETS) },
      out: { type: "string", default: join(ROOT, "dist/release") },
      "allow-dirty": { type: "boolean", default: false },
      "allow-unproven": { type: "boolean", default: false },
    },
  });
  const commit = await findCommit(values["allow-dirty"]);
  if (commit === undefined) return 1;
  if (!isOurs(values.out)) {
    console.error(`Cannot release into ${values.out}: it holds other things than a release, and would be emptied`);
    return 1;
  }
  console.log(`ut ${version}, commit ${commit}: ${values.target.join(", ")}`);
  rmSync(values.out, { recursive: true, force: true });
  mkdirSync(values.out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "ut-release-"));
  try {
    // The second one of the first, lest somebody edits the tree meanwhile.
    const [one, other] = COPIES;
    for (const source of SOURCES) cpSync(join(ROOT, source), join(work, one, source), { recursive: true });
    cpSync(join(work, one), join(work, other), { recursive: true });
    const entries: Entry[] = [];
    for (const target of values.target) entries.push(await release(target, commit, work, values.out));
    const sums = entries.map(({ sha256, archive }) => `${sha256}  ${archive}\n`).join("");
    await Bun.write(join(values.out, "SHA256SUMS"), sums);
    console.log(`\n${table(entries)}\n\n${join(values.out, "SHA256SUMS")}`);
    const unproven = entries.filter(({ proof }) => proof === undefined);
    return unproven.length === 0 || values["allow-unproven"] ? 0 : 1;
  } catch (error) {
    console.error(`FAILED  ${(error as Error).message}`);
    return 1;
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** Whether a folder may be emptied: an earlier release, whole or not, or nothing. */
function isOurs(folder: string): boolean {
  if (!existsSync(folder)) return true;
  return readdirSync(folder).every((name) => name === "SHA256SUMS" || /^ut-.*\.tar\.gz$/.test(name));
}

/** HEAD; undefined, with the reason on stderr, where a release of this tree could never be made again. */
async function findCommit(allowDirty: boolean): Promise<string | undefined> {
  const git = async (...args: string[]) => (await Bun.$`git -C ${ROOT} ${args}`.quiet().nothrow()).text().trim();
  const commit = process.env.UT_COMMIT || (await git("rev-parse", "--short=12", "HEAD"));
  const changes = process.env.UT_COMMIT ? "" : await git("status", "--porcelain");
  if (commit !== "" && changes === "") return commit;
  if (allowDirty) return `${commit || "unknown"}-dirty`;
  console.error(
    commit === ""
      ? "Cannot release: no git repository; UT_COMMIT names the commit"
      : "Cannot release: the tree has changes; commit them, or give --allow-dirty",
  );
  return undefined;
}

async function release(target: string, commit: string, work: string, out: string): Promise<Entry> {
  const [one, other] = COPIES;
  const binary = await build(target, commit, join(work, one));
  if ((await hashOf(await build(target, commit, join(work, other)))) !== (await hashOf(binary)))
    throw new Error(`${target}: a build of the same tree in another folder has other bytes`);
  say(target, "built twice, the same bytes");
  const proof = await prove(target, binary).catch((error: Error) => {
    if (error instanceof Unprovable) say(target, `NOT PROVEN: ${error.message}`);
    else throw new Error(`${target}: ${error.message}`);
    return undefined;
  });
  if (proof !== undefined) say(target, proof);
  const archive = await pack(target, binary, work, out);
  const path = join(out, archive);
  say(target, `packed: ${archive}`);
  return {
    target,
    archive,
    binaryBytes: statSync(binary).size,
    archiveBytes: statSync(path).size,
    sha256: await hashOf(path),
    proof,
  };
}

function say(target: string, what: string): void {
  console.log(`${target.padEnd(16)}  ${what}`);
}

async function build(target: string, commit: string, tree: string): Promise<string> {
  await run([process.execPath, join(tree, "scripts/build.ts"), "--target", target], { UT_COMMIT: commit });
  return join(tree, "dist", `ut-${target}`);
}

/** This machine lacks something that the proof needs; the binary may be good. */
class Unprovable extends Error {}

async function prove(target: string, binary: string): Promise<string> {
  if (target.startsWith("darwin-")) {
    if (!isMachoSignatureValid(await Bun.file(binary).bytes())) throw new Error("no code signature that fits");
    return "code signature fits every page (ad hoc)";
  }
  using runner = await runnerFor(target, binary).catch((error: Error) => {
    throw new Unprovable(error.message);
  });
  await proveBinary(runner.command, () => {});
  return `carries datagrams, ${runner.how}`;
}

/** The same bytes for the same contents, whoever packs them and when. */
async function pack(target: string, binary: string, work: string, out: string): Promise<string> {
  const name = `ut-${version}-${target}`;
  const folder = join(work, name);
  mkdirSync(folder);
  cpSync(binary, join(folder, "ut"));
  for (const companion of COMPANIONS) cpSync(join(ROOT, companion), join(folder, companion), { recursive: true });
  const neutral = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=u+rw,go=rX"];
  const archive = `${name}.tar.gz`;
  // gzip would write the time and the name.
  await run(["tar", ...neutral, "--use-compress-program=gzip -n", "-cf", join(out, archive), "-C", work, name], {});
  rmSync(folder, { recursive: true });
  return archive;
}

async function run(command: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const child = Bun.spawn([...command], { env: { ...process.env, ...env }, stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}\n${out}${err}`);
}

async function hashOf(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}

function table(entries: readonly Entry[]): string {
  const size = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const rows = entries.map(({ target, binaryBytes, archiveBytes, sha256, proof }) => [
    target,
    size(binaryBytes),
    size(archiveBytes),
    sha256.slice(0, 12),
    proof ?? "NOT PROVEN on this machine",
  ]);
  const all = [["target", "binary", "archive", "SHA-256", "proof"], ...rows];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
