import { z } from "zod";
import { address, commonName, mapping } from "../leaf.ts";

/** RFC 1929 §2: each of them has one byte for its length. */
const MAX_BYTES = 255;
const USERS = "a mapping of users to passwords, each a text of 1 to 255 bytes";

/** Judged as a whole, so that no message shows a password. */
const users = z.record(z.string(), z.unknown(), { error: USERS }).transform((all, context): Record<string, string> => {
  if (Object.entries(all).flat().every(isCredential)) return all as Record<string, string>;
  context.addIssue({ code: "custom", message: USERS });
  return z.NEVER;
});

/** The socks role: a SOCKS5 and HTTP CONNECT proxy whose connections come out at an agent. */
export const socksSection = mapping({
  listen_addr: address("listen", "127.0.0.1:1080")
    .prefault("127.0.0.1:1080")
    .describe("TCP address of the proxy, SOCKS5 and HTTP CONNECT. Beyond loopback only with users."),
  to: commonName()
    .meta({ examples: ["office"] })
    .optional()
    .describe("Certificate name of the agent where connections come out. The socks role needs it."),
  users: users
    .prefault({})
    .describe("Users and their passwords. Without any, every program that reaches the port may use it."),
}).describe("A proxy whose connections come out at an agent.");

function isCredential(text: unknown): boolean {
  return typeof text === "string" && text.length > 0 && new TextEncoder().encode(text).length <= MAX_BYTES;
}
