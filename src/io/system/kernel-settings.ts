import { readFileSync } from "node:fs";

const SYSCTL = "/proc/sys/net";
/** include/uapi/linux/capability.h */
const CAP_NET_ADMIN = 12n;

export interface CongestionChoices {
  /** That this process may set; with CAP_NET_ADMIN all that there are. */
  readonly allowed: readonly string[];
  /** That the kernel has, or can load. */
  readonly available: readonly string[];
}

/** TCP congestion controls of the kernel; undefined where it offers no choice (not Linux). */
export function congestionChoices(): CongestionChoices | undefined {
  const available = words(`${SYSCTL}/ipv4/tcp_available_congestion_control`);
  const allowed = words(`${SYSCTL}/ipv4/tcp_allowed_congestion_control`);
  if (available === undefined || allowed === undefined) return undefined;
  return { allowed: hasNetAdmin() ? available : allowed, available };
}

/** Bytes that an unprivileged UDP socket may buffer of what comes; undefined where that is not known, or no limit here. */
export function receiveBufferLimit(): number | undefined {
  const limit = Number(words(`${SYSCTL}/core/rmem_max`)?.[0]);
  return Number.isInteger(limit) && !hasNetAdmin() ? limit : undefined;
}

/** Files that this process may open; undefined where that is not known. */
export function openFilesLimit(): number | undefined {
  const line = read("/proc/self/limits")?.match(/^Max open files +(\d+)/m)?.[1];
  return line === undefined ? undefined : Number(line);
}

function hasNetAdmin(): boolean {
  const mask = read("/proc/self/status")?.match(/^CapEff:\s+([0-9a-f]+)/m)?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> CAP_NET_ADMIN) & 1n) === 1n;
}

function words(path: string): string[] | undefined {
  return read(path)?.trim().split(/\s+/);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
