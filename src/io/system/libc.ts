import { dlopen, FFIType, ptr } from "bun:ffi";

/**
 * The few calls of the C library that Bun does not offer, bound once and only if they can be: glibc, musl and macOS
 * name it differently, and a system without it must still run (`available === false`).
 */
const SYMBOLS = {
  setsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  getsockopt: { args: [FFIType.i32, FFIType.i32, FFIType.i32, FFIType.ptr, FFIType.ptr], returns: FFIType.i32 },
  socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
  sendto: {
    args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32, FFIType.ptr, FFIType.u32],
    returns: FFIType.i64,
  },
  recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
  close: { args: [FFIType.i32], returns: FFIType.i32 },
} as const;

const CANDIDATES =
  process.platform === "darwin"
    ? ["libSystem.B.dylib"]
    : ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`, "libc.so"];

function open() {
  for (const name of CANDIDATES) {
    try {
      return dlopen(name, SYMBOLS).symbols;
    } catch {
      // Another C library, then; with none of them the options stay as the system sets them.
    }
  }
  return undefined;
}

const libc = open();

export const available = libc !== undefined;

/** 0 when the system took it, -1 when it refused or there is no C library. */
export function setsockopt(fd: number, level: number, option: number, value: Uint8Array): number {
  return libc?.setsockopt(fd, level, option, ptr(value), value.length) ?? -1;
}

// Over a buffer of its own: a small typed array without one lives inside the JavaScript heap until the engine moves it
// out (seen after some hundred calls), and a pointer taken before then goes on pointing at somebody else's memory.
const lengthCell = new Uint32Array(new ArrayBuffer(4));

/** Bytes written into `into`, or -1. */
export function getsockopt(fd: number, level: number, option: number, into: Uint8Array): number {
  lengthCell[0] = into.length;
  const result = libc?.getsockopt(fd, level, option, ptr(into), ptr(lengthCell)) ?? -1;
  return result === 0 ? (lengthCell[0] ?? 0) : -1;
}

/** A file descriptor, or -1. */
export function openSocket(family: number, type: number, protocol: number): number {
  return libc?.socket(family, type, protocol) ?? -1;
}

/** Whether the whole datagram went to `address`, a `struct sockaddr`. */
export function sendTo(fd: number, datagram: Uint8Array, flags: number, address: Uint8Array): boolean {
  const sent = libc?.sendto(fd, ptr(datagram), datagram.length, flags, ptr(address), address.length) ?? -1;
  return Number(sent) === datagram.length;
}

/** Bytes of the datagram that is in `into` then, or -1. */
export function receive(fd: number, into: Uint8Array, flags: number): number {
  return Number(libc?.recv(fd, ptr(into), into.length, flags) ?? -1);
}

export function closeSocket(fd: number): void {
  libc?.close(fd);
}
