import { z } from "zod";
import { address, endpoint, flag, mapping } from "../leaf.ts";

/** Two addresses with two ports each (RFC 5780 §4.1), for IPv4 and for IPv6. */
const MAX_STUN_ADDRESSES = 8;

const EXPECTED_LISTEN = `a list of up to ${MAX_STUN_ADDRESSES} addresses such as ["0.0.0.0:3478", "0.0.0.0:3479"]`;
const EXPECTED_PUBLIC = "a list of IP addresses with ports, one for each entry of listen";

/** STUN for nodes that want to know their network (RFC 8489, RFC 5780). */
const stunSection = mapping({
  listen: z
    .array(address("listen", "0.0.0.0:3478"), { error: EXPECTED_LISTEN })
    .max(MAX_STUN_ADDRESSES, { error: EXPECTED_LISTEN })
    .prefault(["0.0.0.0:3478", "0.0.0.0:3479"])
    .describe("Where STUN is answered; two ports or addresses tell a client more (RFC 5780). [] turns STUN off."),
  public_addrs: z
    .array(endpoint("203.0.113.7:3478"), { error: EXPECTED_PUBLIC })
    .max(MAX_STUN_ADDRESSES, { error: EXPECTED_PUBLIC })
    .prefault([])
    .describe("What the entries of listen are outside, in their order, where a NAT stands before the server."),
}).describe("STUN: tells nodes, over UDP, what their network looks like from outside.");

/** What only the server role has beside its lanes. */
export const serverSection = mapping({
  stun: stunSection.prefault({}),
  peers: flag()
    .default(true)
    .describe("Bring agents and relays together and carry their pipes. Off: their control connections are refused."),
}).describe("Services of the server role.");
