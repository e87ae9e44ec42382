import { afterEach, beforeEach, expect, test } from "bun:test";
import { rm, writeFile } from "node:fs/promises";
import { PkiFolder } from "./pki-folder.ts";

let folder: PkiFolder;
beforeEach(async () => {
  folder = await PkiFolder.make();
});
afterEach(() => folder[Symbol.asyncDispose]());

const issue = () => folder.run("issue", "--cn", "home");

test("there is no CA", async () => {
  expect(await issue()).toEqual({
    error:
      'pki.missing: Cannot sign with the CA in DIR: there is no DIR/ca.pem: make a CA with "ut pki init --dir DIR", or name its folder with --dir',
  });
});

test("the CA's key is elsewhere", async () => {
  await folder.mustRun("init");
  await rm(folder.file("ca.key"));
  expect(await issue()).toEqual({
    error:
      "pki.missing: Cannot sign with the CA in DIR: there is no DIR/ca.key: bring it back to where its certificate is",
  });
});

test("the CA's files are no certificate and key", async () => {
  const where = "(DIR/ca.pem, DIR/ca.key): bring back good copies of both";
  await folder.mustRun("init");
  await writeFile(folder.file("ca.key"), "x");
  expect(await issue()).toEqual({
    error: `pki.unreadable: Cannot read the CA's private key: it is no unencrypted PEM key ${where}`,
  });
  await writeFile(folder.file("ca.pem"), "x");
  expect(await issue()).toEqual({
    error: `pki.unreadable: Cannot read the certificate: it is no PEM certificate ${where}`,
  });
});

test("the CA's time is over, or has not come", async () => {
  await folder.mustRun("init", "--cn", "Home CA", "--days", "1");
  expect(await folder.runAt(new Date("2030-02-01T00:00:00Z"), "issue", "--cn", "home")).toEqual({
    error:
      'pki.expired: Cannot sign with the CA "CN=Home CA": it expired on 2030-01-03 03:04:05Z: renew it with "ut pki renew --ca" (DIR/ca.pem, DIR/ca.key)',
  });
  expect(await folder.runAt(new Date("2029-12-01T00:00:00Z"), "issue", "--cn", "home")).toEqual({
    error:
      'pki.expired: Cannot sign with the CA "CN=Home CA": it is valid from 2030-01-02 02:59:05Z, and the clock here says 2029-12-01 00:00:00Z: set the clock (DIR/ca.pem, DIR/ca.key)',
  });
  expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644" });
});

test("the CA's folder is a file", async () => {
  await writeFile(folder.path, "");
  expect(await folder.run("init")).toEqual({ error: "io.file: Cannot create the folder DIR: EEXIST" });
  expect(await issue()).toEqual({ error: "io.file: Cannot read DIR/ca.pem: ENOTDIR" });
});
