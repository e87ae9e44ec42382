import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, createPublicKey } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { describeOpenssl, openssl, opensslOutput, verify } from "./support/openssl.ts";
import { PkiCommand } from "./support/pki-command.ts";

/*
 * One folder as in the README, and Debian's openssl says what it thinks of it:
 *
 *   ca ─┬─ server   hosts: vpn.example.com, *.lab.example.com, 203.0.113.7, 2001:db8::1
 *       ├─ home     dials only
 *       └─ office   an agent
 */
const NAMES = ["ca", "server", "home", "office"];
const DAY_MS = 86_400_000;
const BACKDATE_MS = 5 * 60_000;

/** X509_V_ERR_* of x509_vfy.h, at the leaf. */
const NOT_YET_VALID = ["9 at 0"];
const EXPIRED = ["10 at 0"];
const INVALID_PURPOSE = ["26 at 0"];
const HOSTNAME_MISMATCH = ["62 at 0"];
const IP_MISMATCH = ["64 at 0"];
/** And above it: 1 is who signed the leaf, 2 who signed that. */
const INVALID_CA_ABOVE = "79 at 1";
const PATH_LENGTH_EXCEEDED_AT_ROOT = ["25 at 2"];

describeOpenssl("what openssl thinks of ut pki", () => {
  let pki: PkiCommand;
  let startedAt: number;
  const pem = (name: string) => pki.file(`${name}.pem`);
  const key = (name: string) => pki.file(`${name}.key`);
  const judge = (name: string, ...words: string[]) => verify("-CAfile", pem("ca"), ...words, pem(name));

  beforeAll(async () => {
    startedAt = Date.now();
    pki = await PkiCommand.make();
    await pki.mustRun("init");
    await pki.mustRun(
      "issue --cn server --host vpn.example.com --host *.lab.example.com --host 203.0.113.7 --host 2001:db8::1",
    );
    await pki.mustRun("issue --cn home");
    await pki.mustRun("issue --cn office --agent --days 30");
  }, 30_000);
  afterAll(() => pki[Symbol.asyncDispose]());

  test.each(NAMES)("%s verifies, also by the letter of RFC 5280", async (name) => {
    expect([await judge(name), await judge(name, "-x509_strict", "-check_ss_sig")]).toEqual(["ok", "ok"]);
  });

  test.each<[string, string, "ok" | string[]]>([
    ["server", "sslserver", "ok"],
    ["server", "sslclient", "ok"],
    ["office", "sslserver", "ok"],
    ["office", "sslclient", "ok"],
    ["home", "sslclient", "ok"],
    ["home", "sslserver", INVALID_PURPOSE],
    ["home", "smimesign", INVALID_PURPOSE],
    ["server", "smimesign", INVALID_PURPOSE],
  ])("%s as %s: %j", async (name, purpose, verdict) => {
    expect(await judge(name, "-purpose", purpose)).toEqual(verdict);
  });

  test.each<[string, string, string, "ok" | string[]]>([
    ["server", "-verify_hostname", "vpn.example.com", "ok"],
    ["server", "-verify_hostname", "VPN.example.com", "ok"],
    ["server", "-verify_hostname", "a.lab.example.com", "ok"],
    ["server", "-verify_hostname", "a.b.lab.example.com", HOSTNAME_MISMATCH],
    ["server", "-verify_hostname", "example.com", HOSTNAME_MISMATCH],
    ["server", "-verify_hostname", "server", HOSTNAME_MISMATCH],
    ["server", "-verify_ip", "203.0.113.7", "ok"],
    ["server", "-verify_ip", "2001:db8::1", "ok"],
    ["server", "-verify_ip", "203.0.113.8", IP_MISMATCH],
    ["office", "-verify_hostname", "office.ut.internal", "ok"],
    ["office", "-verify_hostname", "office", HOSTNAME_MISMATCH],
    ["home", "-verify_hostname", "home.ut.internal", HOSTNAME_MISMATCH],
    ["home", "-verify_ip", "203.0.113.7", IP_MISMATCH],
  ])("%s %s %s: %j", async (name, flag, value, verdict) => {
    expect(await judge(name, flag, value)).toEqual(verdict);
  });

  test("the times are minutes before now, and as many days as were asked for", async () => {
    const days = async (name: string) => {
      const dates = await opensslOutput("x509", "-in", pem(name), "-noout", "-startdate", "-enddate");
      const [begin = 0, end = 0] = [...dates.matchAll(/=(.*)$/gm)].map(([, date]) => Date.parse(date ?? ""));
      expect(begin).toBeGreaterThan(startedAt - BACKDATE_MS - 1000);
      expect(begin).toBeLessThanOrEqual(Date.now() - BACKDATE_MS);
      return (end - begin - BACKDATE_MS) / DAY_MS;
    };
    expect(await Promise.all(NAMES.map(days))).toEqual([3650, 825, 825, 30]);
    // -partial_chain with the node itself as anchor: the CA is as young, and its own times would be objected to first.
    const at = (ms: number) => {
      const seconds = String(Math.floor((startedAt + ms) / 1000));
      return verify("-partial_chain", "-trusted", pem("office"), "-attime", seconds, pem("office"));
    };
    expect(await at(29 * DAY_MS)).toBe("ok");
    expect(await at(31 * DAY_MS)).toEqual(EXPIRED);
    expect(await at(-DAY_MS)).toEqual(NOT_YET_VALID);
  });

  test("the certificates read as they should, word for word", async () => {
    const issuer = (await describe("ca")).find((line) => line.startsWith("Issuer: ")) ?? "";
    expect(issuer).toMatch(/^Issuer: CN=ut CA [0-9a-f]{8}$/);
    const head = ["Version: 3 (0x2)", "Signature Algorithm: ecdsa-with-SHA256", issuer];
    expect(await describe("ca")).toEqual([
      ...head,
      issuer.replace("Issuer", "Subject"),
      "X509v3 extensions:",
      "X509v3 Basic Constraints: critical",
      "CA:TRUE, pathlen:0",
      "X509v3 Key Usage: critical",
      "Certificate Sign, CRL Sign",
      "X509v3 Subject Key Identifier:",
      await keyIdentifier("ca"),
    ]);
    const both = "TLS Web Server Authentication, TLS Web Client Authentication";
    const names = (list: string) => ["X509v3 Subject Alternative Name:", list];
    const hosts = "DNS:vpn.example.com, DNS:*.lab.example.com, IP Address:203.0.113.7, IP Address:2001:DB8:0:0:0:0:0:1";
    for (const [name, usages, hostNames] of [
      ["home", "TLS Web Client Authentication", []],
      ["office", both, names("DNS:office.ut.internal")],
      ["server", both, names(hosts)],
    ] as const)
      expect(await describe(name)).toEqual([
        ...head,
        `Subject: CN=${name}`,
        "X509v3 extensions:",
        "X509v3 Basic Constraints: critical",
        "CA:FALSE",
        "X509v3 Key Usage: critical",
        "Digital Signature",
        "X509v3 Extended Key Usage:",
        usages,
        ...hostNames,
        "X509v3 Subject Key Identifier:",
        await keyIdentifier(name),
        "X509v3 Authority Key Identifier:",
        await keyIdentifier("ca"),
      ]);
  });

  test("serial numbers are positive, 128 bits, and never the same", async () => {
    const serials = await Promise.all(
      NAMES.map((name) => opensslOutput("x509", "-in", pem(name), "-noout", "-serial")),
    );
    // Leading zero octets fall away in DER; five of them will not be seen.
    for (const serial of serials) expect(serial).toMatch(/^serial=[0-9A-F]{22,32}\n$/);
    expect(new Set(serials).size).toBe(NAMES.length);
  });

  test.each(NAMES)("the key of %s is a sound P-256 key, and the certificate's", async (name) => {
    expect(await opensslOutput("pkey", "-in", key(name), "-check", "-noout")).toBe("Key is valid\n");
    const publicKey = await opensslOutput("x509", "-in", pem(name), "-noout", "-pubkey");
    expect(await opensslOutput("pkey", "-in", key(name), "-pubout")).toBe(publicKey);
    const text = await opensslOutput("pkey", "-in", key(name), "-noout", "-text_pub");
    expect(text.split("\n").filter((line) => !/^ +[0-9a-f:]+$/.test(line))).toEqual([
      "Public-Key: (256 bit)",
      "pub:",
      "ASN1 OID: prime256v1",
      "NIST CURVE: P-256",
      "",
    ]);
  });

  test("a node cannot sign other nodes", async () => {
    await signWithOpenssl("evil", "home");
    expect(await judge("evil", "-untrusted", pem("home"))).toContain(INVALID_CA_ABOVE);
  });

  test("the CA's key cannot make CAs below it", async () => {
    await signWithOpenssl("below", "ca", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign");
    await signWithOpenssl("leaf", "below");
    expect(await judge("leaf", "-untrusted", pem("below"))).toEqual(PATH_LENGTH_EXCEEDED_AT_ROOT);
  });

  test("after renewing anything, everything old and new verifies with the old and the new CA", async () => {
    const copies = new Map<string, string>();
    const keep = async (name: string, as: string) => copies.set(as, await pki.read(`${name}.pem`));
    for (const name of ["ca", "home", "server"]) await keep(name, `old-${name}`);
    for (const [as, text] of copies) await writeFile(pem(as), text);
    await pki.mustRun("renew --ca --days 5000");
    await pki.mustRun("renew --cn home");
    await pki.mustRun("renew --cn server --new-key --days 4000");
    for (const ca of ["old-ca", "ca"])
      for (const name of ["old-home", "home", "old-server", "server"])
        expect([ca, name, await verify("-x509_strict", "-CAfile", pem(ca), pem(name))]).toEqual([ca, name, "ok"]);
    expect(await judge("home", "-purpose", "sslserver")).toEqual(INVALID_PURPOSE);
    expect(await judge("server", "-purpose", "sslserver", "-verify_ip", "203.0.113.7")).toBe("ok");
  });

  /** `openssl x509 -text` without what other tests look at: serial number, times, public key, signature. */
  async function describe(name: string): Promise<string[]> {
    const parts = "no_serial,no_validity,no_pubkey,no_sigdump";
    const text = await opensslOutput(
      ...["x509", "-in", pem(name), "-noout", "-text", "-certopt", parts, "-nameopt", "RFC2253"],
    );
    const lines = text.split("\n").map((line) => line.trim());
    return lines.filter((line) => line !== "" && line !== "Certificate:" && line !== "Data:");
  }

  /** RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits, here as openssl prints it. */
  async function keyIdentifier(name: string): Promise<string> {
    const spki = createPublicKey(await pki.read(`${name}.pem`)).export({ format: "der", type: "spki" });
    const point = spki.subarray(-65);
    return (createHash("sha1").update(point).digest("hex").toUpperCase().match(/../g) ?? []).join(":");
  }

  /** What somebody with `issuer`'s files could do: a key and certificate NAME, made without ut. */
  async function signWithOpenssl(name: string, issuer: string, extensions = "basicConstraints=CA:FALSE") {
    const [request, extensionFile] = [pki.file(`${name}.csr`), pki.file(`${name}.ext`)];
    await writeFile(extensionFile, extensions);
    const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key(name)];
    const made = await openssl("req", "-new", ...newKey, "-subj", `/CN=${name}`, "-out", request);
    expect(made.code).toBe(0);
    const signer = ["-CA", pem(issuer), "-CAkey", key(issuer), "-set_serial", "1", "-days", "1"];
    const signed = await openssl(
      ...["x509", "-req", "-in", request, ...signer, "-extfile", extensionFile, "-out", pem(name)],
    );
    expect(signed.code).toBe(0);
  }
});
