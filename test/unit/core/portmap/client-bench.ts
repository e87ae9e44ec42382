import type { Transmit } from "../../../../src/core/machine.ts";
import type { PortMapClient, PortMapClientEvent, PortMapOptions } from "../../../../src/core/portmap/protocol.ts";
import { PORT_MAP_SOCKETS } from "../../../../src/core/portmap/protocol.ts";
import type { Instant } from "../../../../src/core/time.ts";
import { hex } from "../../../bytes.ts";

export const GATEWAY = { address: "10.1.0.1", port: 5351 };
export const OPTIONS: PortMapOptions = {
  // The middle of every spread.
  random: (length) => new Uint8Array(length).fill(0).fill(0x80, 0, 1),
  gateway: GATEWAY.address,
  localAddress: "10.1.0.11",
  transport: "udp",
  internalPort: 51_820,
  externalPort: 40_000,
  leaseSeconds: 7_200,
  nonce: hex("000102030405060708090a0b"),
  description: "ut udp 51820",
};

/** A client on a virtual clock that starts at 1,000,000 ms: what it sent, when, and what it told. */
export class ClientBench<C extends PortMapClient> {
  readonly client: C;
  now: Instant = 1_000_000;
  /** `ms since the beginning: bytes` */
  readonly sent: string[] = [];
  readonly events: PortMapClientEvent[] = [];

  constructor(client: C) {
    this.client = client;
  }

  map(): this {
    this.client.map(this.now);
    return this.#pump();
  }

  unmap(): this {
    this.client.unmap(this.now);
    return this.#pump();
  }

  answer(bytes: string, from = GATEWAY, socket: number = PORT_MAP_SOCKETS[this.client.protocol]): this {
    this.client.handleDatagram(this.now, { socket, from, payload: hex(bytes) });
    return this.#pump();
  }

  announce(bytes: string, from = GATEWAY): this {
    return this.answer(bytes, from, PORT_MAP_SOCKETS.announcements);
  }

  /** Lets `ms` pass, with every timeout in between. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (let next = this.client.nextTimeout(); next <= end; next = this.client.nextTimeout()) {
      this.now = Math.max(this.now, next);
      this.client.handleTimeout(this.now);
      this.#pump();
    }
    this.now = end;
    return this;
  }

  /** Takes what was told since the last look. */
  told(): PortMapClientEvent[] {
    return this.events.splice(0);
  }

  #pump(): this {
    for (let next = this.client.pollTransmit(); next !== undefined; next = this.client.pollTransmit()) this.#note(next);
    for (let next = this.client.pollEvent(); next !== undefined; next = this.client.pollEvent()) this.events.push(next);
    return this;
  }

  #note({ socket, to, payload }: Transmit): void {
    if (socket !== PORT_MAP_SOCKETS[this.client.protocol] || to.address !== GATEWAY.address || to.port !== GATEWAY.port)
      throw new Error(`sent from socket ${socket} to ${to.address}:${to.port}`);
    this.sent.push(`${Math.round(this.now - 1_000_000)}: ${Buffer.from(payload).toString("hex")}`);
  }
}
