import { beforeAll, describe, expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { UtError } from "../../../../src/core/error.ts";
import {
  issueNode,
  type KeyedCertificate,
  makeCa,
  type NodeRequest,
  renewCa,
  renewNode,
} from "../../../../src/io/pki/pki.ts";
import { isIssuedBy } from "../../../../src/io/pki/pki-chain.ts";
import { describeCertificate } from "../../../../src/io/pki/pki-describe.ts";

const now = new Date("2030-01-02T03:04:05.678Z");
const later = new Date("2031-06-01T00:00:00Z");

let ca: KeyedCertificate;
beforeAll(async () => {
  ca = await makeCa({ cn: "Test CA", now });
});

/** Kind and message of the error that a promise ends with. */
async function failure(promise: Promise<unknown>): Promise<[string, string]> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UtError)) throw new Error(`expected a UtError, not ${error}`);
  return [error.kind, error.message];
}

const HEX_SERIAL = /^[0-9A-F]{20,32}$/;
const FINGERPRINT = /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/;

describe("CA", () => {
  test("may sign nodes and nothing else, ten years from now on", async () => {
    expect(await describeCertificate(ca.cert)).toEqual({
      subject: "CN=Test CA",
      issuer: "CN=Test CA",
      cn: undefined,
      ca: true,
      pathLength: 0,
      keyUsage: ["keyCertSign", "cRLSign"],
      extendedKeyUsage: [],
      names: [],
      notBefore: new Date("2030-01-02T02:59:05Z"),
      notAfter: new Date("2039-12-31T03:04:05Z"),
      serial: expect.stringMatching(HEX_SERIAL),
      fingerprint: expect.stringMatching(FINGERPRINT),
    });
  });

  test("has a name of its own that can never be a node's", async () => {
    const [one, other] = await Promise.all([makeCa(), makeCa()]);
    const names = [one, other].map(({ cert }) => new X509Certificate(cert).subject);
    expect(names[0]).toMatch(/^CN=ut CA [0-9a-f]{8}$/);
    expect(names[0]).not.toBe(names[1]);
  });

  test("has a P-256 key in PKCS#8", () => {
    expect(ca.key).toStartWith("-----BEGIN PRIVATE KEY-----\n");
    expect(createPrivateKey(ca.key).asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
    expect(new X509Certificate(ca.cert).checkPrivateKey(createPrivateKey(ca.key))).toBe(true);
  });

  test("is renewed with the same name and key, so its nodes stay valid", async () => {
    const node = await issueNode(ca, { cn: "home", now });
    const renewed = await renewCa(ca, { now: later, days: 100 });
    const [before, after] = [await describeCertificate(ca.cert), await describeCertificate(renewed)];
    expect(after).toEqual({
      ...before,
      notBefore: new Date("2031-05-31T23:55:00Z"),
      notAfter: new Date("2031-09-09T00:00:00Z"),
      serial: after.serial,
      fingerprint: after.fingerprint,
    });
    expect(after.serial).not.toBe(before.serial);
    expect(isIssuedBy(new X509Certificate(node.cert), new X509Certificate(renewed))).toBe(true);
  });

  test.each(["", " x", "x".repeat(65), "a\nb"])("cannot be called %j", async (cn) => {
    const message = `Cannot name a CA "${cn}": use 1 to 64 printable characters`;
    expect(await failure(makeCa({ cn }))).toEqual(["pki.bad-name", message]);
  });
});

describe("node", () => {
  const CLIENT = {
    subject: "CN=home",
    issuer: "CN=Test CA",
    cn: "home",
    ca: false,
    pathLength: undefined,
    keyUsage: ["digitalSignature"],
    extendedKeyUsage: ["clientAuth"],
    names: [],
    notBefore: new Date("2030-01-02T02:59:05Z"),
    notAfter: new Date("2032-04-06T03:04:05Z"),
    serial: expect.stringMatching(HEX_SERIAL),
    fingerprint: expect.stringMatching(FINGERPRINT),
  };

  test("without hosts is a client and nothing else", async () => {
    const node = await issueNode(ca, { cn: "home", now });
    expect(await describeCertificate(node.cert)).toEqual(CLIENT);
    expect(new X509Certificate(node.cert).checkPrivateKey(createPrivateKey(node.key))).toBe(true);
    expect(isIssuedBy(new X509Certificate(node.cert), new X509Certificate(ca.cert))).toBe(true);
  });

  test("with hosts is a server, too, and each host counts once", async () => {
    const hosts = ["vpn.example.com", "203.0.113.7", "2001:db8::1", "VPN.example.com", "2001:DB8:0::1"];
    const node = await issueNode(ca, { cn: "home", hosts, now, days: 7 });
    expect(await describeCertificate(node.cert)).toEqual({
      ...CLIENT,
      extendedKeyUsage: ["serverAuth", "clientAuth"],
      names: ["DNS:vpn.example.com", "IP:203.0.113.7", "IP:2001:db8::1"],
      notAfter: new Date("2030-01-09T03:04:05Z"),
    });
  });

  test("as an agent is dialled by its CN", async () => {
    const node = await issueNode(ca, { cn: "home", agent: true, now });
    expect(await describeCertificate(node.cert)).toEqual({
      ...CLIENT,
      extendedKeyUsage: ["serverAuth", "clientAuth"],
      names: ["DNS:home.ut.internal"],
    });
  });

  test("lives inside the life of its CA", async () => {
    const shortCa = await makeCa({
      notBefore: new Date("2030-01-02T03:00:00Z"),
      notAfter: new Date("2030-02-01T00:00:00Z"),
    });
    const { notBefore, notAfter } = await describeCertificate((await issueNode(shortCa, { cn: "home", now })).cert);
    expect([notBefore, notAfter]).toEqual([new Date("2030-01-02T03:00:00Z"), new Date("2030-02-01T00:00:00Z")]);
  });

  test("has a serial number of 128 random bits", async () => {
    const serials = await Promise.all(
      Array.from(
        { length: 32 },
        async () => (await describeCertificate((await issueNode(ca, { cn: "a", now })).cert)).serial,
      ),
    );
    expect(new Set(serials).size).toBe(32);
    // The chance that 32 of them all lack the top byte is 2^-256.
    expect(Math.max(...serials.map((serial) => serial.length))).toBe(32);
  });

  test.each<[string, NodeRequest, string]>([
    ["no CN", {}, 'Cannot issue a certificate for the CN "": use 1 to 64 letters, digits, dots and hyphens'],
    [
      "a CN",
      { cn: "a b" },
      'Cannot issue a certificate for the CN "a b": use 1 to 64 letters, digits, dots and hyphens',
    ],
    [
      "a host",
      { cn: "a", hosts: ["x:1"] },
      'Cannot put the host "x:1" into a certificate: it carries a port, and a certificate is good for every port: expected a DNS name, an IPv4 or an IPv6 address',
    ],
    [
      "an agent",
      { cn: "a.", agent: true },
      'Cannot make "a." an agent: peers dial it as "a..ut.internal", which is no host name: use letters, digits and inner hyphens, at most 63 of them between two dots',
    ],
  ])("with %s that no certificate may carry is refused", async (_, request, message) => {
    expect(await failure(issueNode(ca, { ...request, now }))).toEqual(["pki.bad-name", message]);
  });

  test("is renewed with name, hosts, usages and key as they were", async () => {
    const old = await issueNode(ca, { cn: "home", hosts: ["vpn.example.com", "::1"], now });
    const renewed = await renewNode(ca, old.cert, { now: later });
    const [before, after] = [await describeCertificate(old.cert), await describeCertificate(renewed.cert)];
    expect(renewed.key).toBeUndefined();
    expect(after).toEqual({
      ...before,
      notBefore: new Date("2031-05-31T23:55:00Z"),
      notAfter: new Date("2033-09-03T00:00:00Z"),
      serial: after.serial,
      fingerprint: after.fingerprint,
    });
    expect(after.serial).not.toBe(before.serial);
    expect(new X509Certificate(renewed.cert).checkPrivateKey(createPrivateKey(old.key))).toBe(true);
  });

  test("is renewed with a new key on request, and by another CA", async () => {
    const other = await makeCa({ cn: "Other CA", now });
    const old = await issueNode(ca, { cn: "home", agent: true, now });
    const renewed = await renewNode(other, old.cert, { now: later, newKey: true });
    const certificate = new X509Certificate(renewed.cert);
    expect(certificate.checkPrivateKey(createPrivateKey(old.key))).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(renewed.key ?? ""))).toBe(true);
    expect(isIssuedBy(certificate, new X509Certificate(other.cert))).toBe(true);
    expect((await describeCertificate(renewed.cert)).names).toEqual(["DNS:home.ut.internal"]);
  });
});

