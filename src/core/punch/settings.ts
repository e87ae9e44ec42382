/** How a hard-NAT punch is done, by both ends alike. Names and ranges: DESIGN "Config of the whole", `hard_nat`. */
export interface PunchSettings {
  /** Sockets of the nat4 side, each one mapping of its NAT. */
  readonly socketCount: number;
  /** Ports of one batch of the nat3 side. */
  readonly scanCount: number;
  /** A batch is sent again, and the nat4 side's mappings are kept open, every so often. */
  readonly intervalMs: number;
  /** New ports every so often. */
  readonly batchIntervalMs: number;
  /** Of what the nat4 side opens its mappings with; `auto`: see `TtlPlan`. */
  readonly ttl: number | "auto";
  /** The nat4 side sends with the full time to live, whatever `ttl` says. */
  readonly noTtl: boolean;
  /** The deadline, from the start. */
  readonly windowMs: number;
}

export interface Range {
  readonly min: number;
  readonly max: number;
}

/** The command line and the config refuse what is outside; a peer's values are clamped (`clampPunchSettings`). */
export const PUNCH_RANGES = {
  socketCount: { min: 1, max: 1_024 },
  scanCount: { min: 1, max: 4_096 },
  intervalMs: { min: 20, max: 60_000 },
  batchIntervalMs: { min: 100, max: 300_000 },
  ttl: { min: 1, max: 255 },
  windowMs: { min: 500, max: 300_000 },
} as const satisfies Record<string, Range>;

export const PUNCH_DEFAULTS: PunchSettings = {
  socketCount: 256,
  scanCount: 512,
  intervalMs: 250,
  batchIntervalMs: 1_000,
  ttl: "auto",
  noTtl: false,
  windowMs: 10_000,
};

/** What a peer asked for, brought into range; the default where it said nothing that could be meant. */
export function clampPunchSettings(asked: Readonly<Partial<Record<keyof PunchSettings, unknown>>>): PunchSettings {
  const whole = (name: keyof typeof PUNCH_RANGES, fallback: number) =>
    clampWhole(asked[name], PUNCH_RANGES[name]) ?? fallback;
  return {
    socketCount: whole("socketCount", PUNCH_DEFAULTS.socketCount),
    scanCount: whole("scanCount", PUNCH_DEFAULTS.scanCount),
    intervalMs: whole("intervalMs", PUNCH_DEFAULTS.intervalMs),
    batchIntervalMs: whole("batchIntervalMs", PUNCH_DEFAULTS.batchIntervalMs),
    ttl: clampWhole(asked.ttl, PUNCH_RANGES.ttl) ?? "auto",
    noTtl: asked.noTtl === true,
    windowMs: whole("windowMs", PUNCH_DEFAULTS.windowMs),
  };
}

function clampWhole(value: unknown, { min, max }: Range): number | undefined {
  if (typeof value !== "number" || Number.isNaN(value)) return undefined;
  return Math.min(max, Math.max(min, Math.trunc(value)));
}
