import { z } from "zod";
import { type Address, formatAddress, readAddress } from "./address.ts";

/** An HTTP proxy that is asked for a tunnel (`tcp.proxy`). */
export interface HttpProxy extends Address {
  /** `user:password`. Never to be shown: not in a log, a message or `ut config show`. */
  readonly credentials: string | undefined;
}

const EXAMPLE = "http://proxy.example.com:3128";
const EXPECTED = `an HTTP proxy such as "${EXAMPLE}" or "http://USER:PASSWORD@proxy.example.com:3128"`;
/** The password may hold anything, so what stands before the last @ is not the host. */
const URL_PARTS = /^http:\/\/(?:(.*)@)?([^/@]+)\/?$/i;
/** RFC 7617 §2: neither can hold control characters, nor the user a colon; RFC 3986 §3.2.1 has those escaped. */
const CREDENTIALS = /^[^:\p{Cc}]+:\P{Cc}*$/u;

/** `http://[user:password@]host:port`, parsed to a `HttpProxy`. */
export function proxyUrl() {
  return z
    .string({ error: EXPECTED })
    .meta({ examples: [EXAMPLE] })
    .transform((text, context): HttpProxy => {
      const [url, userInfo, authority = ""] = URL_PARTS.exec(text) ?? [];
      const reading = readAddress(authority, "target", "proxy.example.com:3128");
      const credentials = userInfo === undefined ? undefined : decode(userInfo);
      if (url !== undefined && reading.ok && (userInfo === undefined || credentials !== undefined))
        return { ...reading.address, credentials };
      context.addIssue({ code: "custom", message: EXPECTED });
      return z.NEVER;
    });
}

/** As it would stand in a file, but for the password. */
export function formatProxy(proxy: HttpProxy): string {
  const user =
    proxy.credentials === undefined ? "" : `${encodeURIComponent(proxy.credentials.split(":", 1)[0] ?? "")}:***@`;
  return `http://${user}${formatAddress(proxy)}`;
}

/** A text without the passwords of the URLs in it. */
export function withoutPasswords(text: string): string {
  return text.replace(/(:\/\/[^:/@\s]*):.*@/g, "$1:***@");
}

/** Undefined for what is no `user:password`. */
function decode(userInfo: string): string | undefined {
  try {
    const plain = decodeURIComponent(userInfo);
    return CREDENTIALS.test(plain) ? plain : undefined;
  } catch {
    return undefined;
  }
}