describe("a CA that cannot sign", () => {
  const reject = (broken: KeyedCertificate) => failure(issueNode(broken, { cn: "a", now }));

  test("because its time is over, or its machine's clock is wrong", async () => {
    const days = { notBefore: new Date("2030-01-01T00:00:00Z"), notAfter: new Date("2030-01-02T00:00:00Z") };
    const expired = await makeCa({ cn: "X", ...days });
    expect(await reject(expired)).toEqual([
      "pki.expired",
      'Cannot sign with the CA "CN=X": it expired on 2030-01-02 00:00:00Z: renew it with "ut pki renew --ca"',
    ]);
    const future = await makeCa({ cn: "X", now: later });
    expect(await reject(future)).toEqual([
      "pki.expired",
      'Cannot sign with the CA "CN=X": it is valid from 2031-05-31 23:55:00Z, and the clock here says 2030-01-02 03:04:05Z: set the clock',
    ]);
  });

  test("because its key is another's", async () => {
    const other = await makeCa({ now });
    expect(await reject({ cert: ca.cert, key: other.key })).toEqual([
      "pki.mismatch",
      'Cannot sign as "CN=Test CA": the CA\'s key belongs to another certificate',
    ]);
  });

  test.each([
    ["a certificate that is none", { cert: "x" }, "Cannot read the certificate: it is no PEM certificate"],
    ["a key that is none", { key: "x" }, "Cannot read the CA's private key: it is no unencrypted PEM key"],
  ])("because of %s", async (_, part, message) => {
    expect(await reject({ ...ca, ...part })).toEqual(["pki.unreadable", message]);
  });

  test("because its key is no P-256 key", async () => {
    const key = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ format: "pem", type: "pkcs8" });
    expect(await reject({ ...ca, key: String(key) })).toEqual([
      "pki.unreadable",
      "Cannot sign with the CA's key: it is no P-256 key, and ut signs with no other",
    ]);
  });

  test("signs all the same with a key in the older SEC1 form", async () => {
    const sec1 = createPrivateKey(ca.key).export({ format: "pem", type: "sec1" });
    const node = await issueNode({ ...ca, key: String(sec1) }, { cn: "a", now });
    expect(isIssuedBy(new X509Certificate(node.cert), new X509Certificate(ca.cert))).toBe(true);
  });
});

