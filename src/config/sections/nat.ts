import { z } from "zod";
import { DEFAULT_STUN_SERVERS } from "../../core/nat/default-stun-servers.ts";
import { address, endpoint, flag, mapping } from "../leaf.ts";

const MAX_STUN_SERVERS = 32;
const EXPECTED_SERVERS = `a list of up to ${MAX_STUN_SERVERS} STUN servers such as ["${DEFAULT_STUN_SERVERS[0]}"]`;

/** What the node learns of the network it is in. */
export const natSection = mapping({
  watch: flag()
    .default(false)
    .describe("Learn what NAT this node is behind, at start, when the network changes, and every hour."),
  stun_servers: z
    .array(address("target", "stun.example.com:3478"), { error: EXPECTED_SERVERS })
    .max(MAX_STUN_SERVERS, { error: EXPECTED_SERVERS })
    .prefault([...DEFAULT_STUN_SERVERS])
    .describe("Asked at the same time, behind the node's own server (port 3478 at the host of tcp.server_addr)."),
  reflex_override: endpoint("203.0.113.7:40000")
    .nullable()
    .prefault(null)
    .describe("This node's UDP address as seen from outside, where it is known better than it can be found out."),
}).describe("What the node learns of the network it is in.");
