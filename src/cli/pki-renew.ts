import { X509Certificate } from "node:crypto";
import { UtError } from "../core/error.ts";
import { renewCa, renewNode } from "../io/pki.ts";
import { isIssuedBy } from "../io/pki-chain.ts";
import { describeCertificate } from "../io/pki-describe.ts";
import { DEFAULT_CA_DAYS, DEFAULT_NODE_DAYS } from "../io/pki-lifetime.ts";
import { formatTime } from "../io/pki-validity.ts";
import { type Call, daysFlag, describeEnd, describeRole, inFiles, requiredCn } from "./pki-call.ts";
import { keyState } from "./pki-show.ts";

/** `ut pki renew`: a node's certificate, or the CA's own, for longer. */
export async function renew(call: Call): Promise<number> {
  const { flags, store, terminal, now } = call;
  if (flags.values.ca === true) return renewAuthority(call);
  const cn = requiredCn(flags, "renew");
  const newKey = flags.values["new-key"] === true;
  const days = daysFlag(flags) ?? DEFAULT_NODE_DAYS;
  const files = store.nodeFiles(cn);
  const old = await store.read(files);
  const ca = await store.readCa();
  const before = await inFiles(files, () => describeCertificate(old.cert));
  if (flags.values.force !== true && !isIssuedBy(new X509Certificate(old.cert), new X509Certificate(ca.cert)))
    throw new UtError(
      "pki.mismatch",
      `Cannot renew ${files.cert}: the CA in ${store.dir} has not issued it ("${before.issuer}" has): use --force to move the node to this CA`,
    );
  if (!newKey && keyState(old.cert, old.key) === "mismatch")
    throw new UtError(
      "pki.mismatch",
      `Cannot renew ${files.cert} with its key: ${files.key} belongs to another certificate: use --new-key, or remove that file if the node has its key`,
    );
  const renewed = await inFiles(store.caFiles, () => renewNode(ca, old.cert, { newKey, days, now }));
  await store.replace(files, renewed);
  const after = await describeCertificate(renewed.cert);
  const key = newKey ? `a new key: copy ${files.key} as well` : "the same key";
  terminal.out(`Renewed "${cn}" with ${key}: ${describeRole(after)}, ${describeEnd(after, now, days)}
Copy ${files.cert} to that node and restart ut there; the old certificate ${
    before.notAfter < now ? "has ended" : `works until ${formatTime(before.notAfter)}`
  }
`);
  return 0;
}

async function renewAuthority({ flags, store, terminal, now }: Call): Promise<number> {
  for (const flag of ["cn", "new-key", "force"]) {
    if (flags.values[flag] === undefined) continue;
    const advice =
      flag === "cn" ? "renew nodes one by one" : 'a CA with another key is another CA: "ut pki init --force"';
    throw new UtError("usage.bad-flag", `Cannot use --${flag} together with --ca: ${advice}`);
  }
  const days = daysFlag(flags) ?? DEFAULT_CA_DAYS;
  const ca = await store.readCa();
  const cert = await inFiles(store.caFiles, () => renewCa(ca, { days, now }));
  await store.replace(store.caFiles, { cert });
  const info = await describeCertificate(cert);
  terminal.out(`Renewed the CA "${info.subject}" with the same key, valid until ${formatTime(info.notAfter)}
Copy ${store.caFiles.cert} to every node before the old one ends; certificates of nodes stay valid
`);
  return 0;
}
