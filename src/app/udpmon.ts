import { lookup } from "node:dns/promises";
import { type Address, formatAddress } from "../config/address.ts";
import { errorMessage, UtError } from "../core/error.ts";
import type { Endpoint } from "../core/net/endpoint.ts";
import { canonicalIp, ipFamily } from "../core/net/ip.ts";
import type { ProbeStats } from "../core/udpmon/probe-stats.ts";
import { Prober, type ProberEvent, type ProberOptions } from "../core/udpmon/prober.ts";
import { Reflector, type ReflectorCounters } from "../core/udpmon/reflector.ts";
import { now } from "../io/clock.ts";
import { drive } from "../io/drive.ts";
import { openFan } from "../io/udp/udp-fan.ts";

export interface ProbeOptions extends Omit<ProberOptions, "now" | "to"> {
  readonly target: Address;
  /** The own end; any address and port unless given. */
  readonly listen: Address | undefined;
}

/** A prober that runs. Disposal ends it. */
export interface RunningProber extends Disposable {
  readonly stats: ProbeStats;
  readonly target: Endpoint;
  /** The own end, as it was bound. */
  readonly local: Endpoint;
}

/**
 * Looks the target up, once, and sends probes there from now on. Events come later, never before this returns. Throws
 * `io.resolve` and `io.bind`.
 */
export async function startProber(
  options: ProbeOptions,
  onEvent: (event: ProberEvent) => void,
): Promise<RunningProber> {
  const { target, listen, ...rest } = options;
  const to = await resolveTarget(target);
  const any = ipFamily(to.address) === 4 ? "0.0.0.0" : "::";
  const fan = await openFan([{ address: listen?.host ?? any, port: listen?.port ?? 0, setting: "-listen" }]);
  const prober = new Prober({ ...rest, now: now(), to });
  const driven = drive(prober, fan, onEvent);
  // Invariant: the fan was opened with one socket.
  return { stats: prober.stats, target: to, local: fan.local[0]!, [Symbol.dispose]: () => end(driven, fan) };
}

/** A reflector that runs. Disposal ends it. */
export interface RunningReflector extends Disposable {
  readonly counters: ReflectorCounters;
  readonly local: Endpoint;
}

/** Throws `io.bind`. */
export async function startReflector(listen: Address): Promise<RunningReflector> {
  const fan = await openFan([{ address: listen.host, port: listen.port, setting: "-listen" }]);
  const reflector = new Reflector();
  const driven = drive(reflector, fan, () => {});
  return { counters: reflector.counters, local: fan.local[0]!, [Symbol.dispose]: () => end(driven, fan) };
}

function end(...parts: Disposable[]): void {
  for (const part of parts) part[Symbol.dispose]();
}

async function resolveTarget({ host, port }: Address): Promise<Endpoint> {
  const literal = canonicalIp(host);
  if (literal !== undefined) return { address: literal, port };
  try {
    return { address: (await lookup(host)).address, port };
  } catch (cause) {
    const target = formatAddress({ host, port });
    throw new UtError("io.resolve", `Cannot probe ${target}: ${errorMessage(cause)}`, { cause, details: { host } });
  }
}
