import { address, flag, mapping } from "../leaf.ts";

/** The one UDP socket of the direct plane (DESIGN "The direct plane"). */
export const p2pSection = mapping({
  listen_addr: address("listen", "0.0.0.0:0")
    .prefault("0.0.0.0:0")
    .describe("UDP socket of the direct plane; port 0 takes any free one. Opened by nat.watch."),
  port_mapping: flag().default(true).describe("Ask the router to map that socket's port: PCP, NAT-PMP or UPnP."),
}).describe("Going direct: the UDP socket for it.");
