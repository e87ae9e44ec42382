import { z } from "zod";
import { address, addresses, flag, integer, mapping, oneOf } from "../leaf.ts";
import { proxyUrl } from "../proxy.ts";

/** How a lane is chosen for a datagram. */
export const PICKS = ["round_robin", "hash"] as const;

/** Congestion control of the lanes; `auto` follows what TCP_INFO shows. */
export const CONGESTIONS = ["auto", "bbr", "cubic", "system"] as const;

/** How long a datagram may wait for an earlier one on another lane, in ms; 0 delivers in order of arrival. */
export const DEFAULT_REORDER_MS = 0;

/** Servers of a client: the first, and those that stand in for it. */
const MAX_SERVERS = 8;

/** What lanes are below their frames: TLS alone, or a WebSocket over it. */
export const TRANSPORTS = ["tcp", "wss"] as const;

const EXPECTED_PATH = `a path such as "/ut", without ? or #`;
const EXPECTED_HOST = `a host name, with its port unless that is 443, such as "www.example.com"`;

const KIB = 1024;
const MIB = 1024 * KIB;

/** The lanes: where they go, how many, and how TCP treats them (DESIGN "Lanes"). */
export const tcpSection = mapping({
  server_addr: addresses("target", "ec2.example.com:5443", MAX_SERVERS)
    .optional()
    .describe(
      "Client: the server's host:port, resolved anew on every dial; or a list: the first, and what stands in for it.",
    ),
  listen_addr: address("listen", "0.0.0.0:5443")
    .prefault("0.0.0.0:5443")
    .describe("Server: where lanes are accepted. `[::]:5443` or `:5443` takes IPv4 and IPv6."),
  lanes: integer({ min: 1, max: 32 })
    .default(5)
    .describe("Client: parallel TCP+TLS connections of a session. More of them help on long or lossy paths."),
  transport: oneOf(TRANSPORTS)
    .default("tcp")
    .describe("Lanes as they are, or as WebSockets over TLS where only HTTPS comes through. Both ends need the same."),
  wss: mapping({
    path: z
      .string({ error: EXPECTED_PATH })
      .regex(/^\/[\w.~!$&'()*+,;=:@%/-]*$/, { error: EXPECTED_PATH })
      .default("/ut")
      .describe("Where lanes are: the same at both ends. Everything else is a page that is not there."),
    host: z
      .string({ error: EXPECTED_HOST })
      .regex(/^[\w.-]+(:\d{1,5})?$/, { error: EXPECTED_HOST })
      .optional()
      .meta({ examples: ["www.example.com"] })
      .describe("Client: name in the request (Host). Unset: tls.server_name or the host of tcp.server_addr."),
  })
    .prefault({})
    .describe("With transport: wss."),
  proxy: proxyUrl()
    .optional()
    .describe(
      "Client: HTTP proxy that lanes go through (CONNECT), http://[user:password@]host:port. It finds the server.",
    ),
  tcp_nodelay: flag().default(true).describe("TCP_NODELAY. Off lets Nagle's algorithm delay small datagrams."),
  tcp_buf: integer({ min: 4 * KIB, max: 16 * MIB, unit: "bytes" })
    .default(16 * KIB)
    .describe("Unsent bytes a lane may hold in the kernel (TCP_NOTSENT_LOWAT); the rest waits in the session's queue."),
  idle_seconds: integer({ min: 1, max: 86_400, unit: "seconds" })
    .default(120)
    .describe("Lanes close after this long without a datagram either way; the next datagram dials again."),
  prewarm: flag().default(false).describe("Client: dial at start instead of at the first datagram."),
  pick: oneOf(PICKS)
    .default("round_robin")
    .describe(
      "Lane for a datagram: in turn over those that can take more, or by flow so that each flow keeps its lane.",
    ),
  congestion: oneOf(CONGESTIONS)
    .default("auto")
    .describe("Congestion control: chosen by what the lanes measure, BBR, CUBIC, or what the system has set."),
  reorder_ms: integer({ min: 0, max: 1000, unit: "milliseconds" })
    .default(DEFAULT_REORDER_MS)
    .describe("Longest wait for an earlier datagram that is still on another lane; 0 delivers in order of arrival."),
  session_linger_seconds: integer({ min: 0, max: 86_400, unit: "seconds" })
    .default(600)
    .describe(
      "Server: a session keeps its UDP port this long after its last lane, so that WireGuard's endpoint stays.",
    ),
  user_timeout_ms: integer({ min: 1000, max: 600_000, unit: "milliseconds" })
    .default(10_000)
    .describe("A lane whose bytes stay unacknowledged this long is dead (TCP_USER_TIMEOUT)."),
  sndbuf: integer({ min: 4 * KIB, max: 64 * MIB, unit: "bytes" })
    .optional()
    .describe("SO_SNDBUF of each lane. Unset: the kernel sizes it, which is nearly always better."),
  rcvbuf: integer({ min: 4 * KIB, max: 64 * MIB, unit: "bytes" })
    .optional()
    .describe("SO_RCVBUF of each lane. Unset: the kernel sizes it, which is nearly always better."),
}).describe("The lanes: TCP+TLS connections that carry the datagrams.");
