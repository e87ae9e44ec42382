import type { Config } from "../../config/schema.ts";
import { SOCKS_SERVICE } from "../../core/socks/service.ts";
import { authenticator } from "../../core/socks/users.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { Log } from "../../io/log/log.ts";
import type { PeerPlane } from "../peers/peer-plane.ts";
import { peerStatus } from "../peers/peer-status.ts";
import type { NodeIdentity, Role } from "../role.ts";
import { openStreamPool, type StreamPool } from "../streams/stream-pool.ts";
import type { Uplink } from "../tunnel/uplink.ts";
import { SocksProxy } from "./socks-proxy.ts";
import { socksStatus } from "./socks-status.ts";

/**
 * The socks role: a local proxy, SOCKS5 and HTTP CONNECT, whose connections come out at an agent. `uplink`: where no
 * other role tells of it. Throws `io.bind` when its port cannot be had.
 */
export async function startSocks(
  config: Config["socks"],
  identity: NodeIdentity,
  plane: PeerPlane,
  uplink: Uplink | undefined,
  log: Log,
): Promise<Role> {
  using opening = new DisposableStack();
  // Invariant: the config of a socks role names the agent.
  const to = config.to ?? "";
  const pool = opening.use(await openStreamPool({ plane, to, service: SOCKS_SERVICE, identity, log }));
  const authenticate = authenticator(config.users);
  const proxy = opening.use(new SocksProxy({ listen: config.listen_addr, peer: to, streams: pool, authenticate, log }));
  return new Socks(identity, plane, uplink, { pool, proxy, open: opening.move() });
}

interface SocksParts {
  readonly pool: StreamPool;
  readonly proxy: SocksProxy;
  readonly open: Disposable;
}

class Socks implements Role {
  readonly #identity: NodeIdentity;
  readonly #plane: PeerPlane;
  readonly #uplink: Uplink | undefined;
  readonly #parts: SocksParts;

  constructor(identity: NodeIdentity, plane: PeerPlane, uplink: Uplink | undefined, parts: SocksParts) {
    this.#identity = identity;
    this.#plane = plane;
    this.#uplink = uplink;
    this.#parts = parts;
  }

  get port(): number {
    return this.#parts.proxy.port;
  }

  status(): NodeStatus {
    const { proxy, pool } = this.#parts;
    return {
      ...peerStatus("socks", this.#identity, this.#plane, proxy.address, this.#uplink),
      socks: socksStatus(proxy.counters, pool.status(), pool.problem ?? null),
    };
  }

  async leave(): Promise<void> {
    this.#parts.proxy.stop();
    await this.#parts.pool.end();
  }

  async drain(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.open[Symbol.dispose]();
  }
}
