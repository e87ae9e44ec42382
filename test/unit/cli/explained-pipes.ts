import type { ExplainedNode, ExplainedPipe } from "../../../src/cli/nat/nat-explain-node.ts";

/** What `/api/status` says of pipes; tests name what matters to them. */

export const NODE: ExplainedNode = {
  cn: "home",
  server: "203.0.113.10:5443",
  outside: "198.51.100.2:40000",
  startedAt: Date.parse("2026-01-31T12:00:00.000Z"),
  now: 300_000,
  notReady: [],
  pipes: [],
};

export const CONE = { type: "cone", filtering: "address-and-port-dependent" } as const;
export const SYMMETRIC = { type: "symmetric", filtering: "address-and-port-dependent" } as const;

/** Between two port-restricted cones, not tried yet. */
export function pipe(some: Partial<ExplainedPipe> = {}): ExplainedPipe {
  return {
    pipe: 1,
    peer: "office",
    service: "wireguard",
    role: "initiator",
    state: "open",
    route: "relay",
    direct: null,
    relayRttMs: 24.1,
    directRttMs: null,
    mode: "off",
    ownNat: CONE,
    peerNat: CONE,
    peerReflex: "198.51.100.6:41000",
    attempts: [],
    retryInMs: 0,
    verdict: "",
    counters: null,
    ...some,
  };
}

type Attempt = ExplainedPipe["attempts"][number];

export function attempt(
  report: Partial<NonNullable<Attempt["report"]>> | null,
  steps: readonly (readonly [atMs: number, what: string, detail?: string])[] = [],
): Attempt {
  return {
    attempt: 0,
    startedAt: 60_000,
    steps: steps.map(([atMs, what, detail = ""]) => ({ atMs, what, detail })),
    omitted: 0,
    report: report && {
      attempt: 0,
      mode: "off",
      way: "plain",
      role: null,
      winner: null,
      elapsedMs: 420,
      iceCause: null,
      hardNatCause: null,
      verdict: "punch-failed",
      wasMediated: true,
      enteredHardNat: false,
      packets: 0,
      ...report,
    },
  };
}

export const DIRECT: NonNullable<ExplainedPipe["direct"]> = {
  socket: 0,
  remote: "198.51.100.6:41000",
  rttMs: 3.4,
  meta: { winner: "ice", elapsedMs: 420, mode: "off", role: null },
};

export function counters(some: Partial<NonNullable<ExplainedPipe["counters"]>> = {}) {
  return {
    ...{ sentRelay: 12, sentDirect: 3_456, sentBoth: 0, tooLarge: 0 },
    ...{ receivedRelay: 11, receivedDirect: 3_400, partsDropped: 0 },
    refused: { malformed: 0, "wrong-session": 0, forged: 0, replayed: 0 },
    ...some,
  };
}
