import { directWay } from "../../core/nat/direct-way.ts";
import type { ExplainedPipe } from "./nat-explain-node.ts";
import { isHardNatMissing } from "./nat-explain-words.ts";

/** What a user could do so that a pipe goes direct; nothing has to be done for its datagrams to flow. */
export function advice(pipe: ExplainedPipe): string[] {
  const { state, direct, verdict, peer, attempts } = pipe;
  if (state !== "open") return WAITING[verdict] ?? [];
  if (direct !== null) return [];
  if (verdict === "off")
    return ["p2p.direct: true in this node's config; nat_watch_fail in its log says why it has no socket"];
  if (verdict === "prefers-relay") return ["p2p.prefer: auto in this node's config"];
  if (verdict === "same-role") return ["hard_nat.role: auto at one end, or one nat3 and the other nat4"];
  if (verdict === "unsupported") return [`p2p.direct: true in the config of ${peer}`];
  const report = attempts.findLast((attempt) => attempt.report !== null)?.report ?? undefined;
  return [...natAdvice(pipe), ...(report?.hardNatCause == null ? [] : (HARD_NAT[report.hardNatCause] ?? []))];
}

function natAdvice(pipe: ExplainedPipe): string[] {
  const { ownNat, peerNat, verdict, peer } = pipe;
  if (peerNat === null) return [];
  const blocked = [
    ...(ownNat.type === "blocked" ? ["here"] : []),
    ...(peerNat.type === "blocked" ? [`at ${peer}`] : []),
  ];
  if (blocked.length > 0) return [`let UDP out at the firewall ${blocked.join(" and ")}`];
  const way = directWay(ownNat, peerNat);
  if (way === "relay") return [FORWARD];
  if (way === "hard-nat") return isHardNatMissing(pipe) ? [HARD_NAT_MODE, FORWARD] : [FORWARD];
  if (way === undefined) return ['"ut nat check" at both ends: what it cannot tell, it says why'];
  return verdict === "punch-failed" ? [FIREWALL, FORWARD] : [];
}

const HARD_NAT_MODE =
  "hard_nat.mode: fallback (or assist, which is quicker) in the configs of both ends; it is off at one at least";
const FORWARD =
  "a port forwarded at either end: let its router do PCP or UPnP, or forward by hand the port of p2p.listen_addr and name it in nat.reflex_override";
const FIREWALL = "a firewall at either end that lets UDP out but no answers in would look like this";

const HARD_NAT: Readonly<Record<string, string[]>> = {
  "no-reflex": ["let UDP ports 3478 and 3479 reach the server, whose STUN tells this end's address"],
  "reflex-mismatch": ["this end's address differs by destination: another NAT or a VPN is on the way"],
  "no-sockets": ["raise the limit of open files of this node (ulimit -n), or lower hard_nat.socket_count"],
  "by-chance": ["raise hard_nat.window_ms or hard_nat.scan_count"],
  "not-by-chance": ['"ut nat check" at both ends: one NAT is probably not what it was taken for'],
};

const WAITING: Readonly<Record<string, string[]>> = {
  "peer-not-reachable": ["start ut agent there; the name is the one in its certificate"],
  "not-authorised": ["add this node's certificate name to services.udp[].allow there"],
};
