import type { RandomBytes } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { CHALLENGE_BYTES, type PipeControl, TOKEN_BYTES } from "./control-message.ts";
import { type DirectPath, DirectPaths } from "./direct-paths.ts";
import { SEAL_OVERHEAD_BYTES } from "./packet.ts";
import type { Route } from "./path-choice.ts";
import { PathMonitor } from "./path-monitor.ts";
import type { PipeOutput, PipePath } from "./pipe-output.ts";

/** Seals a message of the pipe's own for a path. */
export type Say = (path: PipePath, message: PipeControl, out: PipeOutput) => void;

/** Datagrams flow as long as one went out in the last so many milliseconds. */
const ACTIVE_MS = 2_000;
/** How often the relay is measured while datagrams flow directly. */
const RELAY_PROBE_MS = 5_000;

/** Asks the paths of a pipe whether they are there, how long they take and how much: who, when, and what answers say. */
export class PathProbes {
  readonly relay: PathMonitor;
  readonly direct: DirectPaths;
  /** How often an idle direct path is spoken on. */
  keepaliveMs: number;
  readonly #random: RandomBytes;
  readonly #say: Say;
  #sentAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly random: RandomBytes; readonly keepaliveMs: number }, say: Say) {
    this.relay = new PathMonitor(options.random);
    this.direct = new DirectPaths(options.random);
    this.keepaliveMs = options.keepaliveMs;
    this.#random = options.random;
    this.#say = say;
  }

  /** A datagram is about to go out. Paths that rested are asked at once whether they are still there. */
  sending(now: Instant, out: PipeOutput): void {
    const wasIdle = !this.#isActive(now);
    this.#sentAt = now;
    if (wasIdle && !this.direct.isEmpty) this.askAll(now, out);
  }

  /** Something authentic, that was not here before, came by `path`. */
  heard(now: Instant, path: PipePath, out: PipeOutput): void {
    if (this.knows(path) || path === "relay") return;
    // The peer's NAT gave it another address, or the peer has another network: see whether answers get there.
    if (this.direct.propose(now, path, false)) this.askAll(now, out);
  }

  knows(path: PipePath): boolean {
    return path === "relay" || this.direct.find(path) !== undefined;
  }

  /** True: the answer to a challenge; `direct.settle` may have something to say. */
  answered(now: Instant, path: PipePath, token: string): boolean {
    if (path === "relay") return this.relay.answered(now, token);
    const known = this.direct.find(path);
    if (known === undefined) return false;
    if (!known.size.answered(now, token)) return known.monitor.answered(now, token);
    known.monitor.heard(now);
    return true;
  }

  askAll(now: Instant, out: PipeOutput): void {
    this.#ask(now, "relay", this.relay, out);
    for (const { address, monitor } of this.direct.askable) this.#ask(now, address, monitor, out);
  }

  handleTimeout(now: Instant, route: Route, out: PipeOutput): void {
    const isActive = this.#isActive(now);
    for (const path of this.direct.askable)
      if (now >= this.direct.probeAt(path, isActive, this.keepaliveMs)) this.#ask(now, path.address, path.monitor, out);
    if (now >= this.#relayAt(isActive, route)) this.#ask(now, "relay", this.relay, out);
    if (this.direct.current !== undefined && isActive) this.#askSizes(now, this.direct.current, out);
  }

  nextTimeout(now: Instant, route: Route): Instant {
    const isActive = this.#isActive(now);
    let earliest = Math.min(this.direct.nextTimeout(), this.#relayAt(isActive, route));
    for (const path of this.direct.askable)
      earliest = Math.min(earliest, this.direct.probeAt(path, isActive, this.keepaliveMs));
    return Math.min(earliest, this.direct.current?.size.nextTimeout(isActive) ?? NEVER);
  }

  #isActive(now: Instant): boolean {
    return now - this.#sentAt <= ACTIVE_MS;
  }

  /** The relay is measured only while there is something to choose: it shall not keep idle lanes open. */
  #relayAt(isActive: boolean, route: Route): Instant {
    if (this.direct.current === undefined || !isActive) return NEVER;
    return this.relay.nextProbe(route === "relay", RELAY_PROBE_MS);
  }

  #ask(now: Instant, path: PipePath, monitor: PathMonitor, out: PipeOutput): void {
    this.#say(path, { type: "challenge", token: monitor.probe(now), padding: 0 }, out);
  }

  #askSizes(now: Instant, { address, size }: DirectPath, out: PipeOutput): void {
    for (const bytes of size.handleTimeout(now)) {
      const token = this.#random(TOKEN_BYTES).toHex();
      size.note(token, bytes);
      const padding = bytes - SEAL_OVERHEAD_BYTES - CHALLENGE_BYTES;
      this.#say(address, { type: "challenge", token, padding }, out);
    }
  }
}
