import { expect, test } from "bun:test";
import { join } from "node:path";
import { withTables } from "../../scripts/operating-tables.ts";
import { keyPaths } from "../../src/config/json-schema.ts";

const path = join(import.meta.dir, "../../docs/operating.md");

test("the tables of docs/operating.md are what `bun run scripts/operating-tables.ts` writes", async () => {
  const text = await Bun.file(path).text();
  expect(await withTables(text)).toBe(text);
});

test("they have every key of a config", async () => {
  const text = await Bun.file(path).text();
  const leaves = keyPaths().filter(
    (one) => !keyPaths().some((other) => other.length > one.length && one.every((key, index) => other[index] === key)),
  );
  expect(leaves.map((key) => key.join(".")).filter((key) => !text.includes(`| \`${key}\``))).toEqual([]);
});
