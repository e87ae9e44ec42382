import { listWords } from "./leaf.ts";

/** What a process can be. One process may be several of them. */
export const ROLES = ["client", "server", "agent", "relay", "socks"] as const;
export type Role = (typeof ROLES)[number];

/** `client, server, agent, relay or socks`. */
export const ANY_ROLE = listWords(ROLES);

/** The roles that are ends of pipes: they have a control connection to the server, and look at their network. */
export function isPeerRole(role: Role): role is PeerRole {
  return role === "agent" || role === "relay" || role === "socks";
}

export type PeerRole = "agent" | "relay" | "socks";
