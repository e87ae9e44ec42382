import { UtError } from "../../core/error.ts";
import { canonicalIp } from "../../core/net/ip.ts";
import type { Destination } from "../../core/socks/address.ts";
import type { ExitPolicy } from "../../core/socks/exit-policy.ts";
import type { Reply } from "../../core/socks/reply.ts";
import { Shares } from "../../core/socks/shares.ts";
import { type ExitFault, snake } from "../../core/socks/socks-counters.ts";
import { interleave, type ResolvedAddress, race, resolveAll } from "../../io/tcp/happy-eyeballs.ts";
import type { TcpConnection } from "../../io/tcp/tcp-connection.ts";
import { type DialFailure, dialTcp } from "../../io/tcp/tcp-dial.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";

export type Looked =
  /** At least one, in canonical text; each of them may be connected to. */
  | { readonly ok: true; readonly addresses: readonly string[] }
  | { readonly ok: false; readonly fault: ExitFault; readonly reply: Reply };

export type Dialled =
  | { readonly ok: true; readonly connection: TcpConnection }
  | { readonly ok: false; readonly fault: ExitFault; readonly reply: Reply };

/** Resolving a name and connecting, together. */
const DIAL_MS = 15_000;
/** Names that are being looked up. The system's resolver cannot be stopped, so what was given up counts, too. */
const LOOKUPS = { inAll: 256, ofOnePeer: 64 } as const;
/** Connections that are being tried; the system cannot be stopped here either. */
const DIALS = { inAll: 2_048, ofOnePeer: 512 } as const;
/** Of one name. */
const MAX_ADDRESSES = 8;

type Failure = DialFailure | "crowded";

const REPLIES: Readonly<Record<Failure, readonly [ExitFault, Reply]>> = {
  refused: ["refused", "refused"],
  "network-unreachable": ["network_unreachable", "network-unreachable"],
  "host-unreachable": ["host_unreachable", "host-unreachable"],
  "not-permitted": ["not_permitted", "network-unreachable"],
  "timed-out": ["timeout", "ttl-expired"],
  crowded: ["crowded", "general-failure"],
};

/**
 * Where an agent's connections come from: names are resolved here, each address is judged, and exactly the addresses
 * that were judged are connected to, as RFC 8305 tries them.
 */
export class ExitDialer {
  readonly #policy: ExitPolicy;
  readonly #resolve: (host: string) => Promise<ResolvedAddress[]>;
  readonly #dial: typeof dialTcp;
  readonly #lookups = new Shares(LOOKUPS);
  readonly #dials = new Shares(DIALS);

  constructor(
    policy: ExitPolicy,
    resolve: (host: string) => Promise<ResolvedAddress[]> = resolveAll,
    dial: typeof dialTcp = dialTcp,
  ) {
    this.#policy = policy;
    this.#resolve = resolve;
    this.#dial = dial;
  }

  /** Why `address`, which `name` led to if one did, may not be reached; undefined: it may. */
  judge(address: string, port: number, name?: string): ExitFault | undefined {
    const refusal = this.#policy.refusal(address, port, name);
    return refusal && snake(refusal);
  }

  /** The addresses of a destination that may be reached. `peer` is who asks for it. Does not outlast `signal`. */
  async look({ host, port }: Destination, peer: string, signal: AbortSignal): Promise<Looked> {
    const literal = canonicalIp(host);
    const found = literal === undefined ? await this.#lookUp(host, peer, signal) : [literal];
    if (typeof found === "string") return { ok: false, fault: found, reply: LOOKUP_REPLIES[found] };
    const name = literal === undefined ? host : undefined;
    const faults = found.map((address) => this.judge(address, port, name));
    const addresses = found.filter((_, index) => faults[index] === undefined);
    const [fault] = faults;
    if (addresses.length > 0 || fault === undefined) return { ok: true, addresses };
    return { ok: false, fault, reply: "not-allowed" };
  }

  /** A connection for `peer`, which waits for its `start`. Given up when `signal` fires, or after 15 s. */
  async dial(to: Destination, peer: string, signal: AbortSignal): Promise<Dialled> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]);
    const looked = await this.look(to, peer, limit);
    if (!looked.ok) return looked;
    const addresses = looked.addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 }));
    const first = interleave(addresses).slice(0, MAX_ADDRESSES);
    try {
      const attempt = ({ address }: ResolvedAddress, abandoned: AbortSignal) =>
        this.#attempt(address, to.port, peer, abandoned);
      return { ok: true, connection: await race(first, attempt, { signal: limit }) };
    } catch (error) {
      const failure = limit.aborted ? "timed-out" : failureOf(error);
      const [fault, reply] = REPLIES[failure];
      return { ok: false, fault, reply };
    }
  }

  async #attempt(address: string, port: number, peer: string, abandoned: AbortSignal): Promise<TcpConnection> {
    if (!this.#dials.take(peer)) {
      throw new UtError("io.connect", "Too many connections are being tried", { details: { failure: "crowded" } });
    }
    return await this.#dial(address, port, abandoned, () => this.#dials.bringBack(peer));
  }

  async #lookUp(host: string, peer: string, signal: AbortSignal): Promise<string[] | keyof typeof LOOKUP_REPLIES> {
    if (!this.#lookups.take(peer)) return "crowded";
    const lookup = this.#resolve(host).finally(() => this.#lookups.bringBack(peer));
    const found = lookup.catch(() => []);
    await unlessAborted(found, signal);
    if (signal.aborted) return "timeout";
    const addresses = (await found).flatMap(({ address }) => canonicalIp(address) ?? []);
    return addresses.length === 0 ? "resolve" : addresses;
  }
}

const LOOKUP_REPLIES = { crowded: "general-failure", resolve: "host-unreachable", timeout: "ttl-expired" } as const;

function failureOf(error: unknown): Failure {
  return error instanceof UtError ? ((error.details.failure as Failure | undefined) ?? "refused") : "refused";
}
