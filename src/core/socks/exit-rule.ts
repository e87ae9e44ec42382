import { readHost } from "./address.ts";
import { type Prefix, parsePrefix } from "./exit-scope.ts";

/** One line of what may be reached: which hosts, and which of their ports. */
export interface ExitRule {
  readonly hosts:
    | { readonly type: "public" }
    | { readonly type: "prefix"; readonly prefix: Prefix }
    /** In lower case, without its final dot. `isSuffix`: every name below it, and not the name itself. */
    | { readonly type: "name"; readonly name: string; readonly isSuffix: boolean };
  /** Both included. */
  readonly firstPort: number;
  readonly lastPort: number;
}

const MAX_PORT = 65_535;
const PUBLIC = "public";
const NAME = /^(?:\*\.)?(?=.{1,253}$)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/;

/**
 * Reads `public`, `192.168.1.0/24`, `[fd00::/8]`, `nas.example` or `*.example`, each with `:443` or `:8000-8099` behind
 * it if only those ports are meant; IPv6 without brackets where no port follows. Undefined for anything else.
 */
export function parseExitRule(text: string): ExitRule | undefined {
  const [, bracketed, plain, first, last] =
    /^(?:\[([^\]]*)\]|([^:[\]]+))(?::(\d{1,5})(?:-(\d{1,5}))?)?$/.exec(text) ?? [];
  const hosts = bracketed === undefined ? readHosts(plain ?? text) : readSix(bracketed);
  const firstPort = Number(first ?? 0);
  const lastPort = Number(last ?? first ?? MAX_PORT);
  if (hosts === undefined || firstPort > lastPort || lastPort > MAX_PORT) return undefined;
  return { hosts, firstPort, lastPort };
}

/** A name as names are compared: DNS knows no case, and a final dot says nothing more. */
export function comparableName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}

function readHosts(text: string): ExitRule["hosts"] | undefined {
  if (text === PUBLIC) return { type: "public" };
  const prefix = parsePrefix(text);
  if (prefix !== undefined) return { type: "prefix", prefix };
  // Numbers and dots are an address or a mistake, never a name.
  if (!NAME.test(text) || /^[\d.]+$/.test(text) || readHost(text) !== text) return undefined;
  const isSuffix = text.startsWith("*.");
  return { type: "name", name: comparableName(isSuffix ? text.slice(2) : text), isSuffix };
}

function readSix(text: string): ExitRule["hosts"] | undefined {
  const prefix = text.includes(":") ? parsePrefix(text) : undefined;
  return prefix && { type: "prefix", prefix };
}
