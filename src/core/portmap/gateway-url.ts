import { canonicalIp } from "../net/ip.ts";

/** Where on the gateway something is. There is no host in it: it cannot lead anywhere else. */
export interface GatewayUrl {
  readonly port: number;
  /** With its leading slash and its query. */
  readonly path: string;
}

export type GatewayUrlResult =
  | { readonly ok: true; readonly url: GatewayUrl }
  | { readonly ok: false; readonly kind: "not-a-url" | "not-http" | "leaves-gateway" };

const HTTP_PORT = 80;
const MAX_URL_CHARS = 1024;

/**
 * Reads a URL that a gateway wrote, absolute or relative to `base`, and takes it only if it stays on the gateway: plain
 * HTTP, the very address as host, no name and no user (a name could be resolved to anything). Any port will do.
 */
export function parseGatewayUrl(text: string, gateway: string, base?: GatewayUrl): GatewayUrlResult {
  const baseUrl = base === undefined ? undefined : `http://${gateway}:${base.port}${base.path}`;
  if (text.length > MAX_URL_CHARS || !URL.canParse(text, baseUrl)) return { ok: false, kind: "not-a-url" };
  const { protocol, hostname, port, pathname, search, username, password } = new URL(text, baseUrl);
  if (protocol !== "http:") return { ok: false, kind: "not-http" };
  const stays = canonicalIp(hostname) === gateway && username === "" && password === "";
  if (!stays) return { ok: false, kind: "leaves-gateway" };
  return { ok: true, url: { port: port === "" ? HTTP_PORT : Number(port), path: pathname + search } };
}
