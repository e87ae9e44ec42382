import type { StunServerCounters } from "../../core/stun/server.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Family } from "./computed-metric.ts";

/** What the node's STUN did with what it was asked; no samples where it is off. */
export function stunFamilies(nodes: () => readonly NodeStatus[]): Family[] {
  return [
    {
      name: "ut_stun_requests_total",
      help: "Datagrams that came to the STUN sockets, by what became of them",
      type: "counter",
      samples: () =>
        nodes().flatMap(({ stun }) =>
          stun === undefined
            ? []
            : RESULTS.map(([result, counter]) => ({ labels: { result }, value: stun.counters[counter] })),
        ),
    },
  ];
}

const LABELS: Record<keyof StunServerCounters, string> = {
  answered: "answered",
  unknownAttributes: "unknown_attributes",
  unauthorized: "unauthorized",
  rateLimited: "rate_limited",
  malformed: "malformed",
  ignored: "ignored",
};
const RESULTS = (Object.keys(LABELS) as (keyof StunServerCounters)[]).map((key) => [LABELS[key], key] as const);
