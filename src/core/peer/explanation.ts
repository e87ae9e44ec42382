import type { PeerShared } from "./peer-shared.ts";
import type { PipeExplanation } from "./trace.ts";

type Known = Pick<PipeExplanation, "pipe" | "peer" | "service" | "role" | "state" | "verdict">;

/** What is known of a pipe, on top of what can be said of one that is not open yet. */
export function explanationOf(
  { network, options }: PeerShared,
  known: Known & Partial<PipeExplanation>,
): PipeExplanation {
  return {
    route: "relay",
    direct: null,
    relayRttMs: null,
    directRttMs: null,
    mode: options.hardNat.mode,
    ownNat: network?.nat ?? { type: "unknown", filtering: null },
    peerNat: null,
    peerReflex: null,
    attempts: [],
    retryInMs: null,
    counters: null,
    ...known,
  };
}
