import type { Transmit } from "../../core/machine.ts";
import type { Instant } from "../../core/time.ts";
import { localAddressTowards, ownAddresses } from "../../io/system/interfaces.ts";

/** Routes change; the watch looks at the network as often. */
const FRESH_MS = 5_000;
/** Addresses whose route is remembered; the one asked about longest ago goes. */
const MAX_KNOWN = 256;
/** Datagrams that wait for the answer to where they would go: a fan's first ones. */
const MAX_HELD = 1_024;

interface Route {
  /** Undefined until it is known for the first time. */
  isTunnelled: boolean | undefined;
  askedAt: Instant;
}

/**
 * Keeps the datagrams of the direct plane out of this host's tunnels. WireGuard over `ut relay` may lead to the very
 * addresses at which the other end offers to be reached: a pipe that went direct there would be carried by itself, and
 * each datagram would make another one for ever. Nothing is lost by it but a way that is none.
 */
export class TunnelGuard {
  readonly #isTunnelled: (transmit: Transmit) => Promise<boolean>;
  readonly #send: (transmits: readonly Transmit[]) => void;
  readonly #routes = new Map<string, Route>();
  #held: Transmit[] = [];
  /** Datagrams that were to go into a tunnel. */
  refused = 0;

  /** @param send what may leave, now or as soon as its route is known */
  constructor(send: (transmits: readonly Transmit[]) => void, isTunnelled = leavesByTunnel) {
    this.#send = send;
    this.#isTunnelled = isTunnelled;
  }

  send(now: Instant, transmits: readonly Transmit[]): void {
    let last: Transmit["to"] | undefined;
    let passes = false;
    // Nearly always all of them may leave, and then there is no other list.
    let free: Transmit[] | undefined;
    for (const [index, transmit] of transmits.entries()) {
      // All packets of one path carry the same object.
      if (transmit.to !== last) passes = this.#passes(now, transmit);
      last = transmit.to;
      if (passes) free?.push(transmit);
      else {
        free ??= transmits.slice(0, index);
        this.#keep(transmit);
      }
    }
    const leaving = free ?? transmits;
    if (leaving.length > 0) this.#send(leaving);
  }

  #passes(now: Instant, transmit: Transmit): boolean {
    const { address } = transmit.to;
    const route = this.#routes.get(address) ?? { isTunnelled: undefined, askedAt: Number.NEGATIVE_INFINITY };
    if (now - route.askedAt >= FRESH_MS) {
      route.askedAt = now;
      this.#remember(address, route);
      void this.#ask(transmit, route);
    }
    return route.isTunnelled === false;
  }

  #keep(transmit: Transmit): void {
    if (this.#routes.get(transmit.to.address)?.isTunnelled === undefined && this.#held.length < MAX_HELD)
      this.#held.push(transmit);
    else this.refused += 1;
  }

  async #ask(transmit: Transmit, route: Route): Promise<void> {
    route.isTunnelled = await this.#isTunnelled(transmit);
    const { address } = transmit.to;
    const mine = this.#held.filter(({ to }) => to.address === address);
    if (mine.length === 0) return;
    this.#held = this.#held.filter(({ to }) => to.address !== address);
    if (route.isTunnelled) this.refused += mine.length;
    else this.#send(mine);
  }

  #remember(address: string, route: Route): void {
    this.#routes.delete(address);
    this.#routes.set(address, route);
    const oldest = this.#routes.keys().next();
    if (this.#routes.size > MAX_KNOWN && oldest.done !== true) this.#routes.delete(oldest.value);
  }
}

/** By the address that the system would send from. Public ones are those of a line, as PPP's, not of a network in it. */
async function leavesByTunnel({ to }: Transmit): Promise<boolean> {
  const local = await localAddressTowards(to);
  return ownAddresses().some(({ address, isTunnel, scope }) => address === local && isTunnel && scope !== "public");
}
