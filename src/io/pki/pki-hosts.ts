import { isIP, isIPv4 } from "node:net";
import { domainToASCII } from "node:url";
import { UtError } from "../../core/error.ts";

/** One entry of a certificate's subjectAltName, in canonical text: DNS in lower-case ASCII, IPv6 compressed. */
export interface SubjectAltName {
  readonly type: "dns" | "ip";
  readonly value: string;
}

/** Agents are addressed by CN, not by where they are: QUIC wants a DNS name, and this zone can exist nowhere else. */
export const AGENT_ZONE = "ut.internal";

const DNS_LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;

/**
 * A host that a client dials, as it goes into the certificate: DNS name (also `*.example.com`, or an international
 * one), IPv4 or IPv6 address.
 *
 * @throws UtError `pki.bad-name` for anything else, and for names of agents: who could ask for `x.ut.internal` as a
 * plain host name could pose as agent `x`.
 */
export function parseHost(text: string): SubjectAltName {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text;
  if (isIP(bare) && !bare.includes("%")) return { type: "ip", value: canonicalIp(bare) };
  const name = domainToASCII(bare.replace(/\.$/, "")).toLowerCase();
  const cause = whyNotDnsName(bare, name);
  if (cause !== undefined)
    throw new UtError("pki.bad-name", `Cannot put the host "${text}" into a certificate: ${cause}`, {
      details: { host: text },
    });
  return { type: "dns", value: name };
}

/**
 * The name that peers dial an agent by.
 *
 * @throws UtError `pki.bad-name` where the CN is no host name, for instance `a..b` or one that ends in a hyphen
 */
export function agentHost(cn: string): SubjectAltName {
  const value = `${cn}.${AGENT_ZONE}`.toLowerCase();
  if (!isDnsName(value))
    throw new UtError(
      "pki.bad-name",
      `Cannot make "${cn}" an agent: peers dial it as "${value}", which is no host name: ` +
        "use letters, digits and inner hyphens, at most 63 of them between two dots",
      { details: { cn } },
    );
  return { type: "dns", value };
}

/** One spelling per address, so that lists can be compared: `2001:DB8:0::1` is `2001:db8::1`. */
export function canonicalIp(address: string): string {
  return isIPv4(address) ? address : new URL(`http://[${address}]`).hostname.slice(1, -1);
}

export function formatSubjectAltName(name: SubjectAltName): string {
  return `${name.type === "ip" ? "IP" : "DNS"}:${name.value}`;
}

function whyNotDnsName(text: string, name: string): string | undefined {
  const hostname = "expected a DNS name, an IPv4 or an IPv6 address";
  if (text.includes("://")) return `it is a URL: ${hostname}`;
  if (/[\s,;]/.test(text)) return "it is more than one word: give each host its own --host";
  if (text.includes("%")) return `a zone is meaningful on one machine only: ${hostname}`;
  if (/:\d+$/.test(text)) return `it carries a port, and a certificate is good for every port: ${hostname}`;
  if (/^[\d.]+$/.test(text)) return `it is no IPv4 address: ${hostname}`;
  // An IDN that does not convert comes back empty.
  if (!isDnsName(name.replace(/^\*\.(?=[^.]+\.)/, ""))) return hostname;
  if (name === AGENT_ZONE || name.endsWith(`.${AGENT_ZONE}`))
    return `names under ${AGENT_ZONE} belong to agents: use --agent`;
  return undefined;
}

/** RFC 1123 §2.1: letters, digits and inner hyphens, labels of 63, 253 in all. */
function isDnsName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => DNS_LABEL.test(label));
}
