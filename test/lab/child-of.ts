import { readFileSync } from "node:fs";

/** The one child of a process, as its parent's process ids have it: what `unshare --fork` runs. */
export function onlyChildOf(pid: number): number {
  const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim());
  if (!(child > 0)) throw new Error(`Cannot find the child of ${pid}`);
  return child;
}
