import { afterEach, beforeEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { PkiFolder } from "./pki-folder.ts";

let folder: PkiFolder;
beforeEach(async () => {
  folder = await PkiFolder.make();
});
afterEach(() => folder[Symbol.asyncDispose]());

/** What is random in a certificate: its serial number, and the fingerprint over all of it. */
async function random(name: string): Promise<{ serial: string; fingerprint: string }> {
  const certificate = new X509Certificate(await folder.read(name));
  return { serial: certificate.serialNumber, fingerprint: certificate.fingerprint256 };
}

async function makeTwoNodes(): Promise<void> {
  await folder.mustRun("init", "--cn", "Home CA");
  await folder.mustRun("issue", "--cn", "server", "--host", "vpn.example.com", "--host", "203.0.113.7");
  await folder.mustRun("issue", "--cn", "home", "--days", "30");
}

test("shows the CA first, then every node", async () => {
  await makeTwoNodes();
  const [ca, home, server] = [await random("ca.pem"), await random("home.pem"), await random("server.pem")];
  expect(await folder.run("show")).toEqual({
    out: `ca  DIR/ca.pem
  subject  CN=Home CA
  issuer   CN=Home CA
  usages   CA with path length 0, keyCertSign, cRLSign
  valid    2030-01-02 02:59:05Z to 2039-12-31 03:04:05Z, 3650 days left
  serial   ${ca.serial}
  SHA-256  ${ca.fingerprint}
  key      DIR/ca.key

home  DIR/home.pem
  subject  CN=home
  issuer   CN=Home CA
  usages   digitalSignature, clientAuth
  hosts    none (dials only)
  valid    2030-01-02 02:59:05Z to 2030-02-01 03:04:05Z, 30 days left
  serial   ${home.serial}
  SHA-256  ${home.fingerprint}
  key      DIR/home.key

server  DIR/server.pem
  subject  CN=server
  issuer   CN=Home CA
  usages   digitalSignature, serverAuth, clientAuth
  hosts    DNS:vpn.example.com, IP:203.0.113.7
  valid    2030-01-02 02:59:05Z to 2032-04-06 03:04:05Z, 825 days left
  serial   ${server.serial}
  SHA-256  ${server.fingerprint}
  key      DIR/server.key`,
    code: 0,
  });
});

test("--json is for programs", async () => {
  await makeTwoNodes();
  const outcome = await folder.run("show", "--json");
  if ("error" in outcome) throw new Error(outcome.error);
  const begin = "2030-01-02T02:59:05.000Z";
  const good = { notBefore: begin, state: "valid", key: "matches", issuer: "CN=Home CA" };
  const node = { ...good, ca: false, keyUsage: ["digitalSignature"], issuedHere: true };
  expect(JSON.parse(outcome.out)).toEqual({
    dir: "DIR",
    certificates: [
      {
        ...good,
        name: "ca",
        file: "DIR/ca.pem",
        subject: "CN=Home CA",
        ca: true,
        pathLength: 0,
        keyUsage: ["keyCertSign", "cRLSign"],
        extendedKeyUsage: [],
        names: [],
        notAfter: "2039-12-31T03:04:05.000Z",
        daysLeft: 3650,
        keyFile: "DIR/ca.key",
        ...(await random("ca.pem")),
      },
      {
        ...node,
        name: "home",
        file: "DIR/home.pem",
        subject: "CN=home",
        cn: "home",
        extendedKeyUsage: ["clientAuth"],
        names: [],
        notAfter: "2030-02-01T03:04:05.000Z",
        daysLeft: 30,
        keyFile: "DIR/home.key",
        ...(await random("home.pem")),
      },
      {
        ...node,
        name: "server",
        file: "DIR/server.pem",
        subject: "CN=server",
        cn: "server",
        extendedKeyUsage: ["serverAuth", "clientAuth"],
        names: ["DNS:vpn.example.com", "IP:203.0.113.7"],
        notAfter: "2032-04-06T03:04:05.000Z",
        daysLeft: 825,
        keyFile: "DIR/server.key",
        ...(await random("server.pem")),
      },
    ],
  });
});

test("--cn shows one node, on that node as well, where no CA is", async () => {
  await makeTwoNodes();
  const { serial, fingerprint } = await random("home.pem");
  for (const name of ["ca.pem", "ca.key", "home.key"]) await rm(folder.file(name));
  expect(await folder.runAt(new Date("2030-02-03T03:04:05Z"), "show", "--cn", "home")).toEqual({
    out: `home  DIR/home.pem
  subject  CN=home
  issuer   CN=Home CA
  usages   digitalSignature, clientAuth
  hosts    none (dials only)
  valid    2030-01-02 02:59:05Z to 2030-02-01 03:04:05Z, expired 2 days ago
  serial   ${serial}
  SHA-256  ${fingerprint}
  key      not here`,
    code: 0,
  });
});

test("tells what does not belong together", async () => {
  await makeTwoNodes();
  await folder.mustRun("init", "--cn", "Home CA", "--force");
  await writeFile(folder.file("home.key"), await folder.read("server.key"));
  await writeFile(folder.file("server.key"), "no key");
  const outcome = await folder.run("show");
  if ("error" in outcome) throw new Error(outcome.error);
  expect(outcome.out.split("\n").filter((line) => /^\S|^ +(issuer|key)/.test(line))).toEqual([
    "ca  DIR/ca.pem",
    "  issuer   CN=Home CA",
    "  key      DIR/ca.key",
    "home  DIR/home.pem",
    "  issuer   CN=Home CA (NOT the CA in this folder)",
    "  key      DIR/home.key (does NOT belong to this certificate)",
    "server  DIR/server.pem",
    "  issuer   CN=Home CA (NOT the CA in this folder)",
    "  key      DIR/server.key (holds NO readable key)",
  ]);
});

test("shows the rest where one file is damaged, and ends with 1", async () => {
  await makeTwoNodes();
  await writeFile(folder.file("ca.pem"), "no certificate");
  await rm(folder.file("server.pem"));
  const { serial, fingerprint } = await random("home.pem");
  expect(await folder.run("show")).toEqual({
    out: `ca  DIR/ca.pem
  problem  Cannot read the certificate: it is no PEM certificate, or a damaged one

home  DIR/home.pem
  subject  CN=home
  issuer   CN=Home CA (NOT the CA in this folder)
  usages   digitalSignature, clientAuth
  hosts    none (dials only)
  valid    2030-01-02 02:59:05Z to 2030-02-01 03:04:05Z, 30 days left
  serial   ${serial}
  SHA-256  ${fingerprint}
  key      DIR/home.key`,
    code: 1,
  });
  expect(await folder.run("show", "--json")).toMatchObject({
    out: expect.stringContaining(
      '"problem": "Cannot read the certificate: it is no PEM certificate, or a damaged one"',
    ),
    code: 1,
  });
});

test("says where nothing is", async () => {
  expect(await folder.run("show")).toEqual({
    error:
      'pki.missing: Cannot read DIR/ca.pem: there is no such file: make a CA with "ut pki init --dir DIR", or name its folder with --dir',
  });
  expect(await folder.run("show", "--cn", "home")).toEqual({
    error: "pki.missing: Cannot read DIR/home.pem: there is no such file: name the folder of its CA with --dir",
  });
  await folder.mustRun("init");
  expect(await folder.run("show", "--cn", "home")).toEqual({
    error: 'pki.missing: Cannot read DIR/home.pem: there is no such file: "ut pki show --dir DIR" lists what there is',
  });
  expect(await folder.run("show", "--cn", "ca")).toEqual({
    error:
      'usage.bad-value: Cannot keep a certificate for "ca": its files would be those of the CA: choose another name',
  });
});
