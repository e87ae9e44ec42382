import { closeSocket, openSocket, sendTo } from "./libc.ts";

/** Linux `socket.h`. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** `sun_path` of Linux `struct sockaddr_un`. */
const MAX_PATH_BYTES = 108;

/**
 * Sends one datagram to the unix socket at `path`, which Bun has no way to; a leading `@` stands for the NUL of an
 * abstract socket. Linux only. False when nobody receives there, or without a C library.
 *
 * A receiver that does not read has room for ten (net.unix.max_dgram_qlen). Then `"wait"` blocks this thread until it
 * does, and `"drop"` is false.
 */
export function sendUnixDatagram(path: string, text: string, whenFull: "wait" | "drop"): boolean {
  const address = process.platform === "linux" ? unixAddress(path) : undefined;
  if (address === undefined) return false;
  const fd = openSocket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  try {
    const flags = whenFull === "wait" ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
    return sendTo(fd, ownBuffer(new TextEncoder().encode(text)), flags, address);
  } finally {
    closeSocket(fd);
  }
}

/** `struct sockaddr_un`; undefined for a path that fits none. The length counts for abstract names: no NUL at the end. */
function unixAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length >= MAX_PATH_BYTES) return undefined;
  const isAbstract = path.startsWith("@");
  const address = new Uint8Array(new ArrayBuffer(2 + name.length + (isAbstract ? 0 : 1)));
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}

/** Over a buffer outside the JavaScript heap, where a pointer stays right (see libc.ts). */
function ownBuffer(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new ArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
