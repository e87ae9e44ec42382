import type { Endpoint } from "../../core/net/endpoint.ts";
import type { ProbeStats } from "../../core/udpmon/probe-stats.ts";
import type { ProberEvent } from "../../core/udpmon/prober.ts";

/** What the user of a prober sees. */
export interface ProbeView {
  begin(local: Endpoint, metricsUrl: string | undefined): void;
  /** How often it wants to be refreshed. */
  readonly everyMs: number;
  event(event: ProberEvent): void;
  refresh(stats: ProbeStats): void;
  end(stats: ProbeStats): void;
}
