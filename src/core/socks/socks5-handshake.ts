import { type Destination, decodeAddress, encodeAddress, NO_ADDRESS } from "./address.ts";
import type { Authenticate, Handshake, HandshakeFault, HandshakeStep, ProxyRequest } from "./handshake.ts";
import { Intake } from "./intake.ts";
import { REPLIES, type Reply } from "./reply.ts";

/** RFC 1928 §3. */
const VERSION = 5;
const NO_AUTHENTICATION = 0;
const USER_PASSWORD = 2;
const NONE_ACCEPTABLE = 0xff;
/** RFC 1929 §2: the version of the negotiation, and what it ends in. */
const AUTH_VERSION = 1;
const AUTH_OK = 0;
const AUTH_FAILED = 1;
/** RFC 1928 §4. */
const CONNECT = 1;
const UDP_ASSOCIATE = 3;

/** What comes of one message of the program: what is answered, and with it the state that follows or the end. */
type Turn =
  | { readonly next: State; readonly used: number; readonly answer: Uint8Array }
  | { readonly request: ProxyRequest; readonly used: number }
  | { readonly fault: HandshakeFault; readonly answer: Uint8Array };

type State = "greeting" | "auth" | "request";

/** SOCKS5: greeting, user and password where they are asked for, request. */
export class Socks5Handshake implements Handshake {
  readonly #authenticate: Authenticate | undefined;
  readonly #intake = new Intake();
  #state: State = "greeting";

  constructor(authenticate: Authenticate | undefined) {
    this.#authenticate = authenticate;
  }

  push(chunk: Uint8Array): HandshakeStep {
    this.#intake.add(chunk);
    const answers: number[] = [];
    const answer = (last: Uint8Array = new Uint8Array(0)) => Uint8Array.from([...answers, ...last]);
    for (;;) {
      const turn = this.#read(this.#intake.bytes);
      if (turn === undefined) return { type: "more", answer: answer() };
      if ("fault" in turn) return { type: "refused", answer: answer(turn.answer), fault: turn.fault };
      this.#intake.drop(turn.used);
      if ("request" in turn)
        return { type: "request", answer: answer(), request: turn.request, early: this.#intake.bytes };
      answers.push(...turn.answer);
      this.#state = turn.next;
    }
  }

  reply(reply: Reply, bound: Destination): Uint8Array {
    return Uint8Array.from([VERSION, REPLIES[reply], 0, ...encodeAddress(bound)]);
  }

  /** Undefined while the message is not whole. */
  #read(bytes: Uint8Array): Turn | undefined {
    switch (this.#state) {
      case "greeting":
        return this.#greeting(bytes);
      case "auth":
        return this.#auth(bytes);
      case "request":
        return this.#request(bytes);
      default:
        return this.#state satisfies never;
    }
  }

  /** `VER | NMETHODS | METHODS` */
  #greeting([version, count, ...methods]: Uint8Array): Turn | undefined {
    // The first byte chose this handshake.
    if (version === undefined || count === undefined) return undefined;
    if (methods.length < count) return undefined;
    const wanted = this.#authenticate === undefined ? NO_AUTHENTICATION : USER_PASSWORD;
    if (!methods.slice(0, count).includes(wanted))
      return { fault: "auth_missing", answer: Uint8Array.of(VERSION, NONE_ACCEPTABLE) };
    const next = wanted === USER_PASSWORD ? "auth" : "request";
    return { next, used: 2 + count, answer: Uint8Array.of(VERSION, wanted) };
  }

  /** `VER | ULEN | UNAME | PLEN | PASSWD` (RFC 1929 §2) */
  #auth(bytes: Uint8Array): Turn | undefined {
    const [version, userLength] = bytes;
    if (version !== undefined && version !== AUTH_VERSION) return { fault: "malformed", answer: authAnswer(false) };
    if (userLength === undefined) return undefined;
    const passwordAt = 2 + userLength + 1;
    const passwordLength = bytes[passwordAt - 1];
    if (passwordLength === undefined || bytes.length < passwordAt + passwordLength) return undefined;
    const user = text(bytes.subarray(2, 2 + userLength));
    const password = text(bytes.subarray(passwordAt, passwordAt + passwordLength));
    if (this.#authenticate?.(user, password) !== true) return { fault: "auth_failed", answer: authAnswer(false) };
    return { next: "request", used: passwordAt + passwordLength, answer: authAnswer(true) };
  }

  /** `VER | CMD | RSV | ATYP | DST.ADDR | DST.PORT` */
  #request(bytes: Uint8Array): Turn | undefined {
    const [version, command] = bytes;
    if (version !== undefined && version !== VERSION) return this.#refusal("malformed", "general-failure");
    const address = decodeAddress(bytes, 3);
    if (!address.ok) {
      if (address.kind === "incomplete") return undefined;
      if (address.kind === "name") return this.#refusal("malformed", "host-unreachable");
      return this.#refusal("address_type", "address-type-not-supported");
    }
    const { destination, end: used } = address;
    if (command === CONNECT) return { request: { command: "connect", to: destination }, used };
    if (command === UDP_ASSOCIATE) return { request: { command: "udp", from: destination }, used };
    return this.#refusal("command", "command-not-supported");
  }

  #refusal(fault: HandshakeFault, reply: Reply): Turn {
    return { fault, answer: this.reply(reply, NO_ADDRESS) };
  }
}

function authAnswer(ok: boolean): Uint8Array {
  return Uint8Array.of(AUTH_VERSION, ok ? AUTH_OK : AUTH_FAILED);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
