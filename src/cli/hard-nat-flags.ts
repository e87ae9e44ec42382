import type { Config } from "../config/schema.ts";
import { HARD_NAT_MODES, HARD_NAT_ROLES } from "../config/sections/hard-nat.ts";
import { UtError } from "../core/error.ts";
import { PUNCH_RANGES } from "../core/punch/settings.ts";
import { integerFlag, type ParsedFlags, stringFlag } from "./command.ts";

/** The options of the seed (hard-nat-integration, "relay"), by which a command line overrides `hard_nat` of the file. */
export const HARD_NAT_FLAGS = {
  "p2p-hardnat": { type: "string" },
  "p2p-hardnat-role": { type: "string" },
  "p2p-hardnat-socket-count": { type: "string" },
  "p2p-hardnat-scan-count": { type: "string" },
  "p2p-hardnat-interval": { type: "string" },
  "p2p-hardnat-batch-interval": { type: "string" },
  "p2p-hardnat-ttl": { type: "string" },
  "p2p-hardnat-no-ttl": { type: "boolean" },
} as const;

export const HARD_NAT_HELP = `\
  --p2p-hardnat ${HARD_NAT_MODES.join("|")}
                                    when hard-NAT punching is tried beside ICE (hard_nat.mode)
  --p2p-hardnat-role ${HARD_NAT_ROLES.join("|")}
                                    which end this is; auto goes by the measured NAT types
  --p2p-hardnat-socket-count N      sockets of the nat4 end, ${rangeOf("socketCount")}
  --p2p-hardnat-scan-count N        ports of a batch of the nat3 end, ${rangeOf("scanCount")}
  --p2p-hardnat-interval MS         a batch is sent again, ${rangeOf("intervalMs")}
  --p2p-hardnat-batch-interval MS   new ports, ${rangeOf("batchIntervalMs")}
  --p2p-hardnat-ttl N               time to live of what opens the NAT, ${rangeOf("ttl")}
  --p2p-hardnat-no-ttl              the usual one`;

/** The file's `hard_nat` with what the flags say instead. Throws `usage.bad-value` for what the file may not say. */
export function withHardNatFlags(file: Config["hard_nat"], flags: ParsedFlags): Config["hard_nat"] {
  const whole = (name: keyof typeof HARD_NAT_FLAGS, range: keyof typeof PUNCH_RANGES) =>
    integerFlag(flags, name, PUNCH_RANGES[range]);
  const ttl = whole("p2p-hardnat-ttl", "ttl");
  const noTtl = flags.values["p2p-hardnat-no-ttl"] === true;
  if (ttl !== undefined && noTtl)
    throw new UtError("usage.bad-value", "Cannot use --p2p-hardnat-ttl with --p2p-hardnat-no-ttl: one of them");
  return {
    ...file,
    mode: wordFlag(flags, "p2p-hardnat", HARD_NAT_MODES) ?? file.mode,
    role: wordFlag(flags, "p2p-hardnat-role", HARD_NAT_ROLES) ?? file.role,
    socket_count: whole("p2p-hardnat-socket-count", "socketCount") ?? file.socket_count,
    scan_count: whole("p2p-hardnat-scan-count", "scanCount") ?? file.scan_count,
    interval_ms: whole("p2p-hardnat-interval", "intervalMs") ?? file.interval_ms,
    batch_interval_ms: whole("p2p-hardnat-batch-interval", "batchIntervalMs") ?? file.batch_interval_ms,
    // Each of the two takes the place of both in the file.
    ttl: ttl ?? (noTtl ? "auto" : file.ttl),
    no_ttl: noTtl || (file.no_ttl && ttl === undefined),
  };
}

function wordFlag<const Word extends string>(
  flags: ParsedFlags,
  name: string,
  words: readonly Word[],
): Word | undefined {
  const text = stringFlag(flags, name);
  const found = words.find((word) => word === text);
  if (text === undefined || found !== undefined) return found;
  throw new UtError("usage.bad-value", `Cannot use --${name} ${text}: expected ${words.join(", ")}`);
}

function rangeOf(name: keyof typeof PUNCH_RANGES): string {
  return `${PUNCH_RANGES[name].min} to ${PUNCH_RANGES[name].max}`;
}
