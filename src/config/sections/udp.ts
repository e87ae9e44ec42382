import { address, mapping } from "../leaf.ts";

/** The two UDP ends of the tunnel. */
export const udpSection = mapping({
  listen_addr: address("listen", "127.0.0.1:15000")
    .prefault("127.0.0.1:15000")
    .describe("Client: where the local WireGuard sends, that is the Endpoint of its peer."),
  wg_udp_addr: address("target", "127.0.0.1:51820")
    .prefault("127.0.0.1:51820")
    .describe("Server: where the local WireGuard listens."),
}).describe("The UDP ends of the tunnel.");
