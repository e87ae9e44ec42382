import type { Address } from "../../config/address.ts";
import { errorMessage, UtError } from "../../core/error.ts";
import type { Machine, RandomBytes } from "../../core/machine.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { AddressDiscovery, type DiscoveredAddress } from "../../core/punch/address-discovery.ts";
import { PunchBudget } from "../../core/punch/budget.ts";
import { hitProbability } from "../../core/punch/estimate.ts";
import { Nat3 } from "../../core/punch/nat3.ts";
import { Nat4 } from "../../core/punch/nat4.ts";
import { type PortOrder, portSource } from "../../core/punch/ports.ts";
import { type PunchRole, plainCodec, tokenCodec } from "../../core/punch/probe.ts";
import type { PunchEvent, PunchFailure, PunchHit } from "../../core/punch/punch-event.ts";
import type { PunchSettings } from "../../core/punch/settings.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { type Bind, openFan, type UdpFan } from "../../io/udp/udp-fan.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import { resolveStunServers } from "./stun-servers.ts";

export interface Nat4Options {
  readonly role: PunchRole;
  /** The other side's public address; its port counts for the nat4 role only. */
  readonly target: Endpoint;
  /** Of the one socket of nat3; nat4 takes this port and those that follow it, or any if it is 0. */
  readonly local: Endpoint;
  readonly settings: PunchSettings;
  readonly order: PortOrder;
  readonly limits: { readonly packetsPerSecond: number; readonly mappings: number };
  /** Undefined: hits are unauthenticated. */
  readonly token: string | undefined;
  readonly content: string;
  /** STUN servers to ask for the own public address first; none: it is not asked for. */
  readonly stunServers: readonly Address[];
  /** Resolves when the user wants to go on; called after the discovery, while the mapping is kept open. */
  pause(): Promise<void>;
  readonly signal: AbortSignal;
}

export interface Nat4Watcher {
  discovered(discovered: DiscoveredAddress): void;
  /** The sockets are open and the first packets have left. */
  started(local: readonly Endpoint[]): void;
  hit(hit: PunchHit, local: Endpoint): void;
  /** Now and then. */
  progress(progress: Nat4Progress): void;
}

export interface Nat4Progress {
  readonly seconds: number;
  readonly packets: number;
  /** Ports tried by nat3, mappings opened by nat4. */
  readonly ports: number;
  /** 0 to 1: of a hit by now, under the settings of both sides; nat3 only. */
  readonly probability: number | undefined;
}

export interface Nat4Report {
  readonly role: PunchRole;
  readonly outcome: "confirmed" | "failed" | "interrupted";
  readonly authenticated: boolean;
  readonly publicAddress: DiscoveredAddress | undefined;
  readonly confirmed: { readonly hit: PunchHit; readonly local: Endpoint } | undefined;
  readonly failure: PunchFailure | undefined;
  readonly seconds: number;
  readonly packets: number;
  readonly ports: number;
}

const PROGRESS_MS = 200;
const random: RandomBytes = (length) => crypto.getRandomValues(new Uint8Array(length));

/**
 * One end of a hard-NAT punch by hand, from the discovery of the own address to the confirmed pair or the deadline.
 * All sockets are closed when it returns. Throws `io.bind` and, where no STUN server answers, `reflex-timeout`.
 */
export async function runNat4(options: Nat4Options, watcher: Nat4Watcher): Promise<Nat4Report> {
  using fan = await openSockets(options);
  const publicAddress = options.stunServers.length > 0 ? await discover(options, fan, watcher) : undefined;
  return await punch(options, fan, watcher, publicAddress);
}

async function openSockets(options: Nat4Options): Promise<UdpFan> {
  const binds = bindsOf(options);
  try {
    return await openFan(binds);
  } catch (cause) {
    if (!errorMessage(cause).includes("EMFILE")) throw cause;
    const advice = `raise the limit of open files above ${binds.length + 100} (ulimit -n), or take fewer with --count`;
    throw new UtError("io.bind", `Cannot open ${binds.length} sockets: ${advice}`, { cause });
  }
}

function bindsOf({ role, local: { address, port }, settings }: Nat4Options): Bind[] {
  const count = role === "nat3" ? 1 : settings.socketCount;
  return Array.from({ length: count }, (_, i) => ({ address, port: port === 0 ? 0 : port + i }));
}

