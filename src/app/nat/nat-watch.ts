import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { StunServer } from "../../core/nat/classifier-options.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import type { TraversalStats } from "../../core/nat/traversal-stats.ts";
import type { NetworkStatus } from "../../core/nat/traversal-status.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import { ipFamily, ipScope } from "../../core/net/ip.ts";
import { PORT_MAP_PROTOCOLS } from "../../core/portmap/clients.ts";
import type { Verdict } from "../../core/portmap/race.ts";
import { looksLikeStun } from "../../core/stun/message.ts";
import type { Instant } from "../../core/time.ts";
import { now } from "../../io/clock.ts";
import type { Log } from "../../io/log/log.ts";
import { mappingOwner } from "../../io/mapping-owner.ts";
import { WATCH_MS } from "../../io/system/default-gateway.ts";
import { type NetworkView, networkView } from "../../io/system/network-view.ts";
import { pollChanges } from "../../io/system/poll-changes.ts";
import { type Share, SharedFan } from "../../io/udp/shared-fan.ts";
import type { UdpFan } from "../../io/udp/udp-fan.ts";
import { openDirectSockets } from "../peers/direct-sockets.ts";
import { SecondFamily } from "../peers/second-family.ts";
import { probeMapping } from "./mapping-probe.ts";
import { checkNat } from "./nat-check.ts";
import { NatGlance } from "./nat-glance.ts";
import { isOtherNat, reportFields } from "./nat-report-log.ts";
import { hostEndpoints, type NatView } from "./nat-view.ts";
import { openPortMapping, type PortMapping } from "./port-mapping.ts";
import { PortMappingRecord } from "./port-mapping-record.ts";
import { ReflexKeeper } from "./reflex-keeper.ts";
import { ownServer, resolveStunServers, stunServersOf } from "./stun-servers.ts";

const CHECK_EVERY_MS = 3_600_000;
/** A network that changes is left so long to settle: addresses come one after the other. */
const SETTLE_MS = 1_000;
/** The first check is about the mapped port, so it waits for the mapping, but not for gateways that never answer. */
const MAPPING_PATIENCE_MS = 4_000;
/** How long a NAT may remember whom a port has sent to; RFC 4787 §4.3 wants five minutes or more. */
const NAT_MEMORY_MS = 600_000;
const LEASE_SECONDS = 3_600;

export interface NatWatchOptions {
  readonly config: Config;
  readonly log: Log;
  readonly stats: TraversalStats;
}

/**
 * What a node knows of its network while it runs (`nat.watch`). It opens the UDP sockets of the direct plane and has the
 * gateway map the first one's port; finds out what NAT that is behind, at start, when the network changes and every hour;
 * and makes of that, and of `nat.reflex_override`, the address that it would tell others. What goes wrong is logged, and
 * changes nothing for the tunnel.
 *
 * Throws `io.bind` when `p2p.listen_addr` cannot be had.
 */
export async function startNatWatch(options: NatWatchOptions): Promise<NatWatch> {
  await using opening = new AsyncDisposableStack();
  const fan = opening.use(await openDirectSockets(options.config.p2p.listen_addr, options.log));
  // Invariant: it has one socket at least.
  const watch = new NatWatch(options, fan, await networkView(ipFamily((fan.local[0] as Endpoint).address)));
  await watch.begin();
  opening.move();
  return watch;
}

