import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { NodeIdentity, Role } from "../role.ts";
import type { Uplink } from "../tunnel/uplink.ts";
import type { AgentServices } from "./agent-services.ts";
import type { PeerPlane } from "./peer-plane.ts";
import { peerStatus } from "./peer-status.ts";

/** The agent role: it listens nowhere, peers come to it through the server. `uplink`: where no other role tells of it. */
export class Agent implements Role {
  readonly port = 0;
  readonly #identity: NodeIdentity;
  readonly #plane: PeerPlane;
  readonly #services: AgentServices;
  readonly #uplink: Uplink | undefined;

  constructor(identity: NodeIdentity, plane: PeerPlane, services: AgentServices, uplink: Uplink | undefined) {
    this.#identity = identity;
    this.#plane = plane;
    this.#services = services;
    this.#uplink = uplink;
  }

  status(): NodeStatus {
    const { socks } = this.#services;
    return {
      ...peerStatus("agent", this.#identity, this.#plane, "", this.#uplink),
      ...(socks === undefined ? {} : { socks: socks.status() }),
    };
  }

  async leave(): Promise<void> {
    await this.#services.socks?.end();
  }

  drain(deadline: AbortSignal): Promise<void> {
    return this.#services.drained(deadline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#services[Symbol.dispose]();
  }
}
