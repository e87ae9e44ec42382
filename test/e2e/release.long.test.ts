import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../package.json";
import { describeWith } from "./support/describe-with.ts";

/** `npm run release`, for the targets that are quick to prove; test/e2e/build.test.ts has arm64, under qemu. */
const SCRIPT = join(import.meta.dir, "../../scripts/release.ts");

describeWith(["apt-get", "pip"], "a release", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ut-release-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function release(...flags: string[]): Promise<{ code: number; out: string; err: string }> {
    const command = [process.execPath, SCRIPT, "--out", folder, ...flags];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  }

  test("is proven, packed and summed up, and every archive is what the sums say", async () => {
    const targets = ["linux-x64", "linux-x64-musl", "darwin-x64"];
    const { code, out, err } = await release("--allow-dirty", ...targets.flatMap((target) => ["--target", target]));
    expect({ code, err }).toEqual({ code: 0, err: "" });
    const proofs = Object.fromEntries(
      [...out.matchAll(/^(\S+) +\d+ MB +\d+ MB +[0-9a-f]{12} +(.*)$/gm)].map(([, ...row]) => row),
    );
    expect(proofs).toEqual({
      "linux-x64": "carries datagrams, in a root with glibc only",
      "linux-x64-musl": "carries datagrams, in a root with musl only",
      "darwin-x64": "code signature fits every page (ad hoc)",
    });

    const archives = targets.map((target) => `ut-${version}-${target}.tar.gz`);
    expect(readdirSync(folder).sort()).toEqual(["SHA256SUMS", ...archives].sort());
    const check = Bun.spawnSync(["sha256sum", "-c", "SHA256SUMS"], { cwd: folder });
    expect(check.stdout.toString()).toBe(archives.map((archive) => `${archive}: OK\n`).join(""));
    const list = Bun.spawnSync(["tar", "-tvzf", join(folder, archives[0] ?? "")]).stdout.toString();
    expect(list).toMatch(new RegExp(`^-rwxr-xr-x 0/0 .* 1970-01-01 .* ut-${version}-linux-x64/ut$`, "m"));
    for (const file of ["README.md", "config/client.yaml", "config/grafana/ut-dashboard.json", "docs/operating.md"])
      expect(list).toContain(`/${file}\n`);
  }, 300_000);

  test("empties no folder of other things", async () => {
    const other = mkdtempSync(join(tmpdir(), "ut-other-"));
    writeFileSync(join(other, "thesis.txt"), "");
    const { code, err } = await release("--allow-dirty", "--out", other);
    const left = readdirSync(other);
    rmSync(other, { recursive: true });
    expect({ code, err, left }).toEqual({
      code: 1,
      err: `Cannot release into ${other}: it holds other things than a release, and would be emptied\n`,
      left: ["thesis.txt"],
    });
  });

  test("of what nobody knows is refused", async () => {
    const { code, err } = await release("--allow-dirty", "--target", "plan9-mips");
    expect(code).toBe(1);
    expect(err).toContain('Cannot build for "plan9-mips": known are linux-arm64');
  });
});
