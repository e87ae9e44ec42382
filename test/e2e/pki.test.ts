import { afterEach, beforeEach, expect, test } from "bun:test";
import { stat } from "node:fs/promises";
import { PkiCommand } from "./support/pki-command.ts";

let pki: PkiCommand;
beforeEach(async () => {
  pki = await PkiCommand.make();
});
afterEach(() => pki[Symbol.asyncDispose]());

test("from nothing to a tunnel's certificates in three commands, keys for their owner only", async () => {
  for (const words of ["init", "issue --cn server --host vpn.example.com", "issue --cn home"])
    expect(await pki.run(words)).toEqual({
      out: expect.stringMatching(/^(Made|Issued) .*[^\n]\n$/s),
      err: "",
      code: 0,
    });
  const modes = ["ca", "server", "home"].map(async (name) => (await stat(pki.file(`${name}.key`))).mode & 0o777);
  expect(await Promise.all(modes)).toEqual([0o600, 0o600, 0o600]);
  expect(await pki.run("show")).toMatchObject({ err: "", code: 0 });
  const { out } = await pki.run("show --json");
  expect(JSON.parse(out).certificates.map(({ name, key }: Record<string, string>) => [name, key])).toEqual([
    ["ca", "matches"],
    ["home", "matches"],
    ["server", "matches"],
  ]);
}, 30_000);

test("a wrong command line ends with 2, what cannot be done with 1, each with one line on stderr", async () => {
  const missing = 'make a CA with "ut pki init", or name its folder with --dir';
  const named = "a node's name is 1 to 64 letters, digits, dots and hyphens, and names its files";
  expect(await pki.run("issue --cn home")).toEqual({
    out: "",
    err: `ut: Cannot sign with the CA in ./pki: there is no pki/ca.pem: ${missing}\n`,
    code: 1,
  });
  await pki.mustRun("init");
  expect(await pki.run("init")).toEqual({
    out: "",
    err: 'ut: Cannot create pki/ca.pem: it exists: "ut pki renew --ca" makes it last longer; --force makes another CA, and all nodes need new certificates\n',
    code: 1,
  });
  expect(await pki.run("issue")).toEqual({ out: "", err: "ut: Cannot tell which node: add --cn NAME\n", code: 2 });
  expect(await pki.run("issue --cn my_laptop")).toEqual({
    out: "",
    err: `ut: Cannot keep a certificate for "my_laptop": ${named}\n`,
    code: 2,
  });
  expect(await pki.run("renew --cn home")).toEqual({
    out: "",
    err: 'ut: Cannot read pki/home.pem: there is no such file: "ut pki show" lists what there is\n',
    code: 1,
  });
}, 30_000);
