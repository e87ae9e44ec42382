import { describe, test } from "bun:test";
import { labProblem } from "./lab-problem.ts";

/**
 * A `describe` for tests that need network namespaces. Where they cannot run, a user sees them skipped with the reason
 * in their name; with `CI=true` they fail instead, because a gate that silently tests less is no gate.
 */
export function describeLab(name: string, body: () => void): void {
  const problem = labProblem();
  if (problem === undefined) describe(name, body);
  else if (process.env.CI === "true")
    test(name, () => {
      throw new Error(`Cannot build the lab that CI must run: ${problem}`);
    });
  else test.skip(`${name} (skipped: ${problem})`, () => {});
}