async function discover(
  { stunServers, local, signal, pause }: Nat4Options,
  fan: UdpFan,
  watcher: Nat4Watcher,
): Promise<DiscoveredAddress | undefined> {
  const resolved = await resolveStunServers(stunServers, { family: local.address.includes(":") ? 6 : 4 });
  const servers = resolved.flatMap(({ endpoint }) => endpoint ?? []);
  const { promise, resolve } = Promise.withResolvers<DiscoveredAddress | undefined>();
  const discovery = new AddressDiscovery({ now: now(), servers, random });
  using _ = drive(discovery, fan, ({ discovered }) => resolve(discovered));
  await unlessAborted(promise, signal);
  if (signal.aborted) return undefined;
  const discovered = await promise;
  if (discovered === undefined) {
    const asked = resolved.map(({ name, problem }) => (problem === undefined ? name : `${name} (${problem})`));
    throw new UtError(
      "reflex-timeout",
      `Cannot discover the public address: no answer from ${asked.join(", ")}; name another server with --stun-server, or leave --discover-public-addr out`,
    );
  }
  watcher.discovered(discovered);
  await unlessAborted(pause(), signal);
  return discovered;
}

async function punch(
  options: Nat4Options,
  fan: UdpFan,
  watcher: Nat4Watcher,
  publicAddress: DiscoveredAddress | undefined,
): Promise<Nat4Report> {
  const { role, token, settings, local } = options;
  const startedAt = now();
  const machine = machineOf(options, publicAddress?.portFixed);
  const counts = () => ({ seconds: (now() - startedAt) / 1_000, packets: machine.packets, ports: machine.ports });
  const localOf = (hit: PunchHit): Endpoint => fan.local[hit.socket] ?? local;
  const { hit, failure } = await driveToEnd(machine, fan, options.signal, {
    started: () => watcher.started(fan.local),
    hit: (found) => watcher.hit(found, localOf(found)),
    progress() {
      const probability = role === "nat3" ? hitProbability(settings.socketCount, machine.ports) : undefined;
      watcher.progress({ ...counts(), probability });
    },
  });
  // What has been confirmed stays so when the interrupt comes while the other side is being told.
  const outcome = hit ? "confirmed" : failure ? "failed" : "interrupted";
  const confirmed = hit && { hit, local: localOf(hit) };
  return { role, outcome, authenticated: token !== undefined, publicAddress, confirmed, failure, ...counts() };
}

interface Outcome {
  readonly hit: PunchHit | undefined;
  readonly failure: PunchFailure | undefined;
}

/** Neither a hit nor a failure: it was interrupted. */
async function driveToEnd(
  machine: Punching,
  fan: UdpFan,
  signal: AbortSignal,
  watcher: { started(): void; hit(hit: PunchHit): void; progress(): void },
): Promise<Outcome> {
  let hit: PunchHit | undefined;
  let failure: PunchFailure | undefined;
  if (signal.aborted) return { hit, failure };
  const ended = Promise.withResolvers<void>();
  using _ = drive(machine, fan, (event) => {
    if (event.type === "hit") watcher.hit(event.hit);
    else if (event.type === "failed") failure = event.failure;
    else if (event.type === "confirmed") {
      hit = event.hit;
      fan.keep(hit.socket);
    }
    if (event.type === "done" || event.type === "failed") ended.resolve();
  });
  watcher.started();
  const timer = setInterval(watcher.progress, PROGRESS_MS);
  await unlessAborted(ended.promise, signal);
  clearInterval(timer);
  return { hit, failure };
}

type Punching = Machine<PunchEvent> & { readonly packets: number; readonly ports: number };

function machineOf(options: Nat4Options, portFixed: boolean | undefined): Punching {
  const { role, target, settings, limits, token, content, order } = options;
  // One punch is all that this process does: its limits are those of the target.
  const budget = new PunchBudget({ ...limits, packets: Number.POSITIVE_INFINITY });
  const codec = token === undefined ? plainCodec(role) : tokenCodec(role, token);
  const common = { now: now(), settings, codec, budget, random, content };
  if (role === "nat4") return new Nat4({ ...common, target });
  const fixed = portFixed === undefined ? {} : { portFixed };
  return new Nat3({ ...common, ...fixed, target: target.address, ports: portSource(order, random) });
}
