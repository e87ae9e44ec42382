import type { ExitRefusal } from "./exit-policy.ts";
import type { HandshakeFault } from "./handshake.ts";
import type { Reply } from "./reply.ts";

/** Why a program did not get what it asked the proxy for, or a datagram of its was dropped. */
export type EntryRefusal =
  | HandshakeFault
  /** No request within the time for it. */
  | "timeout"
  /** Too many at the same time. */
  | "crowded"
  /** There was no stream to the agent, or no answer on it. */
  | "agent_unreachable"
  /** What the agent said. */
  | Exclude<Snake<Reply>, "succeeded">
  /** UDP: from another address or port than the association's, a piece of a datagram, no datagram of SOCKS, or too many. */
  | "udp_source"
  | "udp_fragment"
  | "udp_malformed"
  | "udp_blocked";

/** Why an agent did not connect, or did not send a datagram on. */
export type ExitFault =
  | "malformed"
  | "timeout"
  | "crowded"
  /** The name has no address. */
  | "resolve"
  | Snake<ExitRefusal>
  | "refused"
  | "network_unreachable"
  | "host_unreachable"
  /** The agent's own firewall or routes forbid it. */
  | "not_permitted"
  | "udp_malformed"
  | "udp_blocked"
  /** From somebody whom the peer never wrote to. */
  | "udp_source";

/** Every word of them, so that each has its series from the start. */
export const ENTRY_REFUSALS: readonly EntryRefusal[] = [
  "malformed",
  "auth_missing",
  "auth_failed",
  "command",
  "address_type",
  "timeout",
  "crowded",
  "agent_unreachable",
  "general_failure",
  "not_allowed",
  "network_unreachable",
  "host_unreachable",
  "refused",
  "ttl_expired",
  "command_not_supported",
  "address_type_not_supported",
  "udp_source",
  "udp_fragment",
  "udp_malformed",
  "udp_blocked",
];
export const EXIT_FAULTS: readonly ExitFault[] = [
  "malformed",
  "timeout",
  "crowded",
  "resolve",
  "unspecified",
  "loopback",
  "link_local",
  "multicast",
  "private",
  "shared",
  "broadcast",
  "reserved",
  "own",
  "not_listed",
  "refused",
  "network_unreachable",
  "host_unreachable",
  "not_permitted",
  "udp_malformed",
  "udp_blocked",
  "udp_source",
];

/** What is asked for: TCP connections, or UDP associations. */
export type SocksKind = "connect" | "udp";

/** Traffic and refusals of one end of `ut socks`; `up` is from the program to the destination, at both ends. */
export class SocksCounters<Refusal extends string> {
  /** Now. */
  readonly open: Record<SocksKind, number> = { connect: 0, udp: 0 };
  /** Since the start. */
  readonly opened: Record<SocksKind, number> = { connect: 0, udp: 0 };
  readonly bytes = { up: 0, down: 0 };
  readonly datagrams = { up: 0, down: 0 };
  readonly refused: Map<Refusal, number>;

  constructor(refusals: readonly Refusal[]) {
    this.refused = new Map(refusals.map((refusal) => [refusal, 0]));
  }

  begin(kind: SocksKind): void {
    this.open[kind] += 1;
    this.opened[kind] += 1;
  }

  end(kind: SocksKind): void {
    this.open[kind] -= 1;
  }

  refuse(refusal: Refusal): void {
    this.refused.set(refusal, (this.refused.get(refusal) ?? 0) + 1);
  }
}

/** The word of a metric's label for a word of a protocol. */
export function snake<Word extends string>(word: Word): Snake<Word> {
  return word.replaceAll("-", "_") as Snake<Word>;
}

type Snake<Word extends string> = Word extends `${infer Head}-${infer Tail}` ? `${Head}_${Snake<Tail>}` : Word;
