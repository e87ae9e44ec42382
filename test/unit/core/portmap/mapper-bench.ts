import type { Transmit } from "../../../../src/core/machine.ts";
import { portMapClient } from "../../../../src/core/portmap/clients.ts";
import { type GatewayTarget, PortMapper } from "../../../../src/core/portmap/mapper.ts";
import type { PortMapperEvent } from "../../../../src/core/portmap/mapper-event.ts";
import { PORT_MAP_SOCKETS, type PortMapProtocol } from "../../../../src/core/portmap/protocol.ts";
import type { Instant } from "../../../../src/core/time.ts";
import type { Random } from "../../../random.ts";
import { GATEWAY, OPTIONS } from "./client-bench.ts";
import { ModelGateway } from "./model-gateway.ts";

export const TARGET: GatewayTarget = { gateway: OPTIONS.gateway, localAddress: OPTIONS.localAddress };

export interface BenchOptions {
  readonly protocols?: readonly PortMapProtocol[];
  readonly verify?: boolean;
  readonly leaseSeconds?: number;
  readonly nonce?: Uint8Array;
  /** One that another bench has, too. */
  readonly gateway?: ModelGateway;
  /** Loss and delay of every datagram, and the mapper's own randomness; without it nothing is lost and 1 ms goes by. */
  readonly random?: Random;
  readonly lossPercent?: number;
  onEvent?(event: PortMapperEvent): void;
}

/** A mapper and a gateway, a cable between them, and a virtual clock that starts at 1,000,000 ms. */
export class MapperBench {
  readonly mapper: PortMapper;
  readonly gateway: ModelGateway;
  now: Instant = 1_000_000;
  lossPercent: number;
  /** Everything told, but requests: `seconds since the beginning: event`. */
  readonly log: string[] = [];
  readonly events: PortMapperEvent[] = [];
  sent = 0;
  readonly #options: BenchOptions;
  #cable: { readonly at: Instant; deliver(): void }[] = [];

  constructor(options: BenchOptions = {}) {
    this.#options = options;
    this.lossPercent = options.lossPercent ?? 0;
    this.gateway = options.gateway ?? new ModelGateway(this.now);
    const random = options.random;
    const client = {
      ...OPTIONS,
      leaseSeconds: options.leaseSeconds ?? OPTIONS.leaseSeconds,
      nonce: options.nonce ?? OPTIONS.nonce,
      random: random === undefined ? OPTIONS.random : (length: number) => random.bytes(length),
    };
    this.mapper = new PortMapper({
      random: client.random,
      verify: options.verify ?? false,
      clientsFor: (target) =>
        (options.protocols ?? ["pcp", "nat-pmp"]).map((protocol) => portMapClient(protocol, { ...client, ...target })),
    });
  }

  do(action: (mapper: PortMapper, now: Instant) => void): this {
    action(this.mapper, this.now);
    return this.#pump();
  }

  start(): this {
    return this.do((mapper, now) => mapper.handleGatewayChange(now, TARGET));
  }

  stop(): this {
    return this.do((mapper, now) => mapper.stop(now));
  }

  announce(): this {
    for (const payload of this.gateway.announcements(this.now))
      this.#carry(() => this.#deliver(PORT_MAP_SOCKETS.announcements, payload));
    return this;
  }

  /** Lets `ms` pass, with every timeout and arrival in between. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (let next = this.#next(); next <= end; next = this.#next()) {
      this.now = Math.max(this.now, next);
      const due = this.#cable.filter(({ at }) => at <= this.now);
      this.#cable = this.#cable.filter(({ at }) => at > this.now);
      for (const { deliver } of due) deliver();
      this.mapper.handleTimeout(this.now);
      this.#pump();
      if (this.mapper.nextTimeout() <= this.now) throw new Error("the mapper wants a timeout that has just been");
    }
    this.now = end;
    return this;
  }

  /** Takes the log since the last look. */
  told(): string[] {
    return this.log.splice(0);
  }

  #next(): Instant {
    return this.#cable.reduce((soonest, { at }) => Math.min(soonest, at), this.mapper.nextTimeout());
  }

  #pump(): this {
    for (let next = this.mapper.pollTransmit(); next !== undefined; next = this.mapper.pollTransmit()) this.#send(next);
    for (let next = this.mapper.pollEvent(); next !== undefined; next = this.mapper.pollEvent()) {
      this.#options.onEvent?.(next);
      if (next.type === "request") continue;
      this.events.push(next);
      this.log.push(`${(this.now - 1_000_000) / 1_000}: ${describe(next)}`);
    }
    return this;
  }

  #send({ socket, payload }: Transmit): void {
    this.sent += 1;
    if (socket === PORT_MAP_SOCKETS.upnp) return;
    this.#carry(() => {
      const answer = this.gateway.answer(this.now, payload);
      if (answer !== undefined) this.#carry(() => this.#deliver(socket, answer));
    });
  }

  #deliver(socket: number, payload: Uint8Array): void {
    this.mapper.handleDatagram(this.now, { socket, from: GATEWAY, payload });
    this.#pump();
  }

  /** Nothing overtakes: a repeated request behind the one that removes the mapping would bring it back. */
  #carry(deliver: () => void): void {
    const random = this.#options.random;
    if (random !== undefined && random.below(100) < this.lossPercent) return;
    const at = this.now + (random === undefined ? 1 : random.between(1, 400));
    this.#cable.push({ at: Math.max(at, this.#cable.at(-1)?.at ?? 0), deliver });
  }
}

/** One line for each event. */
function describe(event: PortMapperEvent): string {
  switch (event.type) {
    case "asking":
      return `asking ${event.protocol}`;
    case "refused":
      return `refused ${event.protocol}: ${event.kind}`;
    case "installed":
    case "renewed":
    case "replaced":
    case "behind-nat":
      return `${event.type} ${event.protocol} ${event.external.address}:${event.external.port} ${event.leaseSeconds}`;
    case "renewal-failed":
      return `renewal-failed ${event.failures} ${event.protocol}: ${event.kind}`;
    case "revoked":
      return `revoked ${event.external.address}:${event.external.port} ${event.reason}`;
    case "unavailable":
      return `unavailable ${event.failures.map(({ protocol, kind }) => `${protocol}: ${kind}`).join(", ")}; ${event.retryMs / 1_000}`;
    case "verify":
      return `verify ${event.external.address}:${event.external.port}`;
    case "abandoned":
      return `abandoned ${event.gateway} ${event.protocols.join(" ")}`;
    case "stopped":
      return `stopped ${event.left.join(" ")}`.trim();
    case "request":
      return `request ${event.request.path}`;
    default:
      return event satisfies never;
  }
}
