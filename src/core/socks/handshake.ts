import type { Destination } from "./address.ts";
import { HttpHandshake } from "./http-handshake.ts";
import type { Reply } from "./reply.ts";
import { Socks5Handshake } from "./socks5-handshake.ts";

/** What a program asks of a proxy. */
export type ProxyRequest =
  | { readonly command: "connect"; readonly to: Destination }
  /** RFC 1928 §7. `from`: where the program says that its datagrams will come from; mostly nothing (0.0.0.0:0). */
  | { readonly command: "udp"; readonly from: Destination };

/** Why there will be no connection, as it is counted. */
export type HandshakeFault =
  /** Neither SOCKS5 nor HTTP, or not as they should be. */
  | "malformed"
  /** SOCKS5: none of the offered ways to authenticate is ours. HTTP: no credentials, where they are needed. */
  | "auth_missing"
  | "auth_failed"
  /** A SOCKS command or an HTTP method that this proxy does not know. */
  | "command"
  | "address_type";

/** What follows from bytes that came in. `answer` goes to the program in any case; it may be empty. */
export type HandshakeStep =
  | { readonly type: "more"; readonly answer: Uint8Array }
  /** `early`: bytes that came behind the request. They are the request's first data. */
  | {
      readonly type: "request";
      readonly answer: Uint8Array;
      readonly request: ProxyRequest;
      readonly early: Uint8Array;
    }
  /** Send `answer` and close. */
  | { readonly type: "refused"; readonly answer: Uint8Array; readonly fault: HandshakeFault };

/** Whether a user has this password. */
export type Authenticate = (user: string, password: string) => boolean;

/** One way to ask a proxy: SOCKS5 or HTTP CONNECT. */
export interface Handshake {
  /** Bytes of the program. Not called any more after a step that is not `more`. */
  push(chunk: Uint8Array): HandshakeStep;
  /** What the program is told of its request. `bound`: the proxy's end, for whoever reads it. */
  reply(reply: Reply, bound: Destination): Uint8Array;
}

const SOCKS5 = 5;
/** Methods of HTTP are capital letters. */
const FIRST_LETTER = 0x41;
const LAST_LETTER = 0x5a;
const NOTHING = new Uint8Array(0);

/**
 * The local side of the proxy: SOCKS5 (RFC 1928, 1929) and HTTP CONNECT (RFC 9110 §9.3.6) on one port, told apart by
 * their first byte. Hostile bytes are a `refused` step; what waits is bounded by what a request can need.
 * Left out on purpose: SOCKS4, BIND, GSSAPI, and HTTP requests that are not CONNECT.
 */
export class ProxyHandshake implements Handshake {
  readonly #authenticate: Authenticate | undefined;
  #handshake: Handshake | undefined;

  /** Without `authenticate` anybody may ask. */
  constructor(authenticate: Authenticate | undefined) {
    this.#authenticate = authenticate;
  }

  push(chunk: Uint8Array): HandshakeStep {
    if (this.#handshake === undefined) {
      const [first] = chunk;
      if (first === undefined) return { type: "more", answer: NOTHING };
      if (first === SOCKS5) this.#handshake = new Socks5Handshake(this.#authenticate);
      else if (first >= FIRST_LETTER && first <= LAST_LETTER) this.#handshake = new HttpHandshake(this.#authenticate);
      else return { type: "refused", answer: NOTHING, fault: "malformed" };
    }
    return this.#handshake.push(chunk);
  }

  reply(reply: Reply, bound: Destination): Uint8Array {
    return this.#handshake?.reply(reply, bound) ?? NOTHING;
  }
}
