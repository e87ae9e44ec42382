import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, rm, writeFile } from "node:fs/promises";
import { type CertificateInfo, describeCertificate } from "../../../../src/io/pki/pki-describe.ts";
import { PkiFolder } from "./pki-folder.ts";

const LATER = new Date("2031-06-01T00:00:00Z");
const AFTER_THE_CA = new Date("2041-01-01T00:00:00Z");

let folder: PkiFolder;
beforeEach(async () => {
  folder = await PkiFolder.make();
  await folder.mustRun("init", "--cn", "Home CA");
});
afterEach(() => folder[Symbol.asyncDispose]());

const info = async (name: string): Promise<CertificateInfo> => describeCertificate(await folder.read(name));

/** Names of the files that differ from `before`. */
async function changedSince(before: Record<string, string>): Promise<string[]> {
  const after = await folder.contents();
  return Object.keys(after).filter((name) => after[name] !== before[name]);
}

async function keyFits(): Promise<boolean> {
  return new X509Certificate(await folder.read("home.pem")).checkPrivateKey(
    createPrivateKey(await folder.read("home.key")),
  );
}

describe("of a node", () => {
  beforeEach(() => folder.mustRun("issue", "--cn", "home", "--host", "vpn.example.com", "--host", "::1"));

  test("keeps all but time and serial number, and touches nothing but the certificate", async () => {
    const [files, before] = [await folder.contents(), await info("home.pem")];
    expect(await folder.runAt(LATER, "renew", "--cn", "home", "--days", "100")).toEqual({
      out: `Renewed "home" with the same key: client and server (DNS:vpn.example.com, IP:::1), valid until 2031-09-09 00:00:00Z
Copy DIR/home.pem to that node and restart ut there; the old certificate works until 2032-04-06 03:04:05Z`,
      code: 0,
    });
    expect(await changedSince(files)).toEqual(["home.pem"]);
    const after = await info("home.pem");
    expect(after).toEqual({
      ...before,
      notBefore: new Date("2031-05-31T23:55:00Z"),
      notAfter: new Date("2031-09-09T00:00:00Z"),
      serial: after.serial,
      fingerprint: after.fingerprint,
    });
    expect(after.serial).not.toBe(before.serial);
  });

  test("works after its end, and where the key never left the node", async () => {
    await rm(folder.file("home.key"));
    expect(await folder.runAt(new Date("2033-01-01T00:00:00Z"), "renew", "--cn", "home")).toEqual({
      out: `Renewed "home" with the same key: client and server (DNS:vpn.example.com, IP:::1), valid until 2035-04-06 00:00:00Z
Copy DIR/home.pem to that node and restart ut there; the old certificate has ended`,
      code: 0,
    });
    expect(await folder.modes()).toEqual({ "ca.key": "600", "ca.pem": "644", "home.pem": "644" });
  });

  test("--new-key makes a new key, for its owner only", async () => {
    const files = await folder.contents();
    await chmod(folder.file("home.key"), 0o644);
    expect(await folder.run("renew", "--cn", "home", "--new-key")).toEqual({
      out: `Renewed "home" with a new key: client and server (DNS:vpn.example.com, IP:::1), valid until 2032-04-06 03:04:05Z
Copy DIR/home.pem and DIR/home.key to that node and restart ut there; the old certificate works until 2032-04-06 03:04:05Z`,
      code: 0,
    });
    expect(await changedSince(files)).toEqual(["home.key", "home.pem"]);
    expect([await keyFits(), (await folder.modes())["home.key"]]).toEqual([true, "600"]);
  });

  test("does not go past the end of the CA, and not at all beyond it", async () => {
    expect(await folder.runAt(new Date("2039-12-01T03:04:05Z"), "renew", "--cn", "home")).toMatchObject({
      out: expect.stringContaining(
        'valid until 2039-12-31 03:04:05Z, when its CA ends ("ut pki renew --dir DIR --ca" first for longer)\n',
      ),
    });
    const files = await folder.contents();
    expect(await folder.runAt(AFTER_THE_CA, "renew", "--cn", "home")).toEqual({
      error:
        'pki.expired: Cannot sign with the CA "CN=Home CA": it expired on 2039-12-31 03:04:05Z: renew it with "ut pki renew --ca" (DIR/ca.pem, DIR/ca.key)',
    });
    expect(await changedSince(files)).toEqual([]);
  });

  test("moves a node to another CA only with --force", async () => {
    await folder.mustRun("init", "--cn", "New CA", "--force");
    const files = await folder.contents();
    expect(await folder.run("renew", "--cn", "home")).toEqual({
      error:
        'pki.mismatch: Cannot renew DIR/home.pem: the CA in DIR has not issued it ("CN=Home CA" has): use --force to move the node to this CA',
    });
    expect(await changedSince(files)).toEqual([]);
    expect(await folder.run("renew", "--cn", "home", "--force")).toEqual({
      out: `Renewed "home" with the same key: client and server (DNS:vpn.example.com, IP:::1), valid until 2032-04-06 03:04:05Z
Copy DIR/home.pem and DIR/ca.pem to that node and restart ut there; both ends of a tunnel need the same CA`,
      code: 0,
    });
    expect(await changedSince(files)).toEqual(["home.pem"]);
    expect([(await info("home.pem")).issuer, await keyFits()]).toEqual(["CN=New CA", true]);
  });

  test("does not certify a key that is not here while another lies beside it", async () => {
    await folder.mustRun("issue", "--cn", "other");
    await writeFile(folder.file("home.key"), await folder.read("other.key"));
    const files = await folder.contents();
    expect(await folder.run("renew", "--cn", "home")).toEqual({
      error:
        "pki.mismatch: Cannot renew DIR/home.pem with its key: DIR/home.key belongs to another certificate: use --new-key, or remove that file if the node has its key",
    });
    expect(await changedSince(files)).toEqual([]);
    expect(await folder.run("renew", "--cn", "home", "--new-key")).toMatchObject({ code: 0 });
    expect(await keyFits()).toBe(true);
  });

  test("names the files that are no certificate", async () => {
    const message = "Cannot read the certificate: it is no PEM certificate, or a damaged one";
    await writeFile(folder.file("ca.pem"), "x");
    expect(await folder.run("renew", "--cn", "home")).toEqual({
      error: `pki.unreadable: ${message} (DIR/ca.pem, DIR/ca.key): bring back good copies of both`,
    });
    await writeFile(folder.file("home.pem"), "x");
    expect(await folder.run("renew", "--cn", "home")).toEqual({
      error: `pki.unreadable: ${message} (DIR/home.pem, DIR/home.key): bring back good copies of both`,
    });
  });

  test("names a node that is not there", async () => {
    expect(await folder.run("renew", "--cn", "office")).toEqual({
      error:
        'pki.missing: Cannot read DIR/office.pem: there is no such file: "ut pki show --dir DIR" lists what there is',
    });
  });
});

