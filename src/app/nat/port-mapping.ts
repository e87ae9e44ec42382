import { randomBytes } from "node:crypto";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { portMapClient } from "../../core/portmap/clients.ts";
import { PortMapper } from "../../core/portmap/mapper.ts";
import type { PortMapperEvent } from "../../core/portmap/mapper-event.ts";
import { PORT_MAP_SOCKETS, type PortMapOptions, type PortMapProtocol } from "../../core/portmap/protocol.ts";
import type { Verdict } from "../../core/portmap/race.ts";
import { now } from "../../io/clock.ts";
import { type Driven, drive } from "../../io/drive.ts";
import { gatewayHttp } from "../../io/gateway-http.ts";
import type { MappingOwner } from "../../io/mapping-owner.ts";
import { type DefaultGateway, watchDefaultGateway } from "../../io/system/default-gateway.ts";
import { openFan, type UdpFan } from "../../io/udp/udp-fan.ts";

/** Where gateways announce their restarts (RFC 6887 §19.1, RFC 6886 §3.2.1). */
const ANNOUNCEMENT_PORT = 5350;

export interface PortMappingOptions
  extends Omit<PortMapOptions, "random" | "gateway" | "localAddress" | "nonce" | "description"> {
  /** The default gateway now; its changes are watched. */
  readonly gateway: DefaultGateway | undefined;
  readonly owner: MappingOwner;
  readonly protocols: readonly PortMapProtocol[];
  /** Has somebody outside send to `external`, and says whether it arrived; within 3 s. */
  readonly verify?: (external: Endpoint) => Promise<Verdict>;
  onEvent(event: PortMappingEvent): void;
}

/** What is left for the one who asked: requests and probes are made here. */
export type PortMappingEvent = Exclude<PortMapperEvent, { type: "request" | "verify" }>;

/** A port that is being mapped, renewed, and mapped anew wherever this host goes. Disposal removes it, within a second. */
export interface PortMapping extends AsyncDisposable {
  /** From now on disposal leaves the mapping on the gateway, until its lease ends. */
  leave(): void;
}

/** Runs a `PortMapper` on real sockets, HTTP and the system's default gateway. Needs no rights and throws nothing. */
export async function openPortMapping(options: PortMappingOptions): Promise<PortMapping> {
  const mapping = new RunningMapping(options);
  await mapping.follow(options.gateway);
  return mapping;
}

class RunningMapping implements PortMapping {
  readonly #options: PortMappingOptions;
  readonly #mapper: PortMapper;
  readonly #watch: Disposable;
  readonly #stopped = Promise.withResolvers<void>();
  #wires: Wires | undefined;
  /** Changes of the gateway are followed one after the other. */
  #following: Promise<void> = Promise.resolve();
  #isLeaving = false;

  constructor(options: PortMappingOptions) {
    this.#options = options;
    this.#mapper = new PortMapper({
      random: (length) => new Uint8Array(randomBytes(length)),
      verify: options.verify !== undefined,
      clientsFor: (target) => {
        const nonce = options.owner.nonceOf({ ...options, ...target });
        const description = `ut ${options.transport} ${options.internalPort}`;
        const all = { ...options, ...target, nonce, description, random: (length: number) => randomBytes(length) };
        return options.protocols.map((protocol) => portMapClient(protocol, all));
      },
    });
    this.#watch = watchDefaultGateway(options.gateway, (gateway) => void this.follow(gateway));
  }

  follow(gateway: DefaultGateway | undefined): Promise<void> {
    this.#following = this.#following.then(() => this.#follow(gateway));
    return this.#following;
  }

  leave(): void {
    this.#isLeaving = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch[Symbol.dispose]();
    await this.#following;
    if (!this.#isLeaving) {
      this.#mapper.stop(now());
      this.#poke();
      await this.#stopped.promise;
    }
    this.#wires?.[Symbol.dispose]();
  }

  async #follow(gateway: DefaultGateway | undefined): Promise<void> {
    this.#wires?.[Symbol.dispose]();
    this.#wires = undefined;
    // Without sockets there is no gateway: the address may be gone again by now, and the next change tells.
    const fan = gateway === undefined ? undefined : await openSockets(gateway.localAddress);
    const isThere = gateway !== undefined && fan !== undefined;
    const target = isThere ? { gateway: gateway.address, localAddress: gateway.localAddress } : undefined;
    this.#mapper.handleGatewayChange(now(), target);
    if (isThere) this.#wires = new Wires(this.#mapper, fan, gateway, (event) => this.#handle(event));
    else this.#poke();
  }

  #handle(event: PortMapperEvent): void {
    switch (event.type) {
      case "request":
        // Only on wires, which make it.
        break;
      case "verify":
        void this.#verify(event.external);
        break;
      case "stopped":
        this.#stopped.resolve();
        this.#options.onEvent(event);
        break;
      default:
        this.#options.onEvent(event);
    }
  }

  async #verify(external: Endpoint): Promise<void> {
    const verdict = (await this.#options.verify?.(external).catch(() => undefined)) ?? "unknown";
    this.#mapper.handleVerified(now(), external, verdict);
    this.#poke();
  }

  /** Without sockets nothing is driven, but what the mapper tells must be told. */
  #poke(): void {
    if (this.#wires !== undefined) this.#wires.poke();
    else
      for (let next = this.#mapper.pollEvent(); next !== undefined; next = this.#mapper.pollEvent()) this.#handle(next);
  }
}

/** What connects the mapper with one gateway. */
class Wires implements Disposable {
  readonly #mapper: PortMapper;
  readonly #fan: UdpFan;
  readonly #http: ReturnType<typeof gatewayHttp>;
  readonly #driven: Driven;
  #closed = false;

  constructor(mapper: PortMapper, fan: UdpFan, gateway: DefaultGateway, onEvent: (event: PortMapperEvent) => void) {
    this.#mapper = mapper;
    this.#fan = fan;
    this.#http = gatewayHttp(gateway.address, gateway.localAddress);
    // It tells its first events at once.
    this.#driven = drive(mapper, fan, (event) =>
      event.type === "request" ? void this.#request(event) : onEvent(event),
    );
  }

  poke(): void {
    this.#driven.poke();
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#driven[Symbol.dispose]();
    this.#http[Symbol.dispose]();
    this.#fan[Symbol.dispose]();
  }

  async #request({ protocol, request }: Extract<PortMapperEvent, { type: "request" }>): Promise<void> {
    const result = await this.#http.request(request);
    if (this.#closed) return;
    this.#mapper.handleHttp(now(), protocol, request.id, result);
    this.#driven.poke();
  }
}

/** In the order of `PORT_MAP_SOCKETS`; without the one for announcements where another program has its port. */
async function openSockets(localAddress: string): Promise<UdpFan | undefined> {
  const own = Array.from({ length: PORT_MAP_SOCKETS.announcements }, () => ({ address: localAddress }));
  return openFan([...own, { port: ANNOUNCEMENT_PORT }])
    .catch(() => openFan(own))
    .catch(() => undefined);
}
