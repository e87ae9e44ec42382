import { z } from "zod";
import { parseExitRule } from "../../core/socks/exit-rule.ts";
import { address, commonName, mapping, serviceName } from "../leaf.ts";

const MAX_SERVICES = 64;
const ERROR = `a list of up to ${MAX_SERVICES} mappings with name, target and allow`;

const udpService = mapping({
  name: serviceName().describe("What peers ask for."),
  target: address("target", "127.0.0.1:51820").describe("Where its datagrams go."),
  allow: z
    .array(commonName(), { error: "a list of certificate names" })
    .default([])
    .describe("Certificate names of the peers that may use it; nobody else can."),
});

const MAX_DESTINATIONS = 256;
const DESTINATIONS = `a list of up to ${MAX_DESTINATIONS} destinations such as ["public", "192.168.1.0/24:443", "*.example.com"]`;
const DESTINATION =
  "public, an IP address or prefix, or a name, maybe with a port or a range of ports such as 10.0.0.0/8:8000-8099";

const destination = z
  .string({ error: DESTINATION })
  .meta({ examples: ["public"] })
  .refine((text) => parseExitRule(text) !== undefined, { error: DESTINATION });

const socksService = mapping({
  allow: z
    .array(commonName(), { error: "a list of certificate names" })
    .default([])
    .describe("Certificate names of the peers whose ut socks may come out here; nobody else can."),
  destinations: z
    .array(destination, { error: DESTINATIONS })
    .max(MAX_DESTINATIONS, { error: DESTINATIONS })
    .prefault([])
    .meta({ examples: [["public", "192.168.1.0/24:443", "*.example.com"]] })
    .describe("Where they may connect to. None listed: every public address. Listed: these, and no others."),
});

/** The agent role: what it offers, and to whom. */
export const servicesSection = mapping({
  udp: z
    .array(udpService, { error: ERROR })
    .max(MAX_SERVICES, { error: ERROR })
    .prefault([])
    .describe("Agent: UDP services, by name. Without any it serves nothing."),
  socks: socksService.prefault({}).describe("Agent: a way out for ut socks."),
}).describe("What an agent offers to other peers.");
