/**
 * What both ends of a pipe say on its QUIC flow beside QUIC itself. It is shorter than any packet of QUIC's short header
 * can be, and its long header cannot begin so (RFC 9000 §10.3, §17.2):
 *
 *     HELLO(0x00)   | link(16)              the opener's, first on each pipe, until it is answered
 *     WELCOME(0x01) | link(16) | known(1)   the answer; known: 1 if that link was there before this pipe
 *
 * A link outlives pipes: when one is lost and opened again, or another takes its place, QUIC goes on over the next and
 * never hears of it. An agent that knows nothing of a link has been started anew, and so the opener learns at once that
 * its connections are gone.
 */
const HELLO = 0x00;
const WELCOME = 0x01;
export const LINK_ID_BYTES = 16;
const HELLO_BYTES = 1 + LINK_ID_BYTES;
const WELCOME_BYTES = HELLO_BYTES + 1;

/** Chosen at random by whoever opens it. */
export type LinkId = Uint8Array;

export interface Welcome {
  readonly link: LinkId;
  readonly isKnown: boolean;
}

export function isGreeting(datagram: Uint8Array): boolean {
  return datagram.length <= WELCOME_BYTES;
}

export function encodeHello(link: LinkId): Uint8Array {
  const bytes = new Uint8Array(HELLO_BYTES);
  bytes[0] = HELLO;
  bytes.set(link, 1);
  return bytes;
}

export function decodeHello(bytes: Uint8Array): LinkId | undefined {
  return bytes[0] === HELLO && bytes.length === HELLO_BYTES ? bytes.slice(1) : undefined;
}

export function encodeWelcome({ link, isKnown }: Welcome): Uint8Array {
  const bytes = new Uint8Array(WELCOME_BYTES);
  bytes[0] = WELCOME;
  bytes.set(link, 1);
  bytes[HELLO_BYTES] = isKnown ? 1 : 0;
  return bytes;
}

export function decodeWelcome(bytes: Uint8Array): Welcome | undefined {
  if (bytes[0] !== WELCOME || bytes.length !== WELCOME_BYTES) return undefined;
  return { link: bytes.slice(1, HELLO_BYTES), isKnown: bytes[HELLO_BYTES] === 1 };
}
