import { dlopen, FFIType } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import type { Namespace } from "./namespace.ts";

const CLONE_NEWNET = 0x4000_0000;

/** A thread sees the network of the namespace it stands in; its sockets stay where they were opened (setns(2)). */
const OWN_NAMESPACE = "/proc/thread-self/ns/net";

let setns: ((fd: number, kind: number) => number) | undefined;
let entered: Promise<unknown> = Promise.resolve();

/**
 * Runs `action` with this thread inside the namespace: sockets that it opens, programs that it starts and files below
 * /proc/sys/net are that host's. Only its synchronous part: what comes after an `await` runs outside again.
 */
export function inside<T>(namespace: Namespace, action: () => T): T {
  const leave = enter(namespace);
  try {
    return action();
  } finally {
    leave();
  }
}

/**
 * Runs `open` inside the namespace until what it promises is there. It may wait for promises that are kept already, as
 * those of `Bun.udpSocket` are, but not for the event loop: anybody's callback would then run in that namespace. One
 * that does is brought out in that turn and fails.
 */
export function openInside<T extends Disposable>(namespace: Namespace, open: () => Promise<T>): Promise<T> {
  const opened = entered.then(() => openNow(namespace, open));
  entered = opened.catch(() => {});
  return opened;
}

async function openNow<T extends Disposable>(namespace: Namespace, open: () => Promise<T>): Promise<T> {
  let strayed = false;
  const leave = enter(namespace);
  const eventLoop = setImmediate(() => {
    strayed = true;
    leave();
  });
  try {
    const result = await open();
    if (!strayed) return result;
    result[Symbol.dispose]();
    throw new Error(`Cannot open sockets inside ${namespace.name}: opening them waited for the event loop`);
  } finally {
    clearImmediate(eventLoop);
    if (!strayed) leave();
  }
}

/** Returns the way back, to where the thread stood before. */
function enter(namespace: Namespace): () => void {
  const before = openSync(OWN_NAMESPACE, "r");
  try {
    const there = openSync(`/run/netns/${namespace.name}`, "r");
    try {
      change(there, namespace.name);
    } finally {
      closeSync(there);
    }
  } catch (error) {
    closeSync(before);
    throw error;
  }
  return () => {
    change(before, "the namespace it came from");
    closeSync(before);
  };
}

function change(fd: number, name: string): void {
  // Bound when it is first wanted: a machine without namespaces skips the lab, and may have another C library.
  setns ??= dlopen("libc.so.6", { setns: { args: [FFIType.i32, FFIType.i32], returns: FFIType.i32 } }).symbols.setns;
  if (setns(fd, CLONE_NEWNET) !== 0) throw new Error(`Cannot enter ${name}: setns failed`);
}
