import { expect, test } from "bun:test";
import { type PeerCredentials, peerIdentity } from "../../../../src/io/pki/peer-identity.ts";
import { issueNode, type KeyedCertificate, makeCa, type NodeRequest } from "../../../../src/io/pki/pki.ts";
import { utf8 } from "../../../bytes.ts";

const ca = await makeCa({ cn: "Home CA" });
const otherCa = await makeCa({ cn: "Other CA" });
const namesake = await makeCa({ cn: "Home CA" });
const text = utf8("what was said");

async function credentials(request: NodeRequest, issuer: KeyedCertificate = ca): Promise<PeerCredentials> {
  return { cn: request.cn ?? "", ca: ca.cert, ...(await issueNode(issuer, request)) };
}

const home = peerIdentity(await credentials({ cn: "home" }));
const office = await credentials({ cn: "office", agent: true });

test("what one peer signs the other verifies, and knows by whom", () => {
  const peer = peerIdentity(office);
  expect(home.verify(peer.certificate, text, peer.sign(text))).toEqual({ ok: true, cn: "office" });
  expect(home.verify(home.certificate, text, home.sign(text))).toEqual({ ok: true, cn: "home" });
});

test("a signature over anything else, by another key, or none", () => {
  const bad = { ok: false, kind: "bad-signature", detail: "the key of office has not signed this" } as const;
  expect(home.verify(office.cert, utf8("what was not"), peerIdentity(office).sign(text))).toEqual(bad);
  expect(home.verify(office.cert, text, home.sign(text))).toEqual(bad);
  expect(home.verify(office.cert, text, new Uint8Array(0))).toEqual(bad);
  expect(home.verify(office.cert, text, new Uint8Array(64))).toEqual(bad);
});

const DAY_MS = 86_400_000;
const past = { notBefore: new Date(Date.now() - 9 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
const future = { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 9 * DAY_MS) };

test.each([
  ["of another CA", { cn: "office" }, otherCa, 'office was issued by "CN=Other CA", which is not our CA'],
  ["of a CA of the same name", { cn: "office" }, namesake, 'office was issued by "CN=Home CA", which is not our CA'],
  ["that has ended", { cn: "office", ...past }, ca, /^"CN=office" is valid from .* to /],
  ["that has not begun", { cn: "office", ...future }, ca, /^"CN=office" is valid from .* to /],
  ["with two names", { subject: [{ CN: "a" }, { CN: "b" }] }, ca, "its common name is several"],
  ["without a name", { subject: [{ O: "x" }] }, ca, "its common name is missing"],
  ["with a name that would need quoting", { subject: [{ CN: "a b" }] }, ca, "its common name is malformed"],
] as const)("a certificate %s is refused", async (_, request, issuer, detail) => {
  const { cert, key } = await credentials(request as NodeRequest, issuer);
  const signature = peerIdentity({ cn: "", ca: ca.cert, cert, key }).sign(text);
  const refused = { ok: false, kind: "bad-certificate", detail: expect.stringMatching(detail) } as const;
  expect(home.verify(cert, text, signature)).toEqual(refused);
});

test.each([
  ["nothing", "", "there is none"],
  ["garbage in armour", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", /^it cannot be read: /],
  ["the CA itself", ca.cert, "it is the certificate of a CA"],
])("%s instead of a certificate is refused", (_, pem, detail) => {
  const refused = { ok: false, kind: "bad-certificate", detail: expect.stringMatching(detail) } as const;
  expect(home.verify(pem, text, new Uint8Array(64))).toEqual(refused);
});

test("a name in tls.deny_cn is refused although the CA signed it", async () => {
  const strict = peerIdentity(await credentials({ cn: "home" }), ["office"]);
  expect(strict.verify(office.cert, text, peerIdentity(office).sign(text))).toEqual({
    ok: false,
    kind: "bad-certificate",
    detail: "CN office is in tls.deny_cn",
  });
});
