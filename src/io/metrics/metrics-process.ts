import { readdirSync, readFileSync } from "node:fs";
import type { Family } from "./computed-metric.ts";

/**
 * The `process_*` families that every Prometheus dashboard knows. prom-client's own come only together with an
 * event-loop monitor and a GC observer that cost CPU between scrapes, so these are written here.
 * Where a system does not tell (file descriptors outside Linux), the family has no sample.
 */
export function processFamilies(): Family[] {
  const startedAt = Math.round(Date.now() / 1000 - process.uptime());
  return [
    family("process_cpu_user_seconds_total", "counter", "CPU time in user mode", () => process.cpuUsage().user / 1e6),
    family(
      "process_cpu_system_seconds_total",
      "counter",
      "CPU time in the kernel",
      () => process.cpuUsage().system / 1e6,
    ),
    family("process_cpu_seconds_total", "counter", "CPU time", () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    family("process_start_time_seconds", "gauge", "Start of this process, as Unix time", () => startedAt),
    family("process_resident_memory_bytes", "gauge", "Resident memory", () => process.memoryUsage.rss()),
    family("process_open_fds", "gauge", "Open file descriptors", openFds),
    family("process_max_fds", "gauge", "Limit of open file descriptors", maxFds),
  ];
}

function family(name: string, type: "counter" | "gauge", help: string, read: () => number | undefined): Family {
  return {
    name,
    type,
    help,
    samples() {
      const value = read();
      return value === undefined ? [] : [{ labels: {}, value }];
    },
  };
}

function openFds(): number | undefined {
  try {
    // The folder that is being listed is one of them.
    return readdirSync("/proc/self/fd").length - 1;
  } catch {
    return undefined;
  }
}

function maxFds(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
    return soft === undefined ? undefined : soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return undefined;
  }
}
