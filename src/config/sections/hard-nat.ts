import { z } from "zod";
import { PUNCH_DEFAULTS, PUNCH_RANGES } from "../../core/punch/settings.ts";
import { flag, integer, mapping, oneOf } from "../leaf.ts";

/** When hard-NAT punching is tried beside ICE (DESIGN "Modes"). */
export const HARD_NAT_MODES = ["off", "fallback", "assist", "force"] as const;
/** Which end this one is; `auto` leaves it to what both have found out of their NATs. */
export const HARD_NAT_ROLES = ["auto", "nat3", "nat4"] as const;

const { ttl } = PUNCH_RANGES;
const error = `auto or a whole number from ${ttl.min} to ${ttl.max}`;

/** Hard-NAT punching: for an end behind a symmetric NAT and one behind a port-restricted one. */
export const hardNatSection = mapping({
  mode: oneOf(HARD_NAT_MODES)
    .default("off")
    .describe("off: ICE only. fallback: after ICE has failed. assist: a moment after ICE began. force: without ICE."),
  role: oneOf(HARD_NAT_ROLES)
    .default("auto")
    .describe("nat4 opens many sockets (symmetric NAT), nat3 tries many ports; auto goes by the measured NAT types."),
  socket_count: integer(PUNCH_RANGES.socketCount)
    .default(PUNCH_DEFAULTS.socketCount)
    .describe("Sockets of the nat4 end, each of them one entry in its router's table."),
  scan_count: integer(PUNCH_RANGES.scanCount)
    .default(PUNCH_DEFAULTS.scanCount)
    .describe("Ports that the nat3 end tries in one batch."),
  interval_ms: integer({ ...PUNCH_RANGES.intervalMs, unit: "milliseconds" })
    .default(PUNCH_DEFAULTS.intervalMs)
    .describe("How often a batch is sent again."),
  batch_interval_ms: integer({ ...PUNCH_RANGES.batchIntervalMs, unit: "milliseconds" })
    .default(PUNCH_DEFAULTS.batchIntervalMs)
    .describe("How often the ports are new ones."),
  ttl: z
    .union([z.literal("auto"), z.int({ error }).min(ttl.min, { error }).max(ttl.max, { error })], { error })
    .default(PUNCH_DEFAULTS.ttl)
    .describe("IP time to live of what opens the nat4 end's NAT: it should die before it reaches the other NAT."),
  no_ttl: flag().default(PUNCH_DEFAULTS.noTtl).describe("Send that with the full time to live, whatever ttl says."),
  window_ms: integer({ ...PUNCH_RANGES.windowMs, unit: "milliseconds" })
    .default(PUNCH_DEFAULTS.windowMs)
    .describe("When an attempt is given up."),
  assist_delay_ms: integer({ min: 0, max: 10_000, unit: "milliseconds" })
    .default(300)
    .describe("With assist: the head start of ICE."),
}).describe("Hard-NAT punching, where ICE alone cannot work.");
