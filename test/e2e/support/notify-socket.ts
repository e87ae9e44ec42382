import { dlopen, FFIType, ptr } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const MSG_DONTWAIT = 0x40;

/** When it is first wanted: a machine without such sockets may have another C library. */
function openLibc() {
  return dlopen("libc.so.6", {
    socket: { args: [FFIType.i32, FFIType.i32, FFIType.i32], returns: FFIType.i32 },
    bind: { args: [FFIType.i32, FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
    recv: { args: [FFIType.i32, FFIType.ptr, FFIType.u64, FFIType.i32], returns: FFIType.i64 },
    close: { args: [FFIType.i32], returns: FFIType.i32 },
  }).symbols;
}

/** What a service manager has: a unix datagram socket at which services tell how they do. */
export interface NotifySocket extends Disposable {
  /** For `NOTIFY_SOCKET`. */
  readonly path: string;
  /** Everything that has come by now, in its order. */
  messages(): readonly string[];
}

/** In the file system, or abstract: `@name`. */
export function notifySocket(kind: "file" | "abstract"): NotifySocket {
  const libc = openLibc();
  const folder = mkdtempSync(join(tmpdir(), "ut-notify-"));
  const path = kind === "file" ? join(folder, "notify") : `@${folder}`;
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  const address = addressOf(path);
  if (fd < 0 || libc.bind(fd, ptr(address), address.length) !== 0) throw new Error(`Cannot bind ${path}`);
  const buffer = new Uint8Array(new ArrayBuffer(4096));
  const messages: string[] = [];
  return {
    path,
    messages() {
      for (;;) {
        const length = Number(libc.recv(fd, ptr(buffer), buffer.length, MSG_DONTWAIT));
        if (length < 0) return messages;
        messages.push(new TextDecoder().decode(buffer.subarray(0, length)));
      }
    },
    [Symbol.dispose]() {
      libc.close(fd);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** `struct sockaddr_un`, with a NUL at the end of a name in the file system and at the start of an abstract one. */
function addressOf(path: string): Uint8Array {
  const name = new TextEncoder().encode(path.startsWith("@") ? `\0${path.slice(1)}` : `${path}\0`);
  const address = new Uint8Array(new ArrayBuffer(2 + name.length));
  address[0] = AF_UNIX;
  address.set(name, 2);
  return address;
}
