import { UtError } from "../../core/error.ts";
import { renewCa, renewNode } from "../../io/pki/pki.ts";
import { describeCertificate } from "../../io/pki/pki-describe.ts";
import { DEFAULT_CA_DAYS, DEFAULT_NODE_DAYS } from "../../io/pki/pki-lifetime.ts";
import { formatTime } from "../../io/pki/pki-validity.ts";
import { type Call, daysFlag, describeEnd, describeOld, describeRole, inFiles, requiredCn } from "./pki-call.ts";
import { isOfCa, keyState } from "./pki-relations.ts";

/** `ut pki renew`: a node's certificate, or the CA's own, for longer. */
export async function renew(call: Call): Promise<number> {
  const { flags, store, terminal, now } = call;
  if (flags.values.ca === true) return renewAuthority(call);
  const cn = requiredCn(flags, "add --cn NAME, or --ca for the CA itself");
  const newKey = flags.values["new-key"] === true;
  const days = daysFlag(flags) ?? DEFAULT_NODE_DAYS;
  const files = store.nodeFiles(cn);
  const old = await store.read(files);
  const ca = await store.readCa();
  const before = await inFiles(files, () => describeCertificate(old.cert));
  await inFiles(store.caFiles, () => describeCertificate(ca.cert));
  const moves = !isOfCa(old.cert, ca.cert);
  if (moves && flags.values.force !== true)
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
  const copies = [files.cert, ...(newKey ? [files.key] : []), ...(moves ? [store.caFiles.cert] : [])].join(" and ");
  const fate = moves ? "both ends of a tunnel need the same CA" : describeOld(before, now);
  terminal.out(`Renewed "${cn}" with ${newKey ? "a new" : "the same"} key: ${describeRole(after)}, ${describeEnd(after, call, days)}
Copy ${copies} to that node and restart ut there; ${fate}`);
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
  const before = await inFiles(store.caFiles, () => describeCertificate(ca.cert));
  const cert = await inFiles(store.caFiles, () => renewCa(ca, { days, now }));
  await store.replace(store.caFiles, { cert });
  const info = await describeCertificate(cert);
  terminal.out(`Renewed the CA "${info.subject}" with the same key, valid until ${formatTime(info.notAfter)}
Copy ${store.caFiles.cert} to every node and restart ut there; ${describeOld(before, now)}
Certificates of nodes stay valid until their own end`);
  return 0;
}
