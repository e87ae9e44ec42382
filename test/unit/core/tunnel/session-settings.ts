import type { SessionOptions } from "../../../../src/core/tunnel/session.ts";

/** What both ends of a test session share; nothing is dropped unless a test asks for it. */
export const SESSION_SETTINGS: Omit<SessionOptions, "clientCn" | "sessionId" | "outbound"> = {
  queue: { maxPackets: 4096, maxBytes: 8 * 1024 * 1024, maxDelayMs: 0, targetMs: 0 },
  pick: "round_robin",
  batchBytes: 16 * 1024,
  reorderMs: 0,
  writeStallMs: 10_000,
};
