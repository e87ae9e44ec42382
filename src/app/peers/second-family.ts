import type { Endpoint } from "../../core/net/endpoint.ts";
import { WATCH_MS } from "../../io/system/default-gateway.ts";
import { ipv6Addresses } from "../../io/system/network-view.ts";
import { pollChanges } from "../../io/system/poll-changes.ts";
import { type HostEndpoint, hostEndpoints } from "../nat/nat-view.ts";

/**
 * The IPv6 socket beside the one of IPv4. No NAT is looked for there and no port mapped: its host's own addresses are
 * what peers are told, and firewalls open to whom it sends to.
 */
export class SecondFamily implements Disposable {
  readonly #local: Endpoint;
  readonly #socket: number;
  readonly #polling: Disposable;
  #addresses = ipv6Addresses();

  /** `onChange`: `hosts` are others now. */
  constructor(local: Endpoint, socket: number, onChange: () => void) {
    this.#local = local;
    this.#socket = socket;
    const changed = (addresses: readonly string[]) => {
      this.#addresses = addresses;
      onChange();
    };
    this.#polling = pollChanges(async () => ipv6Addresses(), this.#addresses, changed, WATCH_MS);
  }

  get local(): Endpoint {
    return this.#local;
  }

  get hosts(): HostEndpoint[] {
    return hostEndpoints(this.#local, this.#addresses, this.#socket);
  }

  [Symbol.dispose](): void {
    this.#polling[Symbol.dispose]();
  }
}
