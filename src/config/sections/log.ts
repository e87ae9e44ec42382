import { mapping, oneOf } from "../leaf.ts";

/** From the most to the least talkative. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;

/** The log: one JSON object a line on stdout. */
export const logSection = mapping({
  level: oneOf(LOG_LEVELS).default("info").describe("Least severe lines that are written."),
}).describe("The log: JSON, one object a line.");
