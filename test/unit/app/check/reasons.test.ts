import { expect, test } from "bun:test";
import { join } from "node:path";
import { Glob } from "bun";
import { CHECKS } from "../../../../src/app/check/checks.ts";

/** docs/check.md names every check and every reason that there is, and no other. */
const ROOT = join(import.meta.dir, "../../../..");
const document = await Bun.file(join(ROOT, "docs/check.md")).text();

function firstColumn(heading: string): string[] {
  const section = document.split(`## ${heading}\n`)[1]?.split(/^## /m)[0] ?? "";
  const cells = section.split("\n").flatMap((line) => /^\| ([^|]*`[^|]*) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? "")).sort();
}

test("every check, in the table's order", () => {
  const names = CHECKS.map(({ name }) => name).sort();
  expect(firstColumn("What is looked at")).toEqual(names);
});

test("every reason", async () => {
  const reasons = new Set<string>(["config.unreadable", "config.syntax", "config.invalid"]);
  for (const path of new Glob("src/app/check/*.ts").scanSync(ROOT)) {
    const source = await Bun.file(join(ROOT, path)).text();
    for (const [, reason] of source.matchAll(/\b(?:trouble|warning|failed)\(\s*"([a-z0-9-]+)"/g))
      reasons.add(reason ?? "");
    // The two that are made of the name of a congestion control.
    for (const [, made] of source.matchAll(/`(\$\{missing\}-not-allowed|no-\$\{missing\})`/g))
      for (const name of ["bbr", "cubic"]) reasons.add((made ?? "").replace(/\$\{missing\}/, name));
  }
  const credentials = await Bun.file(join(ROOT, "src/io/pki/credential-checks.ts")).text();
  const union = /export type CredentialReason =([^;]+);/.exec(credentials)?.[1] ?? "";
  for (const [, reason] of union.matchAll(/"([a-z-]+)"/g)) reasons.add(reason ?? "");
  for (const [, reason] of credentials.matchAll(/"((?:ca-)?ends-soon)"/g)) reasons.add(reason ?? "");
  expect(firstColumn("Reasons")).toEqual([...reasons].sort());
});
