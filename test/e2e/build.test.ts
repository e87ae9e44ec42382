import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json";
import { isMachoSignatureValid, signMacho } from "../../scripts/macho-signature.ts";
import { arm64Command, DEBIAN_PACKAGES } from "../../scripts/prove-arm64.ts";
import { proveBinary } from "../../scripts/prove-binary.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
/** Builds may have to fetch a runtime, and emulated processes take seconds to start. */
const SLOW_MS = 300_000;

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ut-build-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function build(...args: string[]): Promise<void> {
  const script = join(ROOT, "scripts/build.ts");
  // Without UT_COMMIT, as a developer runs it; from elsewhere, since the script knows where the project is.
  const env = { ...process.env, UT_COMMIT: "" };
  const child = Bun.spawn([process.execPath, script, "--out", folder, ...args], {
    cwd: folder,
    env,
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`build ${args.join(" ")} ended with ${code}\n${output}`);
}

function git(...args: string[]): string {
  return Bun.spawnSync(["git", "-C", ROOT, ...args])
    .stdout.toString()
    .trim();
}

test(
  "the binary for this machine knows what it is and carries datagrams",
  async () => {
    await build();
    const ut = join(folder, "ut");
    const version = JSON.parse(Bun.spawnSync([ut, "version", "--json"]).stdout.toString());
    expect(version).toEqual({
      version: packageJson.version,
      commit: expect.stringMatching(new RegExp(`^${git("rev-parse", "--short=12", "HEAD")}(-dirty)?$`)),
      bun: Bun.version,
      platform: `${process.platform}-${process.arch}`,
    });
    await proveBinary([ut], () => {});
  },
  SLOW_MS,
);

test("the binary takes nothing from the folder it is started in", async () => {
  const cwd = join(folder, "hostile");
  mkdirSync(cwd);
  await Bun.write(join(cwd, "evil.ts"), 'await Bun.write("evil-was-here", "");');
  await Bun.write(join(cwd, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  await Bun.write(join(cwd, ".env"), "BUN_CONFIG_VERBOSE_FETCH=curl\n");
  await Bun.write(join(cwd, "package.json"), '{"version": "6.6.6"}');
  const { stdout, stderr } = Bun.spawnSync([join(folder, "ut"), "version", "--json"], { cwd });
  expect(JSON.parse(stdout.toString()).version).toBe(packageJson.version);
  expect(stderr.toString()).toBe("");
  expect(existsSync(join(cwd, "evil-was-here"))).toBe(false);
});

test(
  "builds for others come with checksums, and macOS ones with a signature that fits",
  async () => {
    await build("--target", "linux-arm64", "--target", "darwin-arm64", "--target", "darwin-x64");
    const names = ["ut-linux-arm64", "ut-darwin-arm64", "ut-darwin-x64"];
    const check = Bun.spawnSync(["sha256sum", "-c", "SHA256SUMS"], { cwd: folder });
    expect(check.stdout.toString()).toBe(names.map((name) => `${name}: OK\n`).join(""));
    expect(existsSync(join(folder, "ut-linux-arm64.map"))).toBe(false);

    for (const name of ["ut-darwin-arm64", "ut-darwin-x64"]) {
      const file = await Bun.file(join(folder, name)).bytes();
      expect([name, isMachoSignatureValid(file)]).toEqual([name, true]);
      file[50_000_000]! ^= 1;
      expect(isMachoSignatureValid(file)).toBe(false);
      expect(isMachoSignatureValid(signMacho(file, "ut"))).toBe(true);
    }
  },
  SLOW_MS,
);

const emulated = arm64Command(join("/", "nowhere")) !== undefined;
// A user's machine may lack the emulator; where everything must be shown, its absence is a failure.
test.skipIf(!emulated && !process.env.CI)(
  `the arm64 binary carries datagrams under qemu (needs ${DEBIAN_PACKAGES})`,
  async () => {
    const command = arm64Command(join(folder, "ut-linux-arm64"));
    if (command === undefined) throw new Error(`Cannot run arm64 binaries here: install ${DEBIAN_PACKAGES}`);
    await proveBinary(command, () => {});
  },
  SLOW_MS,
);

test("a target that nobody knows is refused with those that exist", async () => {
  expect(build("--target", "plan9-mips")).rejects.toThrow(
    'Cannot build for "plan9-mips": known are linux-arm64, linux-x64, darwin-arm64, darwin-x64, linux-x64-musl, linux-arm64-musl',
  );
});
