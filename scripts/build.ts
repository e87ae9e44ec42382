/**
 * Compile `ut` into one file with Bun inside.
 *
 *     bun run scripts/build.ts                     dist/ut for this machine
 *     bun run scripts/build.ts --target linux-x64  dist/ut-linux-x64 and dist/SHA256SUMS; may be repeated
 *     bun run scripts/build.ts --all               every target, and dist/SHA256SUMS
 *     --out DIR                                    instead of dist
 *
 * The runtimes of other platforms come from the npm registry, once. The commit is asked of git, or given in UT_COMMIT
 * where there is no repository (Docker).
 */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isMachoSignatureValid, signMacho } from "./macho-signature.ts";
import { TARGETS, type Target } from "./targets.ts";

const ROOT = new URL("..", import.meta.url).pathname;

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      all: { type: "boolean", default: false },
      target: { type: "string", multiple: true, default: [] },
      out: { type: "string", default: join(ROOT, "dist") },
    },
  });
  const targets = values.all ? (Object.keys(TARGETS) as Target[]) : values.target.map(parseTarget);
  const out = resolve(values.out);
  mkdirSync(out, { recursive: true });
  // Bun names sources as they are seen from here; a build must be the same wherever it is started.
  process.chdir(ROOT);
  const commit = await findCommit();

  const files: string[] = [];
  for (const target of targets.length > 0 ? targets : [undefined]) {
    const name = target === undefined ? "ut" : `ut-${target}`;
    await compile(join(out, name), commit, target);
    files.push(name);
  }
  if (targets.length > 0) await writeChecksums(out, files);
}

/** Also under the names that Docker has for the two architectures. */
function parseTarget(text: string): Target {
  const name = text.replace(/-amd64\b/, "-x64");
  if (name in TARGETS) return name as Target;
  console.error(`Cannot build for "${text}": known are ${Object.keys(TARGETS).join(", ")}`);
  process.exit(2);
}

/**
 * Measured on `ut version`: bytecode takes its start from 56 to 29 ms, splitting to 8 ms, because what is imported when
 * wanted is then loaded when wanted; minifying changes neither that nor the RSS, and would cost the names in stack
 * traces. So bytecode, splitting, and source maps instead of minifying.
 */
async function compile(outfile: string, commit: string, target: Target | undefined): Promise<void> {
  const started = performance.now();
  // What failed half-way must not look like a build, and Bun leaves copies of all source maps beside what it makes.
  rmSync(outfile, { force: true });
  const folder = mkdtempSync(join(dirname(outfile), ".build-"));
  const made = join(folder, basename(outfile));
  const define: Record<string, string> = {
    UT_COMMIT: JSON.stringify(commit),
    // Packages find workers beside themselves by it, which nobody starts here; their folder on the machine that builds
    // would make each machine's binary another one.
    __dirname: JSON.stringify("/"),
  };
  if (target !== undefined) define.UT_PLATFORM = JSON.stringify(target);
  try {
    const result = await Bun.build({
      entrypoints: [join(ROOT, "src/main.ts")],
      // A .env or bunfig.toml in whatever folder `ut` is started in is none of its business; the latter could run code.
      compile: {
        outfile: made,
        autoloadDotenv: false,
        autoloadBunfig: false,
        // node:quic says on stderr, once, that it is experimental, which is for us to know.
        execArgv: ["--no-warnings"],
        ...(target !== undefined && { target: TARGETS[target] }),
      },
      target: "bun",
      format: "esm",
      bytecode: true,
      splitting: true,
      sourcemap: "linked",
      define,
    });
    for (const message of result.logs) console.error(message.message);
    renameSync(made, outfile);
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (target?.startsWith("darwin-")) await ensureSigned(outfile);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${outfile}  ${(statSync(outfile).size / 1e6).toFixed(0)} MB  ${commit}  ${seconds} s`);
}

/** Of the two macOS targets Bun signs only arm64. */
async function ensureSigned(path: string): Promise<void> {
  const file = await Bun.file(path).bytes();
  if (isMachoSignatureValid(file)) return;
  const signed = signMacho(file, "ut");
  if (!isMachoSignatureValid(signed)) throw new Error(`Cannot sign ${path}: the new signature is not valid either`);
  await Bun.write(path, signed);
  chmodSync(path, 0o755);
}

/** Twelve digits of HEAD, `-dirty` when tracked files differ from it. */
async function findCommit(): Promise<string> {
  const given = process.env.UT_COMMIT;
  if (given) return given;
  const git = async (...args: string[]) =>
    (await Bun.$`git -C ${ROOT} ${args}`.quiet().nothrow()).stdout.toString().trim();
  const commit = await git("rev-parse", "--short=12", "HEAD");
  if (commit === "") return "unknown";
  const changes = await git("status", "--porcelain", "--untracked-files=no");
  return changes === "" ? commit : `${commit}-dirty`;
}

/** In the format of `sha256sum -c SHA256SUMS`. */
async function writeChecksums(folder: string, files: readonly string[]): Promise<void> {
  let sums = "";
  for (const file of files) {
    const hash = new Bun.CryptoHasher("sha256");
    for await (const chunk of Bun.file(join(folder, file)).stream()) hash.update(chunk);
    sums += `${hash.digest("hex")}  ${file}\n`;
  }
  await Bun.write(join(folder, "SHA256SUMS"), sums);
  console.log(join(folder, "SHA256SUMS"));
}
