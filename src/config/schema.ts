import { z } from "zod";
import type { DeepReadonly } from "./freeze.ts";
import { mapping } from "./leaf.ts";
import { ANY_ROLE, ROLES } from "./roles.ts";
import { checkRules } from "./rules.ts";
import { hardNatSection } from "./sections/hard-nat.ts";
import { logSection } from "./sections/log.ts";
import { metricsSection } from "./sections/metrics.ts";
import { natSection } from "./sections/nat.ts";
import { p2pSection } from "./sections/p2p.ts";
import { queueSection } from "./sections/queue.ts";
import { relaySection } from "./sections/relay.ts";
import { serverSection } from "./sections/server.ts";
import { servicesSection } from "./sections/services.ts";
import { socksSection } from "./sections/socks.ts";
import { tcpSection } from "./sections/tcp.ts";
import { tlsSection } from "./sections/tls.ts";
import { udpSection } from "./sections/udp.ts";

const roleLeaf = z.enum(ROLES, {
  error: ({ input }) => (Array.isArray(input) ? `${ANY_ROLE}, several of them under "roles"` : ANY_ROLE),
});

const settings = mapping({
  role: roleLeaf
    .optional()
    .meta({ examples: ["client"] })
    .describe("What this process is; short for roles: [x]."),
  roles: z
    .array(roleLeaf, { error: `a list such as [${ROLES[0]}]` })
    .min(1, { error: "at least one role" })
    .refine((roles) => new Set(roles).size === roles.length, { error: "each role once" })
    .optional()
    .describe("What this process is, where it is several things. Its roles share certificates and status address."),
  tcp: tcpSection.prefault({}),
  udp: udpSection.prefault({}),
  queue: queueSection.prefault({}),
  metrics: metricsSection.prefault({}),
  tls: tlsSection,
  log: logSection.prefault({}),
  server: serverSection.prefault({}),
  p2p: p2pSection.prefault({}),
  nat: natSection.prefault({}),
  hard_nat: hardNatSection.prefault({}),
  relay: relaySection,
  services: servicesSection.prefault({}),
  socks: socksSection.prefault({}),
});

/** The file key for key, with defaults in place, before `role` and `roles` became one. */
export type Settings = z.output<typeof settings>;

/**
 * The whole config file. A new section is one file in `sections/` and one line in `settings`; a rule over several keys
 * stands in `rules.ts`. Keys of roles that the process does not have are checked but never a conflict, so one file
 * can serve both ends.
 */
export const configSchema = settings
  // Rules run beside the errors of single keys, so that one look at the file is enough to correct all of it.
  .superRefine(checkRules, { when: () => true })
  .transform(({ role, roles, ...sections }) => ({ roles: roles ?? (role === undefined ? [] : [role]), ...sections }));

/** A checked config, every default filled in, addresses parsed, frozen. Keys are spelt as in the file. */
export type Config = DeepReadonly<z.output<typeof configSchema>>;
