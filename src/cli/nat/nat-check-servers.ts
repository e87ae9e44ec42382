import type { ServerOutcome, ServerReport } from "../../core/nat/nat-report.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { quoted } from "../quoted.ts";
import { formatMs, formatTable } from "../table.ts";

/** One line for each server: what it saw, or what became of it. */
export function serverTable(servers: readonly ServerReport[]): string[] {
  return formatTable<ServerReport>(
    [
      { title: "server", cell: ({ name }) => name, align: "left" },
      { title: "RTT ms", cell: ({ outcome }) => ("rttMs" in outcome ? formatMs(outcome.rttMs) : "-") },
      { title: "saw", cell: ({ outcome }) => formatOutcome(outcome), align: "left" },
    ],
    servers,
  );
}

export function countServers(servers: number): string {
  return servers === 1 ? "1 server" : `${servers} servers`;
}

/** What a server answered, or why it did not, in a few words. */
export function formatOutcome(outcome: ServerOutcome): string {
  switch (outcome.kind) {
    case "answered":
      return formatEndpoint(outcome.mapped);
    case "contradicts":
      return `${formatEndpoint(outcome.mapped)}, not believed: most others saw another`;
    case "timeout":
      return `no answer in ${(outcome.waitedMs / 1_000).toFixed(1)} s`;
    case "error":
      // A code comes with the server's own words, no code with ours.
      return outcome.code === null ? outcome.message : `error ${outcome.code} ${quoted(outcome.message)}`;
    case "unresolved":
      return outcome.message;
    default:
      return outcome satisfies never;
  }
}
