import { lookup } from "node:dns/promises";
import { type Address, formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { errorMessage } from "../../core/error.ts";
import type { StunServer } from "../../core/nat/classifier-options.ts";
import { canonicalIp, ipFamily } from "../../core/net/ip.ts";
import type { ResolvedAddress } from "../../io/tcp/happy-eyeballs.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";

/** RFC 8489 §18.6. */
export const STUN_PORT = 3478;

/** A resolver that has not answered by then is as good as none: the check itself has 5 s in all. */
const RESOLVE_MS = 1_500;

export interface ResolveOptions {
  /** Of the socket that will ask. */
  readonly family: 4 | 6;
  /** The system's resolver unless given. */
  readonly resolve?: (host: string) => Promise<readonly ResolvedAddress[]>;
  readonly timeoutMs?: number;
}

/** The STUN of the node's own servers, if it has any: everybody does but a server. */
export function ownServer(config: Config): readonly Address[] {
  const { server_addr = [] } = config.tcp;
  if (config.roles.every((role) => role === "server")) return [];
  return [...new Set(server_addr.map(({ host }) => host))].map((host) => ({ host, port: STUN_PORT }));
}

/** Whom a node asks: its own server first, then the config's. */
export function stunServersOf(config: Config): readonly Address[] {
  return [...ownServer(config), ...config.nat.stun_servers];
}

/** Looks all names up at the same time. What has no address of the family in time is told in `problem`. */
export function resolveStunServers(servers: readonly Address[], options: ResolveOptions): Promise<StunServer[]> {
  return Promise.all(servers.map((server) => resolveOne(server, options)));
}

async function resolveOne({ host, port }: Address, options: ResolveOptions): Promise<StunServer> {
  const { family, resolve = systemResolver, timeoutMs = RESOLVE_MS } = options;
  const name = formatAddress({ host, port });
  const failed = (why: string): StunServer => ({ name, problem: `could not be resolved: ${why}` });
  const literal = canonicalIp(host);
  let addresses: readonly string[];
  try {
    addresses = literal === undefined ? await inTime(resolve(host), timeoutMs) : [literal];
  } catch (error) {
    return failed(errorMessage(error));
  }
  const address = addresses.find((one) => ipFamily(one) === family);
  if (address !== undefined) return { name, endpoint: { address, port } };
  return failed(`it has no IPv${family} address`);
}

async function inTime(resolving: Promise<readonly ResolvedAddress[]>, timeoutMs: number): Promise<readonly string[]> {
  const timeout = AbortSignal.timeout(timeoutMs);
  await unlessAborted(resolving, timeout);
  if (timeout.aborted) throw new Error(`no answer within ${timeoutMs / 1_000} s`);
  return (await resolving).flatMap(({ address }) => canonicalIp(address) ?? []);
}

function systemResolver(host: string): Promise<readonly ResolvedAddress[]> {
  return lookup(host, { all: true, verbatim: true });
}
