import { mkdir, rename } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";

/**
 * The path of one of the lab's C programs, compiled when its source is new.
 *
 * Binaries live in a cache folder of the user under the hash of their source, so that several labs can start at once
 * and an edit never meets an old binary.
 */
export async function nativeTool(name: "wan-link" | "pulse"): Promise<string> {
  const source = join(import.meta.dir, `${name}.c`);
  const hash = Bun.hash(await Bun.file(source).bytes()).toString(36);
  const folder = join(tmpdir(), `ut-lab-cache-${userInfo().uid}`);
  const binary = join(folder, `${name}-${hash}`);
  if (await Bun.file(binary).exists()) return binary;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${binary}.${process.pid}`;
  const gcc = Bun.spawn(["gcc", "-O2", "-Wall", "-Wextra", "-o", fresh, source], { stderr: "pipe", stdout: "ignore" });
  const complaints = await new Response(gcc.stderr).text();
  if ((await gcc.exited) !== 0) throw new Error(`Cannot compile ${source}: ${complaints.trim()}`);
  await rename(fresh, binary);
  return binary;
}
