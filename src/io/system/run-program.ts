/** How a program of the system ended. */
export interface ProgramResult {
  readonly code: number;
  /** What it wrote, both streams. */
  readonly output: string;
}

/** Runs it to its end. Rejects with the system's error where there is none of this name. */
export async function runProgram(command: readonly string[]): Promise<ProgramResult> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, output: out + err };
}
