import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pki, runPki } from "../../../../src/cli/pki/pki.ts";
import { describeCertificate } from "../../../../src/io/pki/pki-describe.ts";
import { fakeTerminal } from "../fake-terminal.ts";
import { NOW, PkiFolder } from "./pki-folder.ts";

let folder: PkiFolder;
beforeEach(async () => {
  folder = await PkiFolder.make();
});
afterEach(() => folder[Symbol.asyncDispose]());

describe("ut pki", () => {
  test("--help prints the help, wherever it stands", async () => {
    for (const argv of [["--help"], ["issue", "-h"], ["nonsense", "--cn", "a", "--help"]]) {
      const terminal = fakeTerminal();
      expect([await runPki(argv, terminal, NOW), terminal.printed]).toEqual([0, [pki.help]]);
    }
  });

  test("names the subcommands where there is none, or no such one", async () => {
    const known = 'expected one of init, issue, show, renew (see "ut pki --help")';
    await expect(runPki([], fakeTerminal(), NOW)).rejects.toThrow(`Cannot run "ut pki": ${known}`);
    expect(await folder.run("list")).toEqual({ error: `usage.unknown-command: Cannot run "ut pki list": ${known}` });
    expect(await folder.run("toString")).toMatchObject({ error: expect.stringContaining('"ut pki toString"') });
  });

  test.each([
    [["init", "home"], 'Cannot use the argument "home": a name is one word, and each host needs its own --host'],
    [["issue", "home"], 'Cannot use the argument "home": a node is named with --cn home'],
    [
      ["issue", "--cn", "my", "laptop"],
      'Cannot use the argument "laptop": a name is one word, and each host needs its own --host',
    ],
    [["issue"], "Cannot tell which node: add --cn NAME"],
    [["renew"], "Cannot tell which node: add --cn NAME, or --ca for the CA itself"],
    [["issue", "--nc", "a"], "Unknown option '--nc' (known here: --dir --cn --days --force --host --agent)"],
    [["init", "--host", "a"], "Unknown option '--host' (known here: --dir --cn --days --force)"],
    [["show", "--force"], "Unknown option '--force' (known here: --dir --cn --json)"],
    [["renew", "--agent"], "Unknown option '--agent' (known here: --dir --cn --days --force --ca --new-key)"],
    [
      ["issue", "--cn"],
      "Option '--cn <value>' argument missing (known here: --dir --cn --days --force --host --agent)",
    ],
  ] as [[string, ...string[]], string][])("%j is a wrong command line", async (argv, message) => {
    expect(await folder.run(...argv)).toEqual({ error: `usage.bad-flag: ${message}` });
  });

  test.each(["0", "-1", "1.5", "36501", "x", ""])("--days %j is out of range", async (days) => {
    const error = `usage.bad-value: Cannot use --days ${days}: expected a whole number from 1 to 36500`;
    expect(await folder.run("init", `--days=${days}`)).toEqual({ error });
    await folder.mustRun("init");
    expect(await folder.run("issue", "--cn", "a", `--days=${days}`)).toEqual({ error });
    expect(await folder.run("renew", "--ca", `--days=${days}`)).toEqual({ error });
    expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644" });
  });

  test("works in ./pki where no folder is named", async () => {
    const before = process.cwd();
    const elsewhere = await mkdtemp(join(tmpdir(), "ut-cwd-"));
    const terminal = fakeTerminal();
    try {
      process.chdir(elsewhere);
      await runPki(["init", "--cn", "Home CA"], terminal, NOW);
      await runPki(["issue", "--cn", "home"], fakeTerminal(), NOW);
    } finally {
      process.chdir(before);
      await rm(elsewhere, { recursive: true });
    }
    expect(terminal.printed.join("\n")).toBe(`Made the CA "CN=Home CA", valid until 2039-12-31 03:04:05Z
  pki/ca.pem   goes to every node
  pki/ca.key   stays here: who has it can pose as any node

Next, a certificate of this CA for each node:
  ut pki issue --cn server --host NAME-OR-ADDRESS-THAT-CLIENTS-DIAL
  ut pki issue --cn home`);
  });
});

