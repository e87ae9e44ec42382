import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UtError } from "../../../../src/core/error.ts";
import { createFile, replaceFile } from "../../../../src/io/system/atomic-file.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ut-atomic-"));
});
afterEach(() => rm(dir, { recursive: true }));

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);

test("a new file has its content and mode, and leaves nothing beside it", async () => {
  const path = join(dir, "a.key");
  await createFile(path, "secret", 0o600);
  expect([await readFile(path, "utf8"), await modeOf(path), await readdir(dir)]).toEqual(["secret", "600", ["a.key"]]);
});

test("an existing file is never written to", async () => {
  const path = join(dir, "a.key");
  await writeFile(path, "old");
  await expect(createFile(path, "new", 0o600)).rejects.toThrow(
    new UtError("pki.exists", `Cannot create ${path}: it exists`),
  );
  expect([await readFile(path, "utf8"), await readdir(dir)]).toEqual(["old", ["a.key"]]);
});

test("of many that create one file at once, exactly one wins and its content is whole", async () => {
  const path = join(dir, "a.key");
  const contents = Array.from({ length: 16 }, (_, at) => String(at).repeat(10_000));
  const results = await Promise.allSettled(contents.map((content) => createFile(path, content, 0o600)));
  const winners = contents.filter((_, at) => results[at]?.status === "fulfilled");
  expect(winners).toEqual([await readFile(path, "utf8")]);
  expect(await readdir(dir)).toEqual(["a.key"]);
});

test("replacing is a new file under the old name, with the new mode", async () => {
  const path = join(dir, "a.key");
  await writeFile(path, "old", { mode: 0o644 });
  const before = await stat(path);
  await replaceFile(path, "new", 0o600);
  expect([await readFile(path, "utf8"), await modeOf(path), await readdir(dir)]).toEqual(["new", "600", ["a.key"]]);
  expect((await stat(path)).ino).not.toBe(before.ino);
});

test("a folder that does not exist is named with the file", async () => {
  const path = join(dir, "none", "a.key");
  await expect(createFile(path, "x", 0o600)).rejects.toThrow(new UtError("io.file", `Cannot write ${path}: ENOENT`));
  await expect(replaceFile(path, "x", 0o600)).rejects.toThrow(new UtError("io.file", `Cannot write ${path}: ENOENT`));
});
