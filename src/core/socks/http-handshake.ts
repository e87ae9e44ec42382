import { canonicalIp } from "../net/ip.ts";
import { type Destination, readHost } from "./address.ts";
import type { Authenticate, Handshake, HandshakeFault, HandshakeStep } from "./handshake.ts";
import { Intake } from "./intake.ts";
import type { Reply } from "./reply.ts";

/** Request line and header fields together. RFC 9112 §3 asks for 8,000 bytes of the request line at least. */
const MAX_HEAD_BYTES = 16_384;
/** Whole, with its padding or without: `atob` throws at anything else. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;
const END_OF_HEAD = "\r\n\r\n";
const NOTHING = new Uint8Array(0);

/** RFC 9110 §15: what each reply is in HTTP, and a word for whoever reads it. */
const STATUS: Readonly<Record<Exclude<Reply, "succeeded">, readonly [status: string, text: string]>> = {
  "general-failure": ["503 Service Unavailable", "the agent cannot be reached now; the log of ut says why"],
  "not-allowed": ["403 Forbidden", "the agent does not allow this destination"],
  "network-unreachable": ["502 Bad Gateway", "the agent has no route to this destination"],
  "host-unreachable": ["502 Bad Gateway", "the name does not exist, or the host cannot be reached"],
  refused: ["502 Bad Gateway", "the destination refused the connection"],
  "ttl-expired": ["504 Gateway Timeout", "the destination did not answer in time"],
  "command-not-supported": ["501 Not Implemented", "the agent does not know this command"],
  "address-type-not-supported": ["501 Not Implemented", "the agent does not know this kind of address"],
};

/** HTTP CONNECT (RFC 9110 §9.3.6), with Basic credentials (RFC 7617) where they are asked for. */
export class HttpHandshake implements Handshake {
  readonly #authenticate: Authenticate | undefined;
  readonly #intake = new Intake();

  constructor(authenticate: Authenticate | undefined) {
    this.#authenticate = authenticate;
  }

  push(chunk: Uint8Array): HandshakeStep {
    this.#intake.add(chunk);
    const { bytes } = this.#intake;
    const head = latin1(bytes.subarray(0, MAX_HEAD_BYTES));
    const end = head.indexOf(END_OF_HEAD);
    if (end === -1)
      return bytes.length < MAX_HEAD_BYTES
        ? { type: "more", answer: NOTHING }
        : refused("malformed", "431 Request Header Fields Too Large", "the request is too long");
    return this.#request(head.slice(0, end), bytes.subarray(end + END_OF_HEAD.length));
  }

  reply(reply: Reply): Uint8Array {
    if (reply === "succeeded") return encode("HTTP/1.1 200 Connection established\r\n\r\n");
    return response(...STATUS[reply]);
  }

  #request(head: string, early: Uint8Array): HandshakeStep {
    const [line = "", ...fields] = head.split("\r\n");
    const [, method, target = ""] = /^([A-Z]+) (\S+) HTTP\/1\.[01]$/.exec(line) ?? [];
    if (method === undefined) return refused("malformed", "400 Bad Request", "this is no HTTP request");
    if (this.#authenticate !== undefined) {
      const fault = credentialFault(fields, this.#authenticate);
      if (fault !== undefined) return refused(fault, "407 Proxy Authentication Required", "user and password, please");
    }
    if (method !== "CONNECT")
      return refused("command", "501 Not Implemented", "only CONNECT goes through here; use https or SOCKS5");
    const to = readAuthority(target);
    if (to === undefined) return refused("malformed", "400 Bad Request", "CONNECT wants host:port");
    return { type: "request", answer: NOTHING, request: { command: "connect", to }, early };
  }
}

function credentialFault(fields: readonly string[], authenticate: Authenticate): HandshakeFault | undefined {
  for (const field of fields) {
    const [, scheme, token = ""] = /^proxy-authorization:[ \t]*(\S+)[ \t]+(\S+)[ \t]*$/i.exec(field) ?? [];
    if (scheme?.toLowerCase() !== "basic") continue;
    const credentials = readBasic(token);
    return credentials !== undefined && authenticate(...credentials) ? undefined : "auth_failed";
  }
  return "auth_missing";
}

function readBasic(token: string): [user: string, password: string] | undefined {
  if (!BASE64.test(token)) return undefined;
  const text = new TextDecoder().decode(Uint8Array.from(atob(token), (letter) => letter.charCodeAt(0)));
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : [text.slice(0, colon), text.slice(colon + 1)];
}

/** `host:port` or `[IPv6]:port`. */
function readAuthority(target: string): Destination | undefined {
  const [, six, other = "", port = ""] = /^(?:\[([^\]]*:[^\]]*)\]|([^:[\]]+)):(\d{1,5})$/.exec(target) ?? [];
  const host = six === undefined ? readHost(other) : canonicalIp(six);
  return host === undefined || Number(port) > 65_535 ? undefined : { host, port: Number(port) };
}

function refused(fault: HandshakeFault, status: string, text: string): HandshakeStep {
  return { type: "refused", fault, answer: response(status, text) };
}

function response(status: string, text: string): Uint8Array {
  const body = `ut: ${text}\n`;
  const fields = [
    `HTTP/1.1 ${status}`,
    ...(status.startsWith("407") ? [`Proxy-Authenticate: Basic realm="ut"`] : []),
    "Content-Type: text/plain",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  return encode(`${fields.join("\r\n")}${END_OF_HEAD}${body}`);
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