describe("ut pki init", () => {
  test("makes a CA, its key for its owner only, and says what comes next", async () => {
    expect(await folder.run("init", "--cn", "Home CA", "--days", "10")).toEqual({
      out: `Made the CA "CN=Home CA", valid until 2030-01-12 03:04:05Z
  DIR/ca.pem   goes to every node
  DIR/ca.key   stays here: who has it can pose as any node

Next, a certificate of this CA for each node:
  ut pki issue --dir DIR --cn server --host NAME-OR-ADDRESS-THAT-CLIENTS-DIAL
  ut pki issue --dir DIR --cn home`,
      code: 0,
    });
    expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644" });
  });

  test("does not replace a CA by accident, nor a key that has lost its certificate", async () => {
    await folder.mustRun("init");
    const before = await folder.contents();
    expect(await folder.run("init")).toEqual({
      error:
        'pki.exists: Cannot create DIR/ca.pem: it exists: "ut pki renew --dir DIR --ca" makes it last longer; --force makes another CA, and all nodes need new certificates',
    });
    expect(await folder.contents()).toEqual(before);
    await rm(folder.file("ca.pem"));
    expect(await folder.run("init")).toEqual({
      error: "pki.exists: Cannot create DIR/ca.key: it exists: use --force to replace it",
    });
  });

  test("--force makes another, and names the nodes that have to follow", async () => {
    await folder.mustRun("init");
    for (const cn of ["server", "home"]) await folder.mustRun("issue", "--cn", cn);
    const before = await folder.contents();
    expect(await folder.run("init", "--force", "--cn", "New CA")).toEqual({
      out: `Made the CA "CN=New CA", valid until 2039-12-31 03:04:05Z
  DIR/ca.pem   goes to every node
  DIR/ca.key   stays here: who has it can pose as any node

Next, a certificate of this CA for each node:
  ut pki renew --dir DIR --cn home --force
  ut pki renew --dir DIR --cn server --force`,
      code: 0,
    });
    const { "ca.pem": cert, "ca.key": key, ...nodes } = await folder.contents();
    const { "ca.pem": oldCert, "ca.key": oldKey, ...oldNodes } = before;
    expect([cert === oldCert, key === oldKey]).toEqual([false, false]);
    expect(nodes).toEqual(oldNodes);
  });

  test("refuses a name that cannot be printed", async () => {
    expect(await folder.run("init", "--cn", " ")).toEqual({
      error: 'usage.bad-value: Cannot name a CA " ": use 1 to 64 printable characters',
    });
  });
});

