import { listWords } from "./leaf.ts";

/** What a process can be. One process may be several of them. */
export const ROLES = ["client", "server", "agent", "relay"] as const;
export type Role = (typeof ROLES)[number];

/** `client, server, agent or relay`. */
export const ANY_ROLE = listWords(ROLES);

/** The roles that are ends of pipes: they have a control connection to the server, and look at their network. */
export function isPeerRole(role: Role): role is "agent" | "relay" {
  return role === "agent" || role === "relay";
}
