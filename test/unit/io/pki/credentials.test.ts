import { afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UtError } from "../../../../src/core/error.ts";
import type { CertificateNeed } from "../../../../src/io/pki/credential-checks.ts";
import { type CredentialFiles, examineCredentials, loadCredentials } from "../../../../src/io/pki/credentials.ts";
import { issueNode, type KeyedCertificate, makeCa, type NodeRequest } from "../../../../src/io/pki/pki.ts";

const now = new Date("2030-01-02T03:04:05Z");
const inDays = (days: number) => new Date(now.getTime() + days * 86_400_000);

let ca: KeyedCertificate;
let otherCa: KeyedCertificate;
let namesake: KeyedCertificate;
let home: KeyedCertificate;
let server: KeyedCertificate;

beforeAll(async () => {
  [ca, otherCa, namesake] = (await Promise.all(
    ["Home CA", "Other CA", "Home CA"].map((cn) => makeCa({ cn, now })),
  )) as [KeyedCertificate, KeyedCertificate, KeyedCertificate];
  home = await issueNode(ca, { cn: "home", now });
  server = await issueNode(ca, { cn: "server", hosts: ["vpn.example.com"], now });
});

let dir = "";
let files: CredentialFiles;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ut-credentials-"));
  files = { ca: join(dir, "ca.pem"), cert: join(dir, "node.pem"), key: join(dir, "node.key") };
});
afterEach(() => rm(dir, { recursive: true }));

async function write(pems: { ca?: string; cert?: string; key?: string }): Promise<void> {
  const all = { ca: ca.cert, cert: home.cert, key: home.key, ...pems };
  await writeFile(files.ca, all.ca);
  await writeFile(files.cert, all.cert);
  await writeFile(files.key, all.key, { mode: 0o600 });
}

/** Every problem as `reason`, config key and message, with the folder as DIR. */
async function problems(needs: readonly CertificateNeed[] = ["clientAuth"]): Promise<[string, string, string][]> {
  const examination = await examineCredentials(files, { needs, now });
  expect(examination.credentials === undefined).toBe(examination.problems.length > 0);
  return examination.problems.map(({ kind, message, details }) => {
    expect(kind).toBe("tls.credentials");
    return [String(details.reason), String(details.key), message.replaceAll(dir, "DIR")];
  });
}

async function problemsOf(
  request: NodeRequest,
  needs?: readonly CertificateNeed[],
): Promise<[string, string, string][]> {
  await write(await issueNode(ca, { now, ...request }));
  return problems(needs);
}

describe("good credentials", () => {
  test("of a client are its PEM texts, its name and its dates", async () => {
    await write({});
    expect(await loadCredentials(files, { needs: ["clientAuth"], now })).toEqual({
      ca: ca.cert,
      cert: home.cert,
      key: home.key,
      cn: "home",
      notBefore: new Date("2030-01-02T02:59:05Z"),
      notAfter: new Date("2032-04-06T03:04:05Z"),
      caNotAfter: new Date("2039-12-31T03:04:05Z"),
      fingerprint: new X509Certificate(home.cert).fingerprint256,
      warnings: [],
    });
  });

  test("of a server serve both ends", async () => {
    await write(server);
    expect(await problems(["serverAuth"])).toEqual([]);
    expect(await problems(["serverAuth", "clientAuth"])).toEqual([]);
  });

  test("may stand between notes, with several CAs, Windows line ends and a key in SEC1 form", async () => {
    const sec1 = createPrivateKey(home.key).export({ format: "pem", type: "sec1" });
    await write({
      ca: `# old\n${otherCa.cert}\n# new\n${ca.cert}`.replaceAll("\n", "\r\n"),
      cert: `subject=home\r\n${home.cert}`,
      key: String(sec1),
    });
    expect(await problems()).toEqual([]);
  });

  test("warn of a near end and of a key that everyone can read", async () => {
    const shortCa = await makeCa({ cn: "Short CA", now, days: 60 });
    await write({ ca: shortCa.cert, ...(await issueNode(shortCa, { cn: "home", now, days: 20 })) });
    await chmod(files.key, 0o644);
    const { warnings } = await loadCredentials(files, { needs: ["clientAuth"], now });
    expect(warnings.map((warning) => Object.values(warning).map((text) => text.replaceAll(dir, "DIR")))).toEqual([
      [
        "ends-soon",
        "The certificate DIR/node.pem ends on 2030-01-22 03:04:05Z (20 days left)",
        "ut pki renew --cn home",
      ],
      [
        "ca-ends-soon",
        'The CA "CN=Short CA" of DIR/ca.pem ends on 2030-03-03 03:04:05Z (60 days left)',
        "ut pki renew --ca",
      ],
      ["key-is-public", "Every user of this machine can read the private key DIR/node.key", "chmod 600 DIR/node.key"],
    ]);
  });
});

