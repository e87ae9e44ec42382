import { type Endpoint, sameEndpoint } from "../net/endpoint.ts";
import { ipFamily } from "../net/ip.ts";
import { type LocalCandidate, MAX_CANDIDATES, peerReflexivePriority } from "./candidate.ts";

/** This side's candidates, looked up by what happens on a socket. */
export class OwnCandidates {
  readonly all: readonly LocalCandidate[];

  constructor(candidates: readonly LocalCandidate[]) {
    this.all = candidates.slice(0, MAX_CANDIDATES);
  }

  /** What stands for the socket in a pair with `remote`. */
  sending(socket: number, remote: Endpoint): LocalCandidate {
    const family = ipFamily(remote.address);
    const own = this.all.find((one) => one.socket === socket && ipFamily(one.base.address) === family);
    if (own !== undefined) return own;
    // A socket none of whose addresses was told to anybody.
    const base = { address: family === 6 ? "::" : "0.0.0.0", port: 0 };
    return { type: "host", foundation: "untold", priority: 1, endpoint: base, base, socket };
  }

  /** What the peer sees as `address` when `sender` sends: one that nobody knew is peer-reflexive (§7.2.5.3.1). */
  seenAs(address: Endpoint, sender: LocalCandidate): LocalCandidate {
    const { socket, base } = sender;
    const known = this.all.find((one) => one.socket === socket && sameEndpoint(one.endpoint, address));
    if (known !== undefined) return known;
    const priority = peerReflexivePriority(sender);
    return { type: "prflx", foundation: "prflx", priority, endpoint: address, related: base, socket, base };
  }
}
