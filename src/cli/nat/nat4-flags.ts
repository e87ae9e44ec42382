import { readFileSync } from "node:fs";
import type { Nat4Options } from "../../app/nat/nat4.ts";
import { errorMessage, UtError } from "../../core/error.ts";
import { DEFAULT_STUN_SERVERS } from "../../core/nat/default-stun-servers.ts";
import { type Endpoint, formatEndpoint, parseEndpoint } from "../../core/net/endpoint.ts";
import { canonicalIp, ipFamily } from "../../core/net/ip.ts";
import { TARGET_LIMITS } from "../../core/punch/budget.ts";
import { PORT_COUNT } from "../../core/punch/ports.ts";
import { MAX_CONTENT_BYTES, type PunchRole } from "../../core/punch/probe.ts";
import { PUNCH_DEFAULTS, PUNCH_RANGES, type PunchSettings } from "../../core/punch/settings.ts";
import { integerFlag, type ParsedFlags, parseFlags, stringFlag } from "../command.ts";
import { stunAddress } from "../stun-address.ts";

/** Two people start the two ends by hand: longer than what two nodes agree on. */
export const DEFAULT_WINDOW_MS = 20_000;
export const TOKEN_VARIABLE = "UT_NAT4_TOKEN";
const RATE = { min: 1, max: 100_000 };
const MAPPINGS = { min: 1, max: PORT_COUNT };

const FLAGS = {
  target: { type: "string", short: "t" },
  count: { type: "string", short: "c" },
  "peer-count": { type: "string" },
  interval: { type: "string" },
  "batch-interval": { type: "string" },
  ttl: { type: "string" },
  "no-ttl": { type: "boolean" },
  local: { type: "string", short: "l" },
  "discover-public-addr": { type: "boolean" },
  "stun-server": { type: "string", multiple: true },
  "pause-after-discovery": { type: "boolean" },
  token: { type: "string" },
  "token-file": { type: "string" },
  window: { type: "string" },
  ports: { type: "string" },
  "max-mappings": { type: "string" },
  rate: { type: "string" },
  "dry-run": { type: "boolean" },
  json: { type: "boolean" },
} as const;

