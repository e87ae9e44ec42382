import { z } from "zod";
import { isHost } from "../address.ts";
import { commonName, mapping, pemPath } from "../leaf.ts";

const EXPECTED_NAME = "a host name or an IPv4 address, without a port";

/** Certificates of this node (DESIGN "TLS"). Paths only: a config never holds a key. */
export const tlsSection = mapping({
  ca_cert: pemPath("/etc/ut/ca.pem").describe("Certificate of the private CA that both ends trust."),
  cert: pemPath("/etc/ut/node.pem").describe("This node's certificate; its CN is the node's identity."),
  key: pemPath("/etc/ut/node.key").describe("This node's private key, readable by this user alone."),
  server_name: z
    .string({ error: EXPECTED_NAME })
    .refine(isHost, { error: EXPECTED_NAME })
    .optional()
    .describe("Client: name the server's certificate must carry. Unset: the host of tcp.server_addr."),
  deny_cn: z
    .array(commonName(), { error: "a list of certificate names" })
    .default([])
    .describe("Server: certificate names that are shut out although the CA signed them."),
})
  .meta({ examples: [{ ca_cert: "/etc/ut/ca.pem", cert: "/etc/ut/node.pem", key: "/etc/ut/node.key" }] })
  .describe("Certificates of this node. Every role needs ca_cert, cert and key.");
