import type { HttpResponse } from "./head.ts";

/** Far more than any proxy says before the tunnel begins. */
export const MAX_CONNECT_HEAD_BYTES = 16 * 1024;

export interface ConnectTarget {
  /** The proxy resolves it. An IPv6 address stands without brackets. */
  readonly host: string;
  readonly port: number;
}

/** `CONNECT` for a tunnel to `target` (RFC 9110 §9.3.6). `credentials` is `user:password`. */
export function connectRequest(target: ConnectTarget, credentials: string | undefined): Uint8Array {
  const authority = formatAuthority(target);
  const head = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (credentials !== undefined) head.push(`Proxy-Authorization: Basic ${base64(credentials)}`);
  return new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`);
}

/** What a proxy's answer means, in words that say what to do; undefined when the tunnel is there. */
export function judgeConnect(
  answer: HttpResponse,
  target: ConnectTarget,
  credentials: string | undefined,
): string | undefined {
  const { status, reason, fields } = answer;
  if (status >= 200 && status < 300) return undefined;
  const said = `it answered ${status}${reason === "" ? "" : ` ${reason}`}`;
  // tinyproxy says 401 to a wrong password.
  if (status !== 407 && status !== 401)
    return `${said} to CONNECT ${formatAuthority(target)}; many proxies allow only port 443, and the proxy must be able to reach the server`;
  const offered = fields.get("proxy-authenticate") ?? "";
  // RFC 9110 §11.3: schemes are not told apart by case.
  if (offered !== "" && !/\bbasic\b/i.test(offered))
    return `${said} and takes only ${offered.split(/[\s,]/, 1)[0]} authentication, which ut does not speak; it needs Basic`;
  return credentials === undefined
    ? `${said}: it wants a user and a password; set tcp.proxy to http://USER:PASSWORD@HOST:PORT`
    : `${said}: it does not take this user and password; correct them in tcp.proxy`;
}

/** `host:port` as it stands in a request, IPv6 in brackets. */
function formatAuthority({ host, port }: ConnectTarget): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** RFC 7617 §2.1: UTF-8. */
function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
