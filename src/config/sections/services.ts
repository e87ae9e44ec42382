import { z } from "zod";
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

/** The agent role: what it offers, and to whom. */
export const servicesSection = mapping({
  udp: z
    .array(udpService, { error: ERROR })
    .max(MAX_SERVICES, { error: ERROR })
    .prefault([])
    .describe("Agent: UDP services, by name. Without any it serves nothing."),
}).describe("What an agent offers to other peers.");
