import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UtError } from "../../../../src/core/error.ts";
import { PkiStore } from "../../../../src/io/pki/pki-store.ts";

let root = "";
let dir = "";
let store: PkiStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "ut-store-"));
  dir = join(root, "deep", "pki");
  store = new PkiStore(dir);
});
afterEach(() => rm(root, { recursive: true }));

const OLD = { cert: "old cert", key: "old key" };
const NEW = { cert: "new cert", key: "new key" };

async function contents(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const name of (await readdir(dir)).sort()) {
    const path = join(dir, name);
    files[`${name} ${((await stat(path)).mode & 0o777).toString(8)}`] = await readFile(path, "utf8");
  }
  return files;
}

async function failure(promise: Promise<unknown>): Promise<[string, string]> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UtError)) throw new Error(`expected a UtError, not ${error}`);
  return [error.kind, error.message.replaceAll(dir, "DIR")];
}

describe("files", () => {
  test("a CA and nodes are pairs of files, keys for their owner only", async () => {
    await store.writeCa(OLD, { force: false });
    await store.writeNode("home", NEW, { force: false });
    expect(await contents()).toEqual({
      "ca.key 600": "old key",
      "ca.pem 644": "old cert",
      "home.key 600": "new key",
      "home.pem 644": "new cert",
    });
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect(await store.readCa()).toEqual(OLD);
    expect(await store.read(store.nodeFiles("home"))).toEqual(NEW);
    expect(await store.nodeNames()).toEqual(["home"]);
  });

  test.each([
    ["pem", '"ut pki renew --dir DIR --cn home" makes it last longer; --force replaces it, and its key'],
    ["key", "use --force to replace it"],
  ])("nothing is written where NAME.%s alone exists", async (extension, advice) => {
    await store.writeCa(OLD, { force: false });
    await writeFile(join(dir, `home.${extension}`), "old");
    expect(await failure(store.writeNode("home", NEW, { force: false }))).toEqual([
      "pki.exists",
      `Cannot create DIR/home.${extension}: it exists: ${advice}`,
    ]);
    expect((await readdir(dir)).sort()).toEqual(["ca.key", "ca.pem", `home.${extension}`].sort());
    expect(await readFile(join(dir, `home.${extension}`), "utf8")).toBe("old");
  });

  test("a CA is not replaced by accident, either", async () => {
    await store.writeCa(OLD, { force: false });
    expect(await failure(store.writeCa(NEW, { force: false }))).toEqual([
      "pki.exists",
      'Cannot create DIR/ca.pem: it exists: "ut pki renew --dir DIR --ca" makes it last longer; --force makes another CA, and all nodes need new certificates',
    ]);
    expect(await store.readCa()).toEqual(OLD);
  });

  test("force replaces both, and the mode of a key that was too open", async () => {
    await store.writeCa(OLD, { force: false });
    await rm(store.caFiles.key);
    await writeFile(store.caFiles.key, "open key", { mode: 0o644 });
    await store.writeCa(NEW, { force: true });
    expect(await contents()).toEqual({ "ca.key 600": "new key", "ca.pem 644": "new cert" });
  });

  test("of two that issue one name at once, one wins with both of its files", async () => {
    const pairs = [OLD, NEW];
    const results = await Promise.allSettled(pairs.map((pair) => store.writeNode("home", pair, { force: false })));
    const winners = pairs.filter((_, at) => results[at]?.status === "fulfilled");
    expect([await store.read(store.nodeFiles("home"))]).toEqual(winners);
  });

  test("a renewed certificate leaves the key alone unless that is new", async () => {
    await store.writeNode("home", OLD, { force: false });
    await store.replace(store.nodeFiles("home"), { cert: "renewed" });
    expect(await contents()).toEqual({ "home.key 600": "old key", "home.pem 644": "renewed" });
    await store.replace(store.nodeFiles("home"), NEW);
    expect(await contents()).toEqual({ "home.key 600": "new key", "home.pem 644": "new cert" });
  });

  test("only certificates of nodes are listed, sorted", async () => {
    expect(await store.nodeNames()).toEqual([]);
    await store.writeCa(OLD, { force: false });
    for (const name of ["b.pem", "a.pem", "x.key", ".hidden.pem", "with space.pem", "readme.txt", "ec2.example.pem"])
      await writeFile(join(dir, name), "");
    expect(await store.nodeNames()).toEqual(["a", "b", "ec2.example"]);
  });
});

describe("what is missing", () => {
  const REMEDY = 'make a CA with "ut pki init --dir DIR", or name its folder with --dir';

  test("is named with what to do about it", async () => {
    expect(await store.readCertificate(store.caFiles)).toBeUndefined();
    expect(await failure(store.readCa())).toEqual([
      "pki.missing",
      `Cannot sign with the CA in DIR: there is no DIR/ca.pem: ${REMEDY}`,
    ]);
    expect(await failure(store.read(store.caFiles))).toEqual([
      "pki.missing",
      `Cannot read DIR/ca.pem: there is no such file: ${REMEDY}`,
    ]);
    expect(await failure(store.read(store.nodeFiles("home")))).toEqual([
      "pki.missing",
      "Cannot read DIR/home.pem: there is no such file: name the folder of its CA with --dir",
    ]);
    await store.writeCa(OLD, { force: false });
    expect(await failure(store.read(store.nodeFiles("home")))).toEqual([
      "pki.missing",
      'Cannot read DIR/home.pem: there is no such file: "ut pki show --dir DIR" lists what there is',
    ]);
  });

  test("a certificate whose key is kept elsewhere can be read, but a CA without key cannot sign", async () => {
    await store.writeCa(OLD, { force: false });
    await rm(store.caFiles.key);
    expect(await store.read(store.caFiles)).toEqual({ cert: "old cert", key: undefined });
    expect(await failure(store.readCa())).toEqual([
      "pki.missing",
      "Cannot sign with the CA in DIR: there is no DIR/ca.key: bring it back to where its certificate is",
    ]);
  });

  test("a path that is no folder is an error of the file system", async () => {
    await writeFile(join(root, "deep"), "");
    expect(await failure(store.writeCa(OLD, { force: false }))).toEqual([
      "io.file",
      "Cannot create the folder DIR: ENOTDIR",
    ]);
  });
});

test.each([
  ["a/b", "a node's name is 1 to 64 letters, digits, dots and hyphens, and names its files"],
  ["", "a node's name is 1 to 64 letters, digits, dots and hyphens, and names its files"],
  ["CA", "its files would be those of the CA: choose another name"],
  ["..", "a leading dot would hide its files: choose another name"],
])("the name %j has no files", (cn, cause) => {
  expect(() => store.nodeFiles(cn)).toThrow(
    new UtError("pki.bad-name", `Cannot keep a certificate for "${cn}": ${cause}`),
  );
});

test("a command for this folder can be copied into a shell", () => {
  expect(new PkiStore().commandLine("renew", "--cn", "home")).toBe("ut pki renew --cn home");
  expect(new PkiStore("/etc/ut").commandLine("init")).toBe("ut pki init --dir /etc/ut");
  expect(new PkiStore("my $pki's").commandLine("init")).toBe("ut pki init --dir 'my $pki'\\''s'");
});
