import { z } from "zod";
import { UtError } from "../core/error.ts";

/** Where to listen or whom to reach. An IPv6 host stands without brackets, `"::"` is every interface, v4 and v6. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A listener may take every interface (`:5443`) and any free port (0); a target may not. */
export type AddressUse = "listen" | "target";

/** What an address text is, or what it should have been. `expected` follows "expected …" in a message. */
export type AddressReading =
  | { readonly ok: true; readonly address: Address }
  | { readonly ok: false; readonly expected: string; readonly suggestion?: string };

const MAX_PORT = 65_535;
/** RFC 1035 §2.3.4: a name in text form, without its final dot. */
const MAX_NAME_LENGTH = 253;
/** RFC 1123 §2.1, and the underscore that container networks put into host names. */
const LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/**
 * Reads `host:port`, `[::1]:5443` or `:5443` (every interface, so host `"::"`). Throws `usage.bad-value` that says
 * what was expected.
 */
export function parseAddress(text: string, use: AddressUse = "listen"): Address {
  const reading = readAddress(text, use);
  if (reading.ok) return reading.address;
  const hint = reading.suggestion === undefined ? "" : `; did you mean "${reading.suggestion}"`;
  throw new UtError("usage.bad-value", `Cannot use address "${text}": expected ${reading.expected}${hint}`, {
    details: { address: text },
  });
}

/** `parseAddress` for callers that collect problems. `example` is a good value of the same kind, for the message. */
export function readAddress(text: string, use: AddressUse, example = "127.0.0.1:5443"): AddressReading {
  const url = /^[a-z][a-z0-9+.-]*:\/\/([^/]*)/i.exec(text);
  if (url !== null) return misread(`${shape(example)} without a scheme`, use, example, url[1] ?? "");
  const parts = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(text);
  if (parts === null) return misread(shape(example), use, example, ...repairs(text, example));
  const [, bracketed, plain = "", portText = ""] = parts;

  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  const minPort = use === "listen" ? 0 : 1;
  if (!(port >= minPort && port <= MAX_PORT))
    return { ok: false, expected: `host:port with a port from ${minPort} to ${MAX_PORT}` };

  if (bracketed !== undefined)
    return isIpv6(bracketed)
      ? targetCheck({ host: bracketed, port }, use)
      : { ok: false, expected: "an IPv6 address between the brackets" };
  if (plain === "") return targetCheck({ host: "::", port }, use);
  if (!isHost(plain)) return { ok: false, expected: "a host name or an IP address before the port" };
  return targetCheck({ host: plain, port }, use);
}

/** The text that `parseAddress` reads back to the same address. */
export function formatAddress(address: Address): string {
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** True for the hosts that mean "every interface" to a listener. */
export function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** True for a host name or an IPv4 address. Four dotted numbers are an address or a mistake, never a name. */
export function isHost(text: string): boolean {
  if (/^[\d.]+$/.test(text)) return z.ipv4().safeParse(text).success;
  const name = text.endsWith(".") ? text.slice(0, -1) : text;
  return name.length <= MAX_NAME_LENGTH && name.split(".").every((label) => LABEL.test(label));
}

function isIpv6(text: string): boolean {
  // RFC 4007 §11: a link-local address may carry its interface.
  const [address = "", zone] = text.split("%", 2);
  return z.ipv6().safeParse(address).success && (zone === undefined || /^[\w.-]+$/.test(zone));
}

function targetCheck(address: Address, use: AddressUse): AddressReading {
  if (use === "listen" || !isWildcard(address.host)) return { ok: true, address };
  const suggestion = formatAddress({ host: "127.0.0.1", port: address.port });
  return { ok: false, expected: "one host to reach, not every interface", suggestion };
}

function shape(example: string): string {
  return `host:port such as "${example}"`;
}

/** The first repair that would be accepted becomes the suggestion. */
function misread(expected: string, use: AddressUse, example: string, ...candidates: string[]): AddressReading {
  const suggestion = candidates.find((candidate) => readAddress(candidate, use, example).ok);
  return suggestion === undefined ? { ok: false, expected } : { ok: false, expected, suggestion };
}

/** What somebody may have meant: an IPv6 address without its brackets, a host without its port, or the reverse. */
function repairs(text: string, example: string): string[] {
  const [, exampleHost = "", examplePort = ""] = /^(.*):(\d+)$/.exec(example) ?? [];
  const host = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  // Each repair would ask for another one, for ever.
  if (/[[\]]/.test(host)) return [];
  if (/^\d+$/.test(host)) return [`${exampleHost}:${host}`];
  if (!host.includes(":")) return host === "" ? [] : [`${host}:${examplePort}`];
  const lastColon = host.lastIndexOf(":");
  const [before, last] = [host.slice(0, lastColon), host.slice(lastColon + 1)];
  const whole = `[${host}]:${examplePort}`;
  const split = `[${before}]:${last}`;
  // `::1:5443` may be either; four or five decimal digits are rather a port.
  return /^\d{4,5}$/.test(last) ? [split, whole] : [whole, split];
}