describe("files", () => {
  test("that do not exist are all named, and the first is thrown", async () => {
    const remedy = (key: string) =>
      `there is no such file: correct ${key} in the config, or make the certificates with "ut pki" and copy them here`;
    const messages = [
      `Cannot use DIR/ca.pem as tls.ca_cert: ${remedy("tls.ca_cert")}`,
      `Cannot use DIR/node.pem as tls.cert: ${remedy("tls.cert")}`,
      `Cannot use DIR/node.key as tls.key: ${remedy("tls.key")}`,
    ];
    expect((await problems()).map(([reason, , message]) => [reason, message])).toEqual(
      messages.map((message) => ["unreadable", message]),
    );
    const error = await loadCredentials(files, { needs: [] }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UtError);
    expect(error).toMatchObject({
      kind: "tls.credentials",
      message: messages[0]?.replaceAll("DIR", dir),
      details: { reason: "unreadable", key: "tls.ca_cert", path: files.ca },
    });
  });

  test("that are folders", async () => {
    await write({});
    await rm(files.cert);
    await mkdir(files.cert);
    expect(await problems()).toEqual([
      [
        "unreadable",
        "tls.cert",
        "Cannot use DIR/node.pem as tls.cert: it is a folder: name the file itself in tls.cert",
      ],
    ]);
  });

  test.skipIf(process.getuid?.() === 0)("that this user may not read", async () => {
    await write({});
    await chmod(files.key, 0);
    expect(await problems()).toEqual([
      [
        "unreadable",
        "tls.key",
        "Cannot use DIR/node.key as tls.key: permission denied: let the user that runs ut read it, with chown or chmod",
      ],
    ]);
  });

  test("that are swapped", async () => {
    await write({ cert: home.key, key: home.cert });
    expect(await problems()).toEqual([
      [
        "not-pem",
        "tls.cert",
        "Cannot use DIR/node.pem as tls.cert: it holds a private key and no certificate: are tls.cert and tls.key swapped?",
      ],
      [
        "not-pem",
        "tls.key",
        "Cannot use DIR/node.key as tls.key: it holds a certificate and no private key: are tls.cert and tls.key swapped?",
      ],
    ]);
  });

  test("that are no PEM, or damaged", async () => {
    const damaged = home.cert.replace(/\n.{8}/, "\nAAAAAAAA");
    await write({ ca: "garbage", cert: damaged, key: "" });
    expect(await problems()).toEqual([
      [
        "not-pem",
        "tls.ca_cert",
        'Cannot use DIR/ca.pem as tls.ca_cert: it holds no "-----BEGIN CERTIFICATE-----": expected PEM; "openssl x509 -inform der -in DIR/ca.pem" converts a DER file',
      ],
      [
        "not-pem",
        "tls.cert",
        "Cannot use DIR/node.pem as tls.cert: its PEM certificate is damaged: copy it again from where it was made",
      ],
      [
        "not-pem",
        "tls.key",
        "Cannot use DIR/node.key as tls.key: it holds no PEM private key: copy it again from where it was made",
      ],
    ]);
  });

  test.each(["pkcs8", "sec1"] as const)("that are protected by a passphrase (%s)", async (type) => {
    const encrypted =
      type === "pkcs8"
        ? createPrivateKey(home.key).export({ format: "pem", type, cipher: "aes-256-cbc", passphrase: "x" })
        : "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n";
    await write({ key: String(encrypted) });
    expect(await problems()).toEqual([
      [
        "encrypted-key",
        "tls.key",
        'Cannot use DIR/node.key as tls.key: it is protected by a passphrase: remove it with "openssl pkey -in DIR/node.key -out FILE" and keep FILE at mode 0600',
      ],
    ]);
  });
});

describe("certificate and key", () => {
  test("must belong together", async () => {
    await write({ key: server.key });
    expect(await problems()).toEqual([
      [
        "key-mismatch",
        "tls.key",
        "Cannot use DIR/node.key as tls.key: it is not the key of the certificate DIR/node.pem: copy certificate and key again, from the same issue",
      ],
    ]);
  });

  test.each<[string, NodeRequest, string]>([
    ["none", { subject: [{ O: "x" }] }, "it has no common name (CN), which is what other nodes know it by"],
    ["two", { subject: [{ CN: "a" }, { CN: "b" }] }, "it has 2 common names (a, b), and a node must have exactly one"],
    [
      "one that is no identity",
      { subject: [{ CN: "a b" }] },
      'its common name "a b" is not 1 to 64 letters, digits, dots and hyphens',
    ],
  ])("carry exactly one common name, not %s", async (_, request, cause) => {
    expect(await problemsOf(request)).toEqual([
      [
        "common-name",
        "tls.cert",
        `Cannot use DIR/node.pem as tls.cert: ${cause}: issue one with "ut pki issue --cn NAME"`,
      ],
    ]);
  });
});

