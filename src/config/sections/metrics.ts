import { z } from "zod";
import { address, flag, mapping } from "../leaf.ts";

/** Paths of the status address that `metrics.path` would hide. */
export const RESERVED_PATHS: readonly string[] = ["/", "/healthz", "/readyz", "/api/status", "/api/events"];

const EXPECTED_PATH = `an absolute path such as "/metrics", other than ${RESERVED_PATHS.slice(0, -1).join(", ")} and ${RESERVED_PATHS.at(-1)}`;

/** The status address: Prometheus metrics, health checks and the node's state as JSON. */
export const metricsSection = mapping({
  listen_addr: address("listen", "127.0.0.1:5080")
    .prefault("127.0.0.1:5080")
    .describe("Where the status page, metrics, /healthz, /readyz and /api are served."),
  path: z
    .string({ error: EXPECTED_PATH })
    .regex(/^(\/[\w.~-]+)+$/, { error: EXPECTED_PATH })
    .refine((path) => !RESERVED_PATHS.includes(path), { error: EXPECTED_PATH })
    .default("/metrics")
    .describe("Path of the Prometheus metrics."),
  per_client_cn: flag().default(true).describe("Label series with the client's certificate name (client_cn)."),
  per_lane: flag().default(false).describe("Label series with lane_id as well: many more series."),
}).describe("The status address: metrics, health checks, state as JSON.");
