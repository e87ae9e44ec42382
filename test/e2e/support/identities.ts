import type { NodeIdentity } from "../../../src/app/role.ts";
import { issueNode, type KeyedCertificate, makeCa, type NodeRequest } from "../../../src/io/pki/pki.ts";

/** The CA that every node of a test trusts, one that none does, and one that only bears the same name. */
export const ca = await makeCa({ cn: "ut test CA" });
export const strangersCa = await makeCa();
export const namesakeCa = await makeCa({ cn: "ut test CA" });

/** A node's identity, ready for a role. `issuer` signs it; what it trusts is always `ca` unless said otherwise. */
export async function identity(
  request: NodeRequest & { readonly issuer?: KeyedCertificate; readonly trusts?: KeyedCertificate },
): Promise<NodeIdentity> {
  const { issuer = ca, trusts = ca, ...rest } = request;
  const { cert, key } = await issueNode(issuer, rest);
  const notAfter = rest.notAfter ?? new Date(Date.now() + 86_400_000);
  return { ca: trusts.cert, cert, key, cn: rest.cn ?? "", notAfter };
}

/** Names that a test server may be dialled by. */
export const SERVER_HOSTS = ["127.0.0.1", "::1", "localhost", "ut.test"];

export const serverIdentity = await identity({ cn: "server", hosts: SERVER_HOSTS });

const DAY_MS = 86_400_000;
const inDays = (days: number) => new Date(Date.now() + days * DAY_MS);
/** Lifetimes of certificates that must be refused. */
export const expired = { notBefore: inDays(-365), notAfter: inDays(-1) };
export const notYetValid = { notBefore: inDays(1), notAfter: inDays(365) };