describe("ut pki issue", () => {
  beforeEach(() => folder.mustRun("init", "--cn", "Home CA"));

  test("gives a client its certificate, and says where it goes", async () => {
    expect(await folder.run("issue", "--cn", "home")).toEqual({
      out: `Issued "home": client only (no --host), valid until 2032-04-06 03:04:05Z
  DIR/home.pem
  DIR/home.key   private: whoever has it is "home"

Copy both and DIR/ca.pem to that node, and name them in its config ("ut config example client" prints one):
  tls:
    ca_cert: "/etc/ut/ca.pem"
    cert: "/etc/ut/home.pem"
    key: "/etc/ut/home.key"`,
      code: 0,
    });
    expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644", "home.key": "600", "home.pem": "644" });
    const certificate = new X509Certificate(await folder.read("home.pem"));
    expect(certificate.checkPrivateKey(createPrivateKey(await folder.read("home.key")))).toBe(true);
    expect(certificate.verify(new X509Certificate(await folder.read("ca.pem")).publicKey)).toBe(true);
  });

  test("gives a server the names that clients dial, in the order of the flags", async () => {
    const hosts = ["--host", "VPN.example.com", "--host", "203.0.113.7", "--host", "[2001:db8::1]"];
    expect(await folder.run("issue", "--cn", "server", ...hosts, "--days", "30")).toEqual({
      out: `Issued "server": client and server (DNS:vpn.example.com, IP:203.0.113.7, IP:2001:db8::1), valid until 2030-02-01 03:04:05Z
  DIR/server.pem
  DIR/server.key   private: whoever has it is "server"

Copy both and DIR/ca.pem to that node, and name them in its config ("ut config example server" prints one):
  tls:
    ca_cert: "/etc/ut/ca.pem"
    cert: "/etc/ut/server.pem"
    key: "/etc/ut/server.key"`,
      code: 0,
    });
  });

  test("lets peers reach an agent by its name", async () => {
    expect(await folder.run("issue", "--cn", "office", "--agent")).toMatchObject({ code: 0 });
    const { names, extendedKeyUsage } = await describeCertificate(await folder.read("office.pem"));
    expect({ names, extendedKeyUsage }).toEqual({
      names: ["DNS:office.ut.internal"],
      extendedKeyUsage: ["serverAuth", "clientAuth"],
    });
  });

  test("says so where the CA ends first", async () => {
    await folder.mustRun("init", "--force", "--days", "20");
    expect(await folder.run("issue", "--cn", "home", "--days", "30")).toMatchObject({
      out: expect.stringContaining(
        'valid until 2030-01-22 03:04:05Z, when its CA ends ("ut pki renew --dir DIR --ca" first for longer)\n',
      ),
    });
  });

  test("does not replace a node by accident", async () => {
    await folder.mustRun("issue", "--cn", "home");
    const before = await folder.contents();
    expect(await folder.run("issue", "--cn", "home", "--host", "a.example")).toEqual({
      error:
        'pki.exists: Cannot create DIR/home.pem: it exists: "ut pki renew --dir DIR --cn home" makes it last longer; --force replaces it, and its key',
    });
    expect(await folder.contents()).toEqual(before);
  });

  test("--force replaces certificate and key, closes a key that was open, and warns that the old one works", async () => {
    await folder.mustRun("issue", "--cn", "home");
    const before = await folder.contents();
    await chmod(folder.file("home.key"), 0o644);
    expect(await folder.run("issue", "--cn", "home", "--force")).toMatchObject({
      out: expect.stringContaining(
        '\n  DIR/home.key   private: whoever has it is "home"\n  the old certificate works until 2032-04-06 03:04:05Z\n\n',
      ),
    });
    const after = await folder.contents();
    expect(Object.keys(after).filter((name) => after[name] !== before[name])).toEqual(["home.key", "home.pem"]);
    expect((await folder.modes())["home.key"]).toBe("600");
  });

  test("--force says nothing of what was of another CA, or no certificate at all", async () => {
    await folder.mustRun("issue", "--cn", "home");
    await folder.mustRun("init", "--force");
    await writeFile(folder.file("b.pem"), "no certificate");
    for (const cn of ["home", "b"]) {
      const outcome = await folder.run("issue", "--cn", cn, "--force");
      expect(outcome).toMatchObject({ out: expect.not.stringContaining("old certificate") });
    }
  });

  test.each([
    [
      ["--cn", "my laptop"],
      'Cannot keep a certificate for "my laptop": a node\'s name is 1 to 64 letters, digits, dots and hyphens, and names its files',
    ],
    [
      ["--cn", "../home"],
      'Cannot keep a certificate for "../home": a node\'s name is 1 to 64 letters, digits, dots and hyphens, and names its files',
    ],
    [["--cn", "ca"], 'Cannot keep a certificate for "ca": its files would be those of the CA: choose another name'],
    [
      ["--cn", "a", "--host", "vpn.example.com:5443"],
      'Cannot put the host "vpn.example.com:5443" into a certificate: it carries a port, and a certificate is good for every port: expected a DNS name, an IPv4 or an IPv6 address',
    ],
    [
      ["--cn", "a", "--host", "b.example,c.example"],
      'Cannot put the host "b.example,c.example" into a certificate: it is more than one word: give each host its own --host',
    ],
    [
      ["--cn", "a", "--host", "b.ut.internal"],
      'Cannot put the host "b.ut.internal" into a certificate: names under ut.internal belong to agents: use --agent',
    ],
  ])("%j is a wrong command line, and leaves nothing behind", async (flags, message) => {
    expect(await folder.run("issue", ...flags)).toEqual({ error: `usage.bad-value: ${message}` });
    expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644" });
  });
});
