import { describe, test } from "bun:test";
import type { Finished } from "./pki-command.ts";

/** Why openssl cannot judge here, or undefined. */
const PROBLEM = opensslProblem();

/**
 * A `describe` for tests in which the system's openssl is the judge: another TLS library than ours, so agreement means
 * something. Where it cannot they are skipped with the reason in their name; with `CI=true` they fail.
 */
export function describeOpenssl(name: string, body: () => void): void {
  if (PROBLEM === undefined) describe(name, body);
  else if (process.env.CI === "true")
    test(name, () => {
      throw new Error(`Cannot let openssl judge certificates: ${PROBLEM}`);
    });
  else test.skip(`${name} (skipped: ${PROBLEM})`, () => {});
}

function opensslProblem(): string | undefined {
  if (Bun.which("openssl") === null) return "openssl is not installed: apt-get install openssl";
  const version = Bun.spawnSync(["openssl", "version"]).stdout.toString().trim();
  // macOS has LibreSSL under this name, with fewer flags.
  return Number(/^OpenSSL (\d+)\./.exec(version)?.[1]) >= 3 ? undefined : `it takes OpenSSL 3, not ${version}`;
}

export function startOpenssl(words: readonly string[]): Bun.Subprocess<"pipe", "pipe", "pipe"> {
  return Bun.spawn(["openssl", ...words], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
}

export async function openssl(...words: string[]): Promise<Finished> {
  const child = startOpenssl(words);
  child.stdin.end();
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

/** stdout of a call that has to work. */
export async function opensslOutput(...words: string[]): Promise<string> {
  const { out, err, code } = await openssl(...words);
  if (code !== 0) throw new Error(`openssl ${words.join(" ")} ended with ${code}: ${err}`);
  return out;
}

/**
 * What `openssl verify` thinks of one certificate: `ok`, or the numbers of its objections (`X509_V_ERR_*`, with the
 * depth: 0 is the leaf). The texts differ between versions, the numbers do not.
 */
export async function verify(...words: string[]): Promise<"ok" | string[]> {
  const { out, err, code } = await openssl("verify", ...words);
  const objections = [...err.matchAll(/^error (\d+) at (\d+) depth lookup/gm)].map(
    ([, error, depth]) => `${error} at ${depth}`,
  );
  if (code === 0 && objections.length === 0 && /: OK$/m.test(out)) return "ok";
  if (code === 0 || objections.length === 0) throw new Error(`openssl verify ended with ${code}: ${out}${err}`);
  return objections;
}
