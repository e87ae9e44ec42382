import { expect, test } from "bun:test";
import { join } from "node:path";
import type { BenchReport } from "../../src/app/bench/bench.ts";

const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

test("ut bench measures both paths and loses nothing", async () => {
  const child = Bun.spawn([...UT, "bench", "--seconds", "1", "--json"], { stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect({ err, code }).toEqual({ err: "", code: 0 });
  const report: BenchReport = JSON.parse(out);
  expect(report.paths.map(({ path }) => path)).toEqual(["forwarder", "ut"]);
  for (const { saturated, light, half } of report.paths) {
    // The window is below any receive buffer; what is paced may meet a machine that is busy with something else.
    expect({ sent: saturated.sent, back: saturated.back }).toEqual({ sent: saturated.sent, back: saturated.sent });
    expect(saturated.back).toBeGreaterThan(1_000);
    expect(light.back).toBeGreaterThan(100);
    expect(half.back).toBeGreaterThan(0.9 * half.sent);
    expect(saturated.cpuSeconds).toBeGreaterThan(0);
  }
}, 60_000);

test("interrupted, it ends at once with 130 and takes its processes along", async () => {
  const child = Bun.spawn([...UT, "bench", "--seconds", "600"], { stdout: "pipe", stderr: "pipe" });
  const reader = child.stdout.getReader();
  await reader.read();
  const children = descendants(child.pid);
  expect(children).toHaveLength(4);
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(children.filter(isAlive)).toEqual([]);
}, 60_000);

function descendants(pid: number): number[] {
  const { stdout } = Bun.spawnSync(["pgrep", "-P", `${pid}`]);
  return stdout.toString().trim().split(/\s+/).map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
