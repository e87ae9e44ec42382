import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { canonicalIp } from "../../core/net/ip.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import { openUdp, type UdpSocket } from "../../io/udp/udp.ts";
import type { NodeIdentity, Role, RoleContext } from "../role.ts";
import { Uplink } from "./uplink.ts";

/**
 * The client role: a local UDP port whose datagrams travel over lanes to the server. The first datagram dials; the
 * last local address that sent is where answers go, so WireGuard may change its source port whenever it likes.
 *
 * `uplink`: the process's lanes, if other roles use them, too. They drain and end with the first role that does.
 */
export async function startClient(
  config: Config,
  identity: NodeIdentity,
  context: RoleContext,
  uplink: Uplink = new Uplink(config, identity, context),
): Promise<Role> {
  const client = new Client(config, identity, uplink);
  await client.start();
  return client;
}

class Client implements Role {
  readonly #config: Config;
  readonly #identity: NodeIdentity;
  readonly #uplink: Uplink;
  #udp: UdpSocket | undefined;
  #peer: { port: number; address: string } | undefined;

  constructor(config: Config, identity: NodeIdentity, uplink: Uplink) {
    this.#config = config;
    this.#identity = identity;
    this.#uplink = uplink;
    uplink.onDatagrams = (datagrams) => this.#deliver(datagrams);
  }

  async start(): Promise<void> {
    const { host, port } = this.#config.udp.listen_addr;
    const { noisy } = this.#uplink;
    const { down } = this.#uplink.counters;
    this.#udp = await openUdp({
      host,
      port,
      setting: "udp.listen_addr",
      onDatagram: (datagram, fromPort, fromAddress) => this.#fromLocal(datagram, fromPort, fromAddress),
      onDrop: (reason, count) => {
        down.drops[reason] += count;
        noisy.warn("udp_drop", { reason, packets: count });
      },
      onSent: (count, bytes) => {
        down.outPackets += count;
        down.outBytes += bytes;
      },
      onError: (error) => noisy.warn("udp_unreachable", { port: this.#peer?.port, err: error }),
    });
    if (this.#config.tcp.prewarm) this.#uplink.demand();
  }

  get port(): number {
    return this.#udp?.port ?? 0;
  }

  status(): NodeStatus {
    const udp = this.#udp === undefined ? "" : formatAddress(this.#udp);
    const { lastError, counters, handshakeFailures } = this.#uplink;
    return {
      role: "client",
      cn: this.#identity.cn,
      certificateNotAfter: this.#identity.notAfter.toISOString(),
      ready: this.#udp !== undefined && lastError === undefined,
      notReadyReason: lastError?.message,
      listen: udp,
      sessions: this.#uplink.status(udp),
      servers: this.#uplink.servers.status(),
      clients: new Map([[this.#identity.cn, counters]]),
      tlsHandshakeFailures: handshakeFailures,
      stun: undefined,
    };
  }

  async drain(deadline: AbortSignal): Promise<void> {
    await this.#uplink.drain(deadline);
    await this.#udp?.drained(deadline);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#uplink[Symbol.asyncDispose]();
    this.#udp?.[Symbol.dispose]();
  }

  #fromLocal(datagram: Uint8Array, port: number, address: string): void {
    if (this.#peer === undefined || this.#peer.port !== port || this.#peer.address !== address) {
      // The first is news; two programs that fight for the port would make a line of each packet.
      const log = this.#peer === undefined ? this.#uplink.log : this.#uplink.noisy;
      log.info("local_peer", { address: canonicalIp(address), port, previous_port: this.#peer?.port });
      this.#peer = { port, address };
      this.#uplink.session.sourcePort = port;
    }
    this.#uplink.offer(datagram);
  }

  #deliver(datagrams: readonly Uint8Array[]): void {
    if (this.#peer === undefined) this.#uplink.counters.down.drops.no_peer += datagrams.length;
    else this.#udp?.sendTo(datagrams, this.#peer.port, this.#peer.address);
  }
}