describe("certificates that must be refused", () => {
  const info = async (request: NodeRequest) => describeCertificate((await issueNode(ca, { now, ...request })).cert);

  test("can be made with any time", async () => {
    const [notBefore, notAfter] = [new Date("2001-01-01T00:00:00Z"), new Date("2060-01-01T00:00:00Z")];
    expect(await info({ cn: "a", notBefore, notAfter })).toMatchObject({ notBefore, notAfter });
  });

  test("can be made with any subject", async () => {
    expect(await info({ subject: [{ CN: "a" }, { CN: "b" }] })).toMatchObject({ subject: "CN=a, CN=b", cn: undefined });
    expect(await info({ subject: [{ O: "nobody" }] })).toMatchObject({ subject: "O=nobody", cn: undefined });
    expect(await info({ subject: [] })).toMatchObject({ subject: "", cn: undefined });
    expect(await info({ subject: [{ CN: "a b" }] })).toMatchObject({ subject: "CN=a b", cn: undefined });
  });

  test("can be made with any usage", async () => {
    expect(await info({ cn: "a", usages: ["serverAuth"] })).toMatchObject({ extendedKeyUsage: ["serverAuth"] });
    expect(await info({ cn: "a", hosts: ["b"], usages: ["clientAuth"] })).toMatchObject({
      extendedKeyUsage: ["clientAuth"],
      names: ["DNS:b"],
    });
  });
});
