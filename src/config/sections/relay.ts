import { z } from "zod";
import { address, commonName, integer, mapping, serviceName } from "../leaf.ts";

/** More than anybody has services for, and a bound on sockets and pipes. */
const MAX_RELAYS = 64;
const ERROR = `a list of up to ${MAX_RELAYS} mappings with listen_addr, to and service`;

const relayEntry = mapping({
  listen_addr: address("listen", "127.0.0.1:15001").describe("Local UDP port that leads to the service."),
  to: commonName()
    .meta({ examples: ["office"] })
    .describe("Certificate name of the agent."),
  service: serviceName().describe("Name of the service there."),
  idle_seconds: integer({ min: 1, max: 86_400, unit: "seconds" })
    .default(120)
    .describe("A local sender's flow ends after this long without a datagram either way."),
});

/** The relay role: local UDP ports that lead to services of agents. */
export const relaySection = z
  .array(relayEntry, { error: ERROR })
  .max(MAX_RELAYS, { error: ERROR })
  .prefault([])
  .describe("Relay: local UDP ports, each of which leads to a service of an agent. The relay role needs one.");
