import { canonicalIp, formatIp, type IpBytes, parseIp } from "../net/ip.ts";
import { comparableName, type ExitRule } from "./exit-rule.ts";
import { type ExitScope, embedded, exitScope, within } from "./exit-scope.ts";

/** Why an agent does not connect to an address: what it is, or that it is nothing that was listed. */
export type ExitRefusal = Exclude<ExitScope, "public"> | "own" | "not-listed";

export interface ExitPolicyOptions {
  /** What may be reached; none means every public address. */
  readonly rules: readonly ExitRule[];
  /** Whether an address, in canonical text, is this host's or leads back to it; asked whenever it matters. */
  readonly isOwn: (address: string) => boolean;
}

const EVERYTHING_PUBLIC: ExitRule = { hosts: { type: "public" }, firstPort: 0, lastPort: 65_535 };

/** No name leads there, whoever owns the name: only who lists such an address means it. */
const NEVER_BY_NAME: readonly ExitScope[] = [
  "loopback",
  "link-local",
  "unspecified",
  "multicast",
  "broadcast",
  "reserved",
];

/**
 * Which destinations an agent connects to for its peers. It judges addresses, each with the name that led there, and
 * never names alone: whoever owns a name can point it anywhere, at any time.
 *
 * - `public` lets public addresses in that are not this host's own.
 * - A prefix lets in what it says, whatever that is.
 * - A name lets in the public and private addresses behind it: neither this host's own, nor loopback, link-local (where
 *   clouds keep credentials), multicast and the like.
 */
export class ExitPolicy {
  readonly #rules: readonly ExitRule[];
  readonly #isOwnAddress: ExitPolicyOptions["isOwn"];

  constructor({ rules, isOwn }: ExitPolicyOptions) {
    this.#rules = rules.length === 0 ? [EVERYTHING_PUBLIC] : rules;
    this.#isOwnAddress = isOwn;
  }

  /** Whether to connect to `address`, in any text, which `name` led to if one did. Undefined: yes. */
  refusal(address: string, port: number, name?: string): ExitRefusal | undefined {
    const bytes = parseIp(canonicalIp(address) ?? "");
    if (bytes === undefined) return "unspecified";
    const rules = this.#rules.filter(({ firstPort, lastPort }) => firstPort <= port && port <= lastPort);
    if (rules.some(({ hosts }) => hosts.type === "prefix" && within(bytes, hosts.prefix))) return undefined;
    const scope = exitScope(address);
    if (scope !== "public" && (name === undefined || NEVER_BY_NAME.includes(scope))) return scope;
    if (this.#isOwn(bytes)) return "own";
    const isNamed = name !== undefined && rules.some((rule) => matches(rule, comparableName(name)));
    if (isNamed) return undefined;
    if (scope !== "public") return scope;
    return rules.some(({ hosts }) => hosts.type === "public") ? undefined : "not-listed";
  }

  #isOwn(bytes: IpBytes): boolean {
    return [formatIp(bytes), ...embedded(bytes)].some(this.#isOwnAddress);
  }
}

function matches({ hosts }: ExitRule, name: string): boolean {
  if (hosts.type !== "name") return false;
  return hosts.isSuffix ? name.endsWith(`.${hosts.name}`) : name === hosts.name;
}
