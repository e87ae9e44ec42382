import { readdir } from "node:fs/promises";

/** How long the machine is watched before a benchmark. */
const WATCH_MS = 400;
/** More than this of all cores, spent by others, bends the results. */
const BUSY_PERCENT = 15;

/** A sentence about who else uses the machine right now, with pids; undefined when it is idle enough to measure. */
export async function busyWarning(): Promise<string | undefined> {
  const before = await readTicks();
  await Bun.sleep(WATCH_MS);
  const after = await readTicks();
  const spent = [...after]
    .map(([pid, { name, ticks }]) => ({ pid, name, ticks: ticks - (before.get(pid)?.ticks ?? ticks) }))
    .filter(({ pid, ticks }) => ticks > 0 && pid !== process.pid)
    .sort((one, other) => other.ticks - one.ticks);
  // A tick is 1/100 s of one core (proc(5)).
  const available = (WATCH_MS / 10) * navigator.hardwareConcurrency;
  const percent = (100 * spent.reduce((sum, { ticks }) => sum + ticks, 0)) / available;
  if (percent < BUSY_PERCENT) return undefined;
  const names = spent.slice(0, 4).map(({ pid, name }) => `${name} (pid ${pid})`);
  return `the machine is ${percent.toFixed(0)} % busy with ${names.join(", ")}: the figures will be worse than they should be`;
}

async function readTicks(): Promise<Map<number, { name: string; ticks: number }>> {
  const ticks = new Map<number, { name: string; ticks: number }>();
  for (const entry of await readdir("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await Bun.file(`/proc/${entry}/stat`)
      .text()
      .catch(() => undefined); // it has ended since the listing
    const [, name = "", rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(stat ?? "") ?? [];
    const fields = rest.split(" ");
    if (name !== "") ticks.set(Number(entry), { name, ticks: Number(fields[11]) + Number(fields[12]) });
  }
  return ticks;
}