/** Made by `startNatWatch`. Disposal gives the port mapping back, which takes a second at most. */
export class NatWatch implements AsyncDisposable {
  readonly #options: NatWatchOptions;
  readonly #log: Log;
  /** The first socket. */
  readonly #local: Endpoint;
  readonly #second: SecondFamily | undefined;
  readonly #fan: UdpFan;
  readonly #shared: SharedFan;
  readonly #record: PortMappingRecord;
  readonly #reflex: ReflexKeeper;
  readonly #stopping = new AbortController();
  readonly #polling: Disposable;
  #view: NetworkView;
  #mapping: PortMapping | undefined;
  #timer: Timer | undefined;
  #checking: Promise<void> | undefined;
  /** The network changed while it was being checked. */
  #isStale = false;
  /** Until then the NAT may let in whom the last check has sent to. */
  #remembersUntil: Instant = 0;
  #report: NatReport | undefined;
  /** Counts before the first report. */
  #glance: NatGlance | undefined;
  #checkedAt: Date | undefined;
  #checks = 0;
  #changes = 0;
  #disposing: Promise<void> | undefined;
  /** Whoever uses the socket beside the watch: told whenever `view` is another one. */
  onChange: () => void = () => {};

  constructor(options: NatWatchOptions, fan: UdpFan, view: NetworkView) {
    this.#options = options;
    this.#log = options.log;
    this.#fan = fan;
    this.#shared = new SharedFan(fan);
    // Invariant: it was opened with one socket at least.
    const [local, other] = fan.local as [Endpoint, Endpoint?];
    this.#local = local;
    this.#second = other && new SecondFamily(other, 1, () => this.onChange());
    this.#record = new PortMappingRecord(options.stats, options.log);
    this.#view = view;
    const [own] = ownServer(options.config);
    this.#reflex = new ReflexKeeper({
      log: options.log,
      override: options.config.nat.reflex_override,
      ownServer: own && formatAddress(own),
      share: () => this.#shareStun(),
      onMoved: () => this.#checkIn(0),
      onTold: () => this.onChange(),
    });
    const look = () => networkView(ipFamily(this.#local.address));
    this.#polling = pollChanges(look, view, (changed) => this.#networkChanged(changed), WATCH_MS);
  }

  /** Returns once the port mapping is asked for; the first check follows it. */
  async begin(): Promise<void> {
    if (!this.#canBeMapped()) {
      this.#checkIn(0);
      return;
    }
    const owner = await mappingOwner();
    if (owner.problem !== undefined) this.#log.warn("port_mapping_secret", { detail: owner.problem });
    this.#mapping = await openPortMapping({
      gateway: this.#view.gateway,
      owner,
      protocols: PORT_MAP_PROTOCOLS,
      transport: "udp",
      internalPort: this.#local.port,
      externalPort: this.#local.port,
      leaseSeconds: LEASE_SECONDS,
      verify: (external) => this.#verify(external),
      onEvent: (event) => {
        this.#record.handle(event);
        this.#reflex.setPortMapping(this.#record.advertised);
        this.onChange();
      },
    });
    if (this.#view.gateway === undefined) this.#checkIn(0);
    else {
      this.#checkIn(MAPPING_PATIENCE_MS);
      this.#glance = new NatGlance({
        asked: ownServer(this.#options.config),
        local: this.#local,
        interfaceAddresses: this.#view.addresses,
        log: this.#log,
        onFound: () => this.onChange(),
      });
    }
    void this.#record.settled.then(() => {
      if (this.#checks === 0) this.#checkIn(0);
    });
  }

  status(): NetworkStatus {
    return {
      listen: this.#local,
      listen6: this.#second?.local ?? null,
      nat: this.#report ?? null,
      checkedAt: this.#checkedAt?.toISOString() ?? null,
      checks: this.#checks,
      changes: this.#changes,
      reflex: this.#reflex.current(),
      portMapping: this.#record.status(),
    };
  }

  view(): NatView {
    return {
      locals: this.#fan.local,
      hosts: [...hostEndpoints(this.#local, this.#view.addresses, 0), ...(this.#second?.hosts ?? [])],
      nat: this.#report ?? this.#glance?.nat,
      mapped: this.#report?.mapped,
      reflex: this.#reflex.current(),
      portMapping: this.#record.advertised,
    };
  }

  /** A part in the sockets, for everything that arrives on them. */
  share(): Share {
    return this.#shared.share(() => true);
  }

  /** What the config file says of it now; null leaves it to what the node finds out. */
  setReflexOverride(endpoint: Endpoint | null): void {
    this.#log.info("reflex_override", { address: endpoint === null ? undefined : formatEndpoint(endpoint) });
    this.#reflex.setOverride(endpoint);
  }

  /** Again when it is done, or under way: it is part of the drain, and of what ends a node that could not start. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#disposing ??= this.#dispose();
    return this.#disposing;
  }

  async #dispose(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#polling[Symbol.dispose]();
    this.#second?.[Symbol.dispose]();
    this.#reflex[Symbol.dispose]();
    await Promise.all([this.#mapping, this.#glance].map((part) => part?.[Symbol.asyncDispose]()));
    await this.#checking;
    this.#fan[Symbol.dispose]();
  }

  /** Gateways map ports of IPv4, to the address that they know this host by. */
  #canBeMapped(): boolean {
    const { address } = this.#local;
    const isOwn = ipScope(address) === "unspecified" || address === this.#view.gateway?.localAddress;
    return this.#options.config.p2p.port_mapping && ipFamily(address) === 4 && isOwn;
  }

  #networkChanged(view: NetworkView): void {
    if (!Bun.deepEquals(view.gateway, this.#view.gateway)) this.#remembersUntil = 0;
    this.#view = view;
    this.#isStale = true;
    void this.#glance?.[Symbol.asyncDispose]();
    this.#glance = undefined;
    this.#reflex.forget();
    const { gateway, addresses } = view;
    this.#log.info("network_changed", { gateway: gateway?.address, interface: gateway?.interfaceName, addresses });
    this.onChange();
    this.#checkIn(SETTLE_MS);
  }

  /** The next check; one that is under way sets the time for the next one itself. */
  #checkIn(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#checking !== undefined || this.#stopping.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#checking = this.#check().finally(() => {
        this.#checking = undefined;
        this.#checkIn(this.#isStale ? SETTLE_MS : CHECK_EVERY_MS);
      });
    }, ms);
  }

  async #check(): Promise<void> {
    this.#isStale = false;
    const { signal } = this.#stopping;
    try {
      const servers = await this.#resolve();
      using tested = this.#shareStun();
      this.#remembersUntil = Number.POSITIVE_INFINITY;
      const report = await checkNat({
        servers,
        tested,
        local: this.#local,
        interfaceAddresses: this.#view.addresses,
        gatewayExternal: this.#record.outside,
        signal,
      });
      this.#learn(report);
    } catch (error) {
      if (!signal.aborted) this.#log.warn("nat_check_fail", { err: error });
    } finally {
      this.#remembersUntil = now() + NAT_MEMORY_MS;
    }
  }

  #learn(report: NatReport): void {
    const before = this.#report;
    this.#report = report;
    this.#checks += 1;
    this.#checkedAt = new Date();
    if (before === undefined) this.#log.info("nat_type", reportFields(report));
    else if (isOtherNat(before, report)) {
      if (before.type !== report.type) this.#changes += 1;
      this.#log.info("nat_changed", { before: before.type, ...reportFields(report) });
    } else this.#log.debug("nat_type", reportFields(report));
    this.#reflex.learn(report);
    this.onChange();
  }

  async #verify(external: Endpoint): Promise<Verdict> {
    const verdict = now() < this.#remembersUntil ? "unknown" : await this.#probe(external);
    this.#record.verified(external, verdict);
    return verdict;
  }

  async #probe(external: Endpoint): Promise<Verdict> {
    const servers = (await this.#resolve()).flatMap(({ endpoint }) => endpoint ?? []);
    using mapped = this.#shareStun();
    return await probeMapping({ servers, mapped, local: this.#local, external });
  }

  #shareStun(): Share {
    return this.#shared.share(({ socket, payload }) => socket === 0 && looksLikeStun(payload));
  }

  #resolve(): Promise<StunServer[]> {
    return resolveStunServers(stunServersOf(this.#options.config), { family: ipFamily(this.#local.address) });
  }
}
