import type { Config } from "../../config/schema.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Log } from "../../io/log/log.ts";
import type { NodeIdentity, Role } from "../role.ts";
import type { Uplink } from "../tunnel/uplink.ts";
import type { PeerPlane } from "./peer-plane.ts";
import { peerStatus } from "./peer-status.ts";
import { openRelayPort, type RelayPort } from "./relay-port.ts";

/**
 * The relay role: local UDP ports, each of which leads to a service of an agent. `uplink`: where no other role tells of
 * it. Throws `io.bind` when one of the ports cannot be had; then none stays open.
 */
export async function startRelay(
  entries: Config["relay"],
  identity: NodeIdentity,
  plane: PeerPlane,
  uplink: Uplink | undefined,
  log: Log,
): Promise<Role> {
  using opening = new DisposableStack();
  const ports: RelayPort[] = [];
  for (const entry of entries) ports.push(opening.use(await openRelayPort(entry, plane, log)));
  return new Relay(identity, plane, ports, uplink, opening.move());
}

class Relay implements Role {
  readonly #identity: NodeIdentity;
  readonly #plane: PeerPlane;
  readonly #ports: readonly RelayPort[];
  readonly #uplink: Uplink | undefined;
  readonly #open: Disposable;

  constructor(
    identity: NodeIdentity,
    plane: PeerPlane,
    ports: readonly RelayPort[],
    uplink: Uplink | undefined,
    open: Disposable,
  ) {
    this.#identity = identity;
    this.#plane = plane;
    this.#ports = ports;
    this.#uplink = uplink;
    this.#open = open;
  }

  get port(): number {
    return this.#ports[0]?.port ?? 0;
  }

  status(): NodeStatus {
    const listen = this.#ports.map(({ address }) => address).join(", ");
    return peerStatus("relay", this.#identity, this.#plane, listen, this.#uplink);
  }

  async drain(deadline: AbortSignal): Promise<void> {
    for (const port of this.#ports) port.stop();
    await Promise.all(this.#ports.map((port) => port.drained(deadline)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open[Symbol.dispose]();
  }
}