/** One command line of `ut nat4 …-send`, read to the end. */
export interface Nat4Call {
  readonly options: Omit<Nat4Options, "signal" | "pause">;
  readonly pauseAfterDiscovery: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Throws `usage.*` and, for a token file that cannot be read, `io.file`. `environment` may hold the token. */
export function readNat4Call(
  role: PunchRole,
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Nat4Call {
  const flags = parseFlags(argv, FLAGS);
  const settings = readSettings(role, flags);
  const target = readTarget(role, flags);
  return {
    options: {
      role,
      target,
      local: readLocal(role, flags, target, settings),
      settings,
      order: readOrder(flags),
      limits: {
        packetsPerSecond: integerFlag(flags, "rate", RATE) ?? TARGET_LIMITS.packetsPerSecond,
        // Whoever asks for more ports at a time means it.
        mappings: integerFlag(flags, "max-mappings", MAPPINGS) ?? Math.max(TARGET_LIMITS.mappings, settings.scanCount),
      },
      token: readToken(flags, environment),
      content: readContent(flags),
      stunServers: readStunServers(flags),
    },
    pauseAfterDiscovery: flags.values["pause-after-discovery"] === true,
    dryRun: flags.values["dry-run"] === true,
    json: flags.values.json === true,
  };
}

function readSettings(role: PunchRole, flags: ParsedFlags): PunchSettings {
  const [socketsFlag, scanFlag] = role === "nat3" ? ["peer-count", "count"] : ["count", "peer-count"];
  return {
    socketCount: integerFlag(flags, socketsFlag, PUNCH_RANGES.socketCount) ?? PUNCH_DEFAULTS.socketCount,
    scanCount: integerFlag(flags, scanFlag, PUNCH_RANGES.scanCount) ?? PUNCH_DEFAULTS.scanCount,
    intervalMs: integerFlag(flags, "interval", PUNCH_RANGES.intervalMs) ?? PUNCH_DEFAULTS.intervalMs,
    batchIntervalMs:
      integerFlag(flags, "batch-interval", PUNCH_RANGES.batchIntervalMs) ?? PUNCH_DEFAULTS.batchIntervalMs,
    ttl: readTtl(flags),
    noTtl: flags.values["no-ttl"] === true,
    windowMs: integerFlag(flags, "window", PUNCH_RANGES.windowMs) ?? DEFAULT_WINDOW_MS,
  };
}

function readTtl(flags: ParsedFlags): number | "auto" {
  const text = stringFlag(flags, "ttl");
  if (text === undefined || text === "auto") return "auto";
  if (flags.values["no-ttl"] === true)
    throw new UtError("usage.bad-value", `Cannot use --ttl ${text} with --no-ttl: one of them`);
  return integerFlag(flags, "ttl", PUNCH_RANGES.ttl) ?? "auto";
}

function readTarget(role: PunchRole, flags: ParsedFlags): Endpoint {
  const text = stringFlag(flags, "target");
  const expected = role === "nat3" ? "the other side's public IP" : "the other side's public IP:PORT";
  if (text === undefined)
    throw new UtError("usage.bad-flag", `Missing -t: ${expected}, which --discover-public-addr shows over there`);
  const address = canonicalIp(unbracketed(text));
  const target = role === "nat3" && address !== undefined ? { address, port: 0 } : parseEndpoint(text);
  if (target === undefined || (role === "nat3") !== (target.port === 0))
    throw new UtError("usage.bad-value", `Cannot use -t ${text}: expected ${expected}`);
  return target;
}

/** `ADDRESS`, `ADDRESS:PORT` or `:PORT`. */
function readLocal(role: PunchRole, flags: ParsedFlags, target: Endpoint, settings: PunchSettings): Endpoint {
  const wildcard = ipFamily(target.address) === 6 ? "::" : "0.0.0.0";
  const text = stringFlag(flags, "local");
  if (text === undefined) return { address: wildcard, port: 0 };
  const bare = canonicalIp(unbracketed(text));
  const whole = text.startsWith(":") ? `${wildcard === "::" ? "[::]" : wildcard}${text}` : text;
  const local = bare === undefined ? parseEndpoint(whole) : { address: bare, port: 0 };
  if (local === undefined)
    throw new UtError("usage.bad-value", `Cannot use -l ${text}: expected ADDRESS, ADDRESS:PORT or :PORT`);
  if (ipFamily(local.address) !== ipFamily(target.address))
    throw new UtError(
      "usage.bad-value",
      `Cannot reach ${target.address} from ${local.address}: IPv4 and IPv6 do not mix`,
    );
  const last = local.port + (role === "nat4" ? settings.socketCount - 1 : 0);
  if (local.port !== 0 && last > 65_535)
    throw new UtError(
      "usage.bad-value",
      `Cannot use -l ${formatEndpoint(local)}: ${settings.socketCount} sockets from there end at ${last}, the last port is 65535`,
    );
  return local;
}

/** An IPv6 address may be typed with the brackets that it needs before a port. */
function unbracketed(text: string): string {
  return text.replace(/^\[(.*)\]$/, "$1");
}

function readOrder(flags: ParsedFlags): Nat4Options["order"] {
  const order = stringFlag(flags, "ports") ?? "permuted";
  if (order === "permuted" || order === "random") return order;
  throw new UtError("usage.bad-value", `Cannot use --ports ${order}: expected permuted or random`);
}

function readToken(flags: ParsedFlags, environment: Readonly<Record<string, string | undefined>>): string | undefined {
  const file = stringFlag(flags, "token-file");
  const given = stringFlag(flags, "token");
  if (file !== undefined && given !== undefined)
    throw new UtError("usage.bad-flag", "Cannot use --token and --token-file together: one of them");
  const token = file === undefined ? (given ?? environment[TOKEN_VARIABLE]) : readTokenFile(file);
  if (token === "") throw new UtError("usage.bad-value", "Cannot use an empty token: both ends need the same words");
  return token;
}

function readTokenFile(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new UtError("io.file", `Cannot read the token from ${path}: ${errorMessage(cause)}`, { cause });
  }
}

function readContent(flags: ParsedFlags): string {
  const content = flags.positionals.join(" ");
  const bytes = Buffer.byteLength(content);
  if (bytes > MAX_CONTENT_BYTES)
    throw new UtError("usage.bad-value", `Cannot carry ${bytes} bytes of content: ${MAX_CONTENT_BYTES} is the most`);
  return content;
}

function readStunServers(flags: ParsedFlags): Nat4Options["stunServers"] {
  const named = [flags.values["stun-server"] ?? []].flat().map(String);
  // Whoever names a server or wants to wait for the discovery wants one.
  const wanted = flags.values["discover-public-addr"] === true || flags.values["pause-after-discovery"] === true;
  if (!wanted && named.length === 0) return [];
  return (named.length > 0 ? named : DEFAULT_STUN_SERVERS).map(stunAddress);
}
