/** A tool of the system answers at once, or is left alone. */
const TIMEOUT_MS = 3_000;

/** Standard output of a tool of the system; undefined where there is none, or it fails. */
export async function outputOf(command: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    const env = { ...process.env, LC_ALL: "C" };
    const child = Bun.spawn([...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      env,
      timeout: TIMEOUT_MS,
    });
    const text = await child.stdout.text();
    return (await child.exited) === 0 ? text : undefined;
  } catch {
    return undefined;
  }
}
