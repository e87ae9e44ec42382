import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MAIN = join(import.meta.dir, "../../../src/main.ts");

async function ut(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([process.execPath, MAIN, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

test("a command that nobody knows is told the one that was meant, where there is one", async () => {
  expect(await ut("statsu")).toEqual({
    code: 2,
    out: "",
    err: `ut: Unknown command "statsu"; ut --help lists them; did you mean "status"\n`,
  });
  expect((await ut("frobnicate")).err).toBe(`ut: Unknown command "frobnicate"; ut --help lists them\n`);
});

test("a file of another role is told how to run it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ut-cli-"));
  const path = join(folder, "ut.yaml");
  await writeFile(path, "role: server\ntls: { ca_cert: a, cert: b, key: c }\n");
  expect(await ut("agent", "-config", path)).toEqual({
    code: 2,
    out: "",
    err: `ut: Cannot run ${path} as agent: its role is server; "ut -config ${path}" runs what it says\n`,
  });
  await rm(folder, { recursive: true });
});