describe("the chain", () => {
  const REMEDY =
    "both ends of a tunnel need certificates of one CA: copy the ca.pem that belongs to it, or issue it anew";

  test("leads to the CA", async () => {
    await write({ ca: otherCa.cert });
    expect(await problems()).toEqual([
      [
        "wrong-ca",
        "tls.cert",
        `Cannot use DIR/node.pem as tls.cert: it was issued by "CN=Home CA", but DIR/ca.pem holds "CN=Other CA": ${REMEDY}`,
      ],
    ]);
  });

  test("is told from one to a CA of the same name", async () => {
    await write({ ca: namesake.cert });
    expect(await problems()).toEqual([
      [
        "wrong-ca",
        "tls.cert",
        `Cannot use DIR/node.pem as tls.cert: it names the issuer "CN=Home CA", but the CA of that name in DIR/ca.pem has not signed it (an older one?): ${REMEDY}`,
      ],
    ]);
  });

  test("works while two CAs of one name are both trusted", async () => {
    await write({ ca: namesake.cert + ca.cert });
    expect(await problems()).toEqual([]);
  });

  test("does not start at a node", async () => {
    await write({ ca: home.cert });
    expect(await problems()).toEqual([
      [
        "not-a-ca",
        "tls.ca_cert",
        'Cannot use DIR/ca.pem as tls.ca_cert: "CN=home" is no CA: name the ca.pem that "ut pki init" wrote',
      ],
    ]);
  });

  test("does not end at a CA", async () => {
    await write({ cert: ca.cert, key: ca.key });
    expect((await problems()).map(([reason]) => reason)).toEqual(["is-a-ca", "common-name"]);
    expect((await problems())[0]?.[2]).toBe(
      'Cannot use DIR/node.pem as tls.cert: it is the certificate of a CA: name the certificate that "ut pki issue" made for this node',
    );
  });
});

describe("the clock", () => {
  test("is past the end of the certificate", async () => {
    expect(await problemsOf({ cn: "home", notAfter: inDays(-3) })).toEqual([
      [
        "expired",
        "tls.cert",
        'Cannot use DIR/node.pem as tls.cert: "CN=home" expired 3 days ago, on 2029-12-30 03:04:05Z (the clock here says 2030-01-02 03:04:05Z): renew it with "ut pki renew --cn home" where the CA is, and copy it here',
      ],
    ]);
  });

  test("is before its start", async () => {
    expect(await problemsOf({ cn: "home", notBefore: inDays(1) })).toEqual([
      [
        "not-yet-valid",
        "tls.cert",
        'Cannot use DIR/node.pem as tls.cert: "CN=home" is valid from 2030-01-03 03:04:05Z, and the clock here says 2030-01-02 03:04:05Z: set the clock of this machine, or of the one that issued it',
      ],
    ]);
  });

  test("is past the end of the CA", async () => {
    const oldCa = await makeCa({ cn: "Old CA", now, notAfter: inDays(-1) });
    await write({ ca: oldCa.cert, ...(await issueNode(oldCa, { cn: "home", now, notAfter: inDays(9) })) });
    expect(await problems()).toEqual([
      [
        "ca-expired",
        "tls.ca_cert",
        'Cannot use DIR/ca.pem as tls.ca_cert: "CN=Old CA" expired 24 hours ago, on 2030-01-01 03:04:05Z (the clock here says 2030-01-02 03:04:05Z): renew it with "ut pki renew --ca", and copy ca.pem to every node',
      ],
    ]);
  });
});

describe("usages", () => {
  test("of an agent whose streams peers connect to are a server's, by the agent's name", async () => {
    expect(await problemsOf({ cn: "office", agent: true }, ["clientAuth", "agent"])).toEqual([]);
    const refusal = [
      "usage",
      "tls.cert",
      "Cannot use DIR/node.pem as tls.cert: it is not an agent's (serverAuth for office.ut.internal), which services.socks needs: peers' ut socks would refuse it: issue it with \"ut pki issue --cn office --agent --force\"",
    ] as [string, string, string];
    expect(await problemsOf({ cn: "office" }, ["clientAuth", "agent"])).toEqual([refusal]);
    expect(await problemsOf({ cn: "office", hosts: ["office.example"] }, ["agent"])).toEqual([refusal]);
  });

  test("of a client do not make a server", async () => {
    const remedy = 'issue it with "ut pki issue --cn home --host HOST --force"';
    await write({});
    expect(await problems(["serverAuth"])).toEqual([
      [
        "usage",
        "tls.cert",
        `Cannot use DIR/node.pem as tls.cert: it lacks the usage serverAuth, so clients will refuse this node as a server: ${remedy}`,
      ],
      [
        "no-hosts",
        "tls.cert",
        `Cannot use DIR/node.pem as tls.cert: it names no host (subjectAltName), so no client can tell that it dialled the right server: ${remedy}`,
      ],
    ]);
  });

  test("of a server alone do not make a client", async () => {
    expect(await problemsOf({ cn: "home", hosts: ["a.example"], usages: ["serverAuth"] })).toEqual([
      [
        "usage",
        "tls.cert",
        'Cannot use DIR/node.pem as tls.cert: it lacks the usage clientAuth, so servers will refuse this node as a client: issue it with "ut pki issue --cn home --force"',
      ],
    ]);
  });
});

test("everything that is wrong is told at once, the most telling first", async () => {
  await write({ ...(await issueNode(ca, { subject: [], now, notAfter: inDays(-1) })), key: server.key });
  expect((await problems(["serverAuth"])).map(([reason]) => reason)).toEqual([
    "common-name",
    "key-mismatch",
    "expired",
    "usage",
    "no-hosts",
  ]);
});
