import { unlessAborted } from "../../io/unless-aborted.ts";
import type { Check } from "./check.ts";
import type { Finding } from "./finding.ts";
import type { Scene } from "./scene.ts";

/** A finding with the name of its check. */
export type Told = Finding & { readonly check: string };

export interface CheckWatcher {
  /** The findings of one check, in the table's order. */
  told(findings: readonly Told[]): void;
  /** What is waited for. */
  waiting(doing: string): void;
}

/**
 * Runs all checks at the same time, as some wait for the network, and tells what they found in the order of the table.
 * Rejects with the signal's reason.
 */
export async function runChecks(checks: readonly Check[], scene: Scene, watcher: CheckWatcher): Promise<Told[]> {
  const running = checks.map((check) => ({ check, findings: check.run(scene) }));
  // One that fails early is told of in its turn.
  for (const { findings } of running) findings.catch(() => {});
  const all: Told[] = [];
  for (const { check, findings } of running) {
    watcher.waiting(check.doing);
    await unlessAborted(findings, scene.signal);
    scene.signal.throwIfAborted();
    const told = (await findings).map((finding) => ({ check: check.name, ...finding }));
    watcher.told(told);
    all.push(...told);
  }
  return all;
}
