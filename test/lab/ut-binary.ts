import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { runCommand } from "./namespace.ts";

const ROOT = join(import.meta.dir, "../..");

/**
 * The path of `dist/ut`, built first when it is missing or older than what it is made of. `UT_BINARY` names another
 * one, such as a released binary that is to be put to the same tests.
 */
export async function utBinary(): Promise<string> {
  if (process.env.UT_BINARY) return process.env.UT_BINARY;
  const binary = join(ROOT, "dist/ut");
  const built = existsSync(binary) ? statSync(binary).mtimeMs : 0;
  const sources = ["package.json", "bun.lock", ...new Glob("src/**/*").scanSync(ROOT)];
  const stale = sources.some((path) => statSync(join(ROOT, path)).mtimeMs > built);
  if (stale) await runCommand([process.execPath, "run", join(ROOT, "scripts/build.ts")], { timeoutMs: 120_000 });
  return binary;
}
