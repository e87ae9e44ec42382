import type { Address } from "../../config/address.ts";
import type { NatKind } from "../../core/nat/direct-way.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { ipFamily } from "../../core/net/ip.ts";
import type { Log } from "../../io/log/log.ts";
import { openFan } from "../../io/udp/udp-fan.ts";
import { checkNat } from "./nat-check.ts";
import { resolveStunServers } from "./stun-servers.ts";

export interface NatGlanceOptions {
  /** The node's own server: names of others may take long to look up, and keep other look-ups waiting. */
  readonly asked: readonly Address[];
  /** Of the socket that peers go by. */
  readonly local: Endpoint;
  readonly interfaceAddresses: readonly string[];
  readonly log: Log;
  readonly onFound: () => void;
}

/**
 * Which NAT this host is behind, as any port of it would find out: the check of the socket that peers go by has to wait
 * until the gateway has mapped that port or is given up, and pipes need not.
 */
export class NatGlance implements AsyncDisposable {
  readonly #options: NatGlanceOptions;
  readonly #stopping = new AbortController();
  readonly #looking: Promise<void>;
  #nat: NatKind | undefined;

  constructor(options: NatGlanceOptions) {
    this.#options = options;
    this.#looking = this.#look();
  }

  /** Undefined until something was found out. */
  get nat(): NatKind | undefined {
    return this.#nat;
  }

  /** What comes of it no longer counts. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { asked, local: socket, interfaceAddresses, log, onFound } = this.#options;
    const { signal } = this.#stopping;
    try {
      const servers = await resolveStunServers(asked, { family: ipFamily(socket.address) });
      using tested = await openFan([{ address: socket.address }]);
      // Invariant: it was opened with one socket.
      const local = tested.local[0] as Endpoint;
      const { type, filtering } = await checkNat({ servers, tested, local, interfaceAddresses, signal });
      log.debug("nat_glance", { type, filtering: filtering ?? undefined });
      if (type === "unknown") return;
      this.#nat = { type, filtering };
      onFound();
    } catch (error) {
      if (!signal.aborted) log.debug("nat_glance", { err: error });
    }
  }
}
