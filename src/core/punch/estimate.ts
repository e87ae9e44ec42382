import { PORT_COUNT } from "./ports.ts";
import type { PunchSettings } from "./settings.ts";

/** What a punch of port-restricted × symmetric will cost, and what it is worth. */
export interface PunchEstimate {
  /** Ports that the nat3 side tries until the deadline, each one entry in its NAT. */
  readonly ports: number;
  /** 0 to 1: that one of them is one of the nat4 side's. */
  readonly probability: number;
  /** How many ports it takes on average, and how many milliseconds until then. */
  readonly expectedPorts: number;
  readonly expectedMs: number;
  /** Until the deadline, if nothing is hit before. */
  readonly nat3Packets: number;
  readonly nat4Packets: number;
  readonly seconds: number;
}

export interface EstimateLimits {
  readonly packetsPerSecond: number;
  readonly mappings: number;
}

/** That `ports` random ports hit one of `sockets` mappings: 1 − (1 − K/64512)^N. */
export function hitProbability(sockets: number, ports: number): number {
  return 1 - missProbability(sockets, ports);
}

export function missProbability(sockets: number, ports: number): number {
  return (1 - Math.min(1, sockets / PORT_COUNT)) ** ports;
}

export function estimatePunch(settings: PunchSettings, limits: EstimateLimits): PunchEstimate {
  const { socketCount, scanCount, windowMs } = settings;
  const passMs = passMillis(settings, limits.packetsPerSecond);
  // A batch is always sent to its end, and stays for as many passes as begin within its interval.
  const passes = Math.max(1, Math.ceil(settings.batchIntervalMs / passMs - 1e-9));
  const batches = windowMs / (passes * passMs);
  // Of the last batch as much as its first pass has reached.
  const last = Math.min(1, (batches - Math.floor(batches)) * passes);
  const tried = Math.floor((Math.floor(batches) + last) * scanCount);
  const ports = Math.min(tried, limits.mappings, PORT_COUNT);
  const expectedPorts = Math.min(PORT_COUNT, PORT_COUNT / socketCount);
  const nat4PerSecond = Math.min(limits.packetsPerSecond, (socketCount * 1_000) / settings.intervalMs);
  return {
    ports,
    probability: hitProbability(socketCount, ports),
    expectedPorts,
    expectedMs: timeOfPort(expectedPorts, { scanCount, passMs, passes }),
    nat3Packets: Math.floor((windowMs / passMs) * scanCount),
    nat4Packets: Math.floor((windowMs / 1_000) * nat4PerSecond),
    seconds: windowMs / 1_000,
  };
}

/** How long it takes to send a batch once: its interval, or as long as the pace allows. */
function passMillis({ scanCount, intervalMs, batchIntervalMs }: PunchSettings, packetsPerSecond: number): number {
  return Math.max(Math.min(intervalMs, batchIntervalMs), (scanCount * 1_000) / packetsPerSecond);
}

function timeOfPort(port: number, batch: { scanCount: number; passMs: number; passes: number }): number {
  const before = Math.floor(port / batch.scanCount);
  const within = port / batch.scanCount - before;
  return (before * batch.passes + within) * batch.passMs;
}