describe("of the CA", () => {
  test("keeps name and key, so that nodes need nothing but the new ca.pem", async () => {
    await folder.mustRun("issue", "--cn", "home");
    const [files, before] = [await folder.contents(), await info("ca.pem")];
    expect(await folder.runAt(LATER, "renew", "--ca", "--days", "7300")).toEqual({
      out: `Renewed the CA "CN=Home CA" with the same key, valid until 2051-05-27 00:00:00Z
Copy DIR/ca.pem to every node and restart ut there; the old certificate works until 2039-12-31 03:04:05Z
Certificates of nodes stay valid until their own end`,
      code: 0,
    });
    expect(await changedSince(files)).toEqual(["ca.pem"]);
    const after = await info("ca.pem");
    expect(after).toEqual({
      ...before,
      notBefore: new Date("2031-05-31T23:55:00Z"),
      notAfter: new Date("2051-05-27T00:00:00Z"),
      serial: after.serial,
      fingerprint: after.fingerprint,
    });
    const [node, ca] = [await folder.read("home.pem"), await folder.read("ca.pem")];
    expect(new X509Certificate(node).verify(new X509Certificate(ca).publicKey)).toBe(true);
  });

  test("works after its end, and nodes can be renewed again", async () => {
    await folder.mustRun("issue", "--cn", "home");
    expect(await folder.runAt(AFTER_THE_CA, "renew", "--ca")).toEqual({
      out: `Renewed the CA "CN=Home CA" with the same key, valid until 2050-12-30 00:00:00Z
Copy DIR/ca.pem to every node and restart ut there; the old certificate has ended
Certificates of nodes stay valid until their own end`,
      code: 0,
    });
    expect(await folder.runAt(AFTER_THE_CA, "renew", "--cn", "home")).toMatchObject({ code: 0 });
  });

  test.each([
    [["--cn", "home"], "Cannot use --cn together with --ca: renew nodes one by one"],
    [
      ["--new-key"],
      'Cannot use --new-key together with --ca: a CA with another key is another CA: "ut pki init --force"',
    ],
    [["--force"], 'Cannot use --force together with --ca: a CA with another key is another CA: "ut pki init --force"'],
  ])("does not go with %j", async (flags, message) => {
    expect(await folder.run("renew", "--ca", ...flags)).toEqual({ error: `usage.bad-flag: ${message}` });
  });

  test("needs its own key", async () => {
    const other = await PkiFolder.make();
    await using _ = other;
    await other.mustRun("init");
    await writeFile(folder.file("ca.key"), await other.read("ca.key"));
    expect(await folder.run("renew", "--ca")).toEqual({
      error:
        'pki.mismatch: Cannot sign as "CN=Home CA": the CA\'s key belongs to another certificate (DIR/ca.pem, DIR/ca.key): bring back good copies of both',
    });
  });
});
