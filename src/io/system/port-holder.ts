import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { PortProtocol } from "./free-port.ts";

export interface PortHolder {
  readonly pid: number;
  /** Of the program, as `ps` shows it. */
  readonly name: string;
}

/** proc(5): the state of a TCP socket that listens. */
const TCP_LISTEN = "0A";

/**
 * The program that holds a port of this machine, whatever the address. Linux; undefined elsewhere, for programs of other
 * users unless asked by root, and for the kernel's own sockets (WireGuard's).
 */
export function portHolder(protocol: PortProtocol, port: number): PortHolder | undefined {
  const inodes = new Set([...inodesOf(protocol, port), ...inodesOf(`${protocol}6`, port)]);
  if (inodes.size === 0) return undefined;
  for (const pid of entries("/proc").filter((name) => /^\d+$/.test(name)))
    for (const fd of entries(`/proc/${pid}/fd`)) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`)) ?? [];
      if (inode !== undefined && inodes.has(inode))
        return { pid: Number(pid), name: textOf(`/proc/${pid}/comm`).trim() };
    }
  return undefined;
}

/** Inodes of the sockets in /proc/net/udp and its like that are bound to a port. */
function inodesOf(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return textOf(`/proc/net/${table}`)
    .split("\n")
    .flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const isMeant = local.endsWith(`:${hex}`) && (table.startsWith("udp") || state === TCP_LISTEN);
      return isMeant ? [inode] : [];
    });
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
