import type { RandomBytes } from "../machine.ts";
import { sameEndpoint } from "../net/endpoint.ts";
import { type Instant, NEVER } from "../time.ts";
import { PathMonitor } from "./path-monitor.ts";
import { PathSize } from "./path-size.ts";
import type { DirectAddress } from "./pipe-output.ts";

export interface DirectPath {
  readonly address: DirectAddress;
  readonly monitor: PathMonitor;
  readonly size: PathSize;
}

export type DirectChange =
  /** A path was proven both ways, and takes the place of the one before if there was one. */
  | { readonly type: "direct-up"; readonly address: DirectAddress; readonly rttMs: number }
  /** Nothing came over it for too long, or its owner knows that it is gone. */
  | { readonly type: "direct-down"; readonly address: DirectAddress };

interface Candidate extends DirectPath {
  readonly since: Instant;
  /** The owner's word, from ICE or hard-NAT punching; otherwise packets came from there. */
  isWanted: boolean;
}

/** Not answered by then, it is no path. */
const PROOF_MS = 5_000;
/** Nobody is sent more than this who has not answered (DESIGN "Signalling"). */
const MAX_PROOF_PROBES = 7;

/**
 * The direct path of a pipe, and one address that may replace it.
 *
 * An address becomes a path once it has answered a sealed challenge. If the owner asked for it, it is taken at once. If
 * packets just came from there, then the peer's NAT has given it another address, or somebody on the way passes packets
 * on from an address of his own, who could pass the challenge on as well (RFC 9000 §9.3.3). The difference is that in
 * the first case the old address has fallen silent, so it is asked at the same time, and kept as long as it answers.
 */
export class DirectPaths {
  readonly #random: RandomBytes;
  #current: DirectPath | undefined;
  #candidate: Candidate | undefined;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  get current(): DirectPath | undefined {
    return this.#current;
  }

  /** There is a path, or something that may become one. */
  get isEmpty(): boolean {
    return this.#current === undefined && this.#candidate === undefined;
  }

  find(address: DirectAddress): DirectPath | undefined {
    if (isAt(this.#current, address)) return this.#current;
    return isAt(this.#candidate, address) ? this.#candidate : undefined;
  }

  /** False: nothing new, as it is known already or, for one that the owner did not ask for, another is being tried. */
  propose(now: Instant, address: DirectAddress, isWanted: boolean): boolean {
    if (isAt(this.#current, address)) return false;
    if (isAt(this.#candidate, address)) {
      if (isWanted && this.#candidate !== undefined) this.#candidate.isWanted = true;
      return false;
    }
    if (this.#candidate !== undefined && !isWanted) return false;
    const monitor = new PathMonitor(this.#random);
    this.#candidate = { address, monitor, size: new PathSize(), since: now, isWanted };
    return true;
  }

  /** Forgets the paths of one socket, or all. */
  drop(socket?: number): DirectChange | undefined {
    const isMeant = (path: DirectPath | undefined) => socket === undefined || path?.address.socket === socket;
    if (isMeant(this.#candidate)) this.#candidate = undefined;
    return isMeant(this.#current) ? this.#lose() : undefined;
  }

  /** What has changed by what was heard, or not heard. */
  settle(now: Instant): DirectChange | undefined {
    const candidate = this.#candidate;
    if (candidate !== undefined && now >= candidate.since + PROOF_MS) this.#candidate = undefined;
    else if (candidate?.monitor.isProven && (candidate.isWanted || now >= this.#replaceableAt)) {
      this.#current = candidate;
      this.#candidate = undefined;
      return { type: "direct-up", address: candidate.address, rttMs: candidate.monitor.rttMs ?? 0 };
    }
    return this.#current?.monitor.isDown(now) ? this.#lose() : undefined;
  }

  /** Paths that may be challenged. */
  get askable(): DirectPath[] {
    const candidate = this.#isUnproven ? this.#candidate : undefined;
    return [candidate, this.#current].filter((path) => path !== undefined);
  }

  /** When `path`, one of the askable, is to be challenged. */
  probeAt(path: DirectPath, isActive: boolean, keepaliveMs: number): Instant {
    return path.monitor.nextProbe(isActive || this.#candidate !== undefined, keepaliveMs);
  }

  /** When `settle` has something to do, if nothing is heard until then. */
  nextTimeout(): Instant {
    if (this.#candidate === undefined) return NEVER;
    const ends = this.#candidate.since + PROOF_MS;
    return this.#candidate.monitor.isProven ? Math.min(ends, this.#replaceableAt) : ends;
  }

  #lose(): DirectChange | undefined {
    const lost = this.#current;
    this.#current = undefined;
    return lost === undefined ? undefined : { type: "direct-down", address: lost.address };
  }

  /** The candidate still has to answer, and has not been asked too often. */
  get #isUnproven(): boolean {
    const monitor = this.#candidate?.monitor;
    return monitor !== undefined && !monitor.isProven && monitor.probes < MAX_PROOF_PROBES;
  }

  /** When the current path has been silent for so long that another one may take its place. */
  get #replaceableAt(): Instant {
    return this.#current === undefined ? Number.NEGATIVE_INFINITY : this.#current.monitor.silentAt;
  }
}

function isAt(path: DirectPath | undefined, { socket, remote }: DirectAddress): boolean {
  return path !== undefined && path.address.socket === socket && sameEndpoint(path.address.remote, remote);
}
