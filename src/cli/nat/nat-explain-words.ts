import { type DirectWay, directWay, type NatKind } from "../../core/nat/direct-way.ts";
import type { HandshakeFailure } from "../../core/pipe/handshake.ts";
import type { PunchVerdict } from "../../core/punch/punch-event.ts";
import type { OpenFailure } from "../../core/signal/hub-counters.ts";
import type { PunchReject } from "../../core/wire/signal.ts";
import { quoted } from "../quoted.ts";
import type { ExplainedPipe } from "./nat-explain-node.ts";

/** `port-restricted cone NAT`, `symmetric NAT`, … */
export function natName({ type, filtering }: NatKind): string {
  switch (type) {
    case "open":
      return "no NAT";
    case "cone":
      return filtering === null ? "cone NAT, whom it lets in is not known" : `${CONES[filtering]} cone NAT`;
    case "symmetric":
      return "symmetric NAT";
    case "blocked":
      return "UDP blocked";
    case "unknown":
      return "not known";
    default:
      return type satisfies never;
  }
}

/** What DESIGN's matrix makes of the two ends. */
export function matrixSays({ ownNat, peerNat, direct }: ExplainedPipe): string {
  if (peerNat === null) return "the other end is not known yet";
  const way = directWay(ownNat, peerNat);
  if (way === undefined && direct !== null) return "too little is known to tell, but they have met";
  if (way !== "relay") return WAYS[way ?? "unknown"];
  const types = [ownNat.type, peerNat.type];
  return types.includes("blocked")
    ? "without UDP at both ends there is no direct way"
    : "two symmetric NATs do not meet, except by a forwarded port or IPv6";
}

const CONES = {
  "endpoint-independent": "full",
  "address-dependent": "address-restricted",
  "address-and-port-dependent": "port-restricted",
} as const satisfies Record<NonNullable<NatKind["filtering"]>, string>;

const WAYS: Readonly<Record<Exclude<DirectWay, "relay"> | "unknown", string>> = {
  plain: "plain punching (ICE) gets through such NATs",
  "hard-nat": "only hard-NAT punching gets through such NATs",
  unknown: "too little is known of one end to tell; ICE is tried all the same",
};

/** Why datagrams go through the server, after "because". */
export function whyRelay(pipe: ExplainedPipe): string {
  const { verdict, peer } = pipe;
  if (verdict === "udp-blocked") {
    const isOwn = pipe.ownNat.type === "blocked";
    const isPeers = pipe.peerNat?.type === "blocked";
    return `no UDP gets out ${isOwn && isPeers ? "at either end" : isPeers ? `at ${peer}` : "here"}`;
  }
  if (verdict === "punch-failed" && isHardNatMissing(pipe))
    return "only hard-NAT punching would get through, and it is off";
  return verdictWords(verdict, peer);
}

/** What the verdict on an attempt, or on trying at all, means. */
export function verdictWords(verdict: string, peer: string): string {
  return RELAYED[verdict]?.replace("PEER", peer) ?? word(verdict);
}

/** Both ends must have it on. */
export function isHardNatMissing({ ownNat, peerNat, mode }: ExplainedPipe): boolean {
  return mode === "off" && peerNat !== null && directWay(ownNat, peerNat) === "hard-nat";
}

/** Why a pipe is not open, after a colon. */
export function whyWaiting(reason: string): string {
  return WAITING[reason] ?? `its end came with ${word(reason)}`;
}

/** What a cause of hard-NAT punching means. */
export function hardNatCause(cause: string): string {
  return HARD_NAT[cause] ?? word(cause);
}

export function iceCause(cause: string): string {
  return ICE[cause] ?? word(cause);
}

/** What no table has may be a stranger's. */
function word(text: string): string {
  return text === "" ? "nothing that it told" : quoted(text);
}

/** Verdicts of attempts, and why there are none. */
const RELAYED: Readonly<Record<string, string>> = {
  "": "nothing has been tried yet",
  off: "this node does not go direct (p2p.direct is off, or its UDP socket could not be had)",
  "prefers-relay": "this node is told to stay there (p2p.prefer: relay)",
  unsupported: "PEER does not go direct (p2p.direct is off there, or its version cannot)",
  "both-symmetric": "both ends are behind symmetric NATs",
  "udp-blocked": "no UDP gets out at one end",
  "peer-not-reachable": "PEER sent no addresses to try",
  "rendezvous-no-relay": "the server did not give the word to begin",
  "rendezvous-rejected": "the server declined to introduce the two ends",
  "same-role": "hard_nat.role is the same at both ends, and the two have to differ",
  unproven: "an address answered, but sealed packets did not get through both ways",
  "punch-failed": "no packet got through the NATs",
  direct: "the direct path has gone silent",
  closed: "the attempt was ended with its pipe",
  superseded: "another attempt took its place",
  "network-changed": "this node's network changed during the attempt",
};

const REFUSED = {
  "peer-not-reachable": "nobody by that name is at the server",
  "no-answer": "it did not answer",
  self: "that is this node itself",
  "target-busy": "it has as many pipes as it may have",
  "too-many-channels": "this node has as many pipes as it may have",
  "too-many-pending": "this node has too many requests under way",
  "rate-limited": "this node has asked too often",
  "too-large": "the request is larger than may be",
  malformed: "what was said is not of this protocol",
  "wrong-kind": "what was said is not of this protocol",
  "wrong-peer": "whoever answered is somebody else",
  "not-for-us": "what was said is for somebody else",
  "wrong-service": "what was said is for another service",
  "bad-certificate": "a certificate is not of this CA, has ended, or is denied",
  "bad-signature": "what was said is not signed by who should have",
  "bad-key": "what was said has no usable key",
} as const satisfies Record<OpenFailure | HandshakeFailure, string>;

const WAITING: Readonly<Record<string, string>> = {
  ...REFUSED,
  "": "it is asked for the first time",
  "not-authorised": "it does not allow this node that service",
  transport: "the control connection to the server is down",
  "unknown-channel": "the server has restarted",
  shutdown: "it has shut down",
  unreachable: "both paths are gone",
};

const ICE: Readonly<Record<string, string>> = {
  timeout: "no check was answered in time",
  "no-pair": "no pair of addresses worked",
};

const PUNCHED = {
  "rate-limited": "the server introduces nobody more often than 8 times in 10 s",
  "unknown-target": "the other end is not at the server any more",
  "no-session": "the server does not know the pipe any more",
  "reflex-mismatch": "the server has not seen this end at the address that it gave",
  "both-symmetric": "the port of the nat3 end changes with the destination, too",
  "not-by-chance": "enough ports were tried: the nat3 end's port is not fixed, or the other end sent nothing",
  "by-chance": "too few ports were tried to tell",
  "wrong-token": "probes of another session came in",
  unconfirmed: "a probe got through, but the two ends could not settle on it",
} as const satisfies Record<PunchReject | PunchVerdict, string>;

const HARD_NAT: Readonly<Record<string, string>> = {
  ...PUNCHED,
  "no-sockets": "its sockets could not be opened",
  "no-reflex": "the server's STUN port did not tell this end's address",
  "not-introduced": "the other end did not ask to be introduced in time",
};
