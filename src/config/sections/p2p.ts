import { addresses, flag, mapping, oneOf } from "../leaf.ts";

/** Which of two working paths carries a pipe's datagrams; `auto`: the direct one unless it is clearly worse. */
export const PATH_PREFERENCES = ["auto", "direct", "relay"] as const;

/** The UDP sockets of the direct plane, one of each address family (DESIGN "The direct plane"). */
export const p2pSection = mapping({
  direct: flag().default(true).describe("Try to go direct. Off: everything stays on the lanes through the server."),
  listen_addr: addresses("listen", "0.0.0.0:0", 2)
    .prefault(["0.0.0.0:0", "[::]:0"])
    .describe(
      "UDP sockets of the direct plane, one of each address family; port 0 takes any free one. Opened by agent, relay and nat.watch.",
    ),
  port_mapping: flag().default(true).describe("Ask the router to map that socket's port: PCP, NAT-PMP or UPnP."),
  include_loopback: flag().default(false).describe("Offer loopback addresses to peers, too: for two ends on one host."),
  prefer: oneOf(PATH_PREFERENCES)
    .default("auto")
    .describe("Path of the datagrams while both work: the better one, the direct one, or the one through the server."),
}).describe("Going direct: the UDP sockets for it.");
