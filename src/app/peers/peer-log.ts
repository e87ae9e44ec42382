import type { TraversalStats } from "../../core/nat/traversal-stats.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import { type AttemptReport, CANCELLED_VERDICTS, type PeerEvent, type PipeId } from "../../core/peer/peer-event.ts";
import { SOCKS_SERVICE } from "../../core/socks/service.ts";
import type { Log } from "../../io/log/log.ts";

/** Whose pipe it is, for every line about it. */
interface Known {
  readonly peer: string;
  readonly service: string;
  readonly side: "initiator" | "responder";
}

/** What becomes of pipes, as it is told: the log and the counters of the direct plane. */
export class PeerLog {
  readonly #log: Log;
  readonly #stats: TraversalStats;
  readonly #pipes = new Map<PipeId, Known>();

  constructor(log: Log, stats: TraversalStats) {
    this.#log = log;
    this.#stats = stats;
  }

  /** This node wants a pipe. */
  wanted(pipe: PipeId, peer: string, service: string): void {
    this.#pipes.set(pipe, { peer, service, side: "initiator" });
  }

  handle(event: PeerEvent): void {
    switch (event.type) {
      case "opened":
        this.#pipes.set(event.pipe, { peer: event.peer, service: event.service, side: event.role });
        this.#log.info("pipe_open", { ...this.#of(event.pipe), side: event.role });
        return;
      case "waiting":
        this.#log.warn("pipe_waiting", {
          ...this.#of(event.pipe),
          reason: event.reason,
          err_kind: event.kind ?? undefined,
          retry_in_ms: Math.round(event.retryInMs),
        });
        return;
      case "fault":
        this.#log.error("pipe_fault", { ...this.#of(event.pipe), err: event.error });
        return;
      case "closed":
        this.#log.info("pipe_close", { ...this.#of(event.pipe), reason: event.reason });
        this.#pipes.delete(event.pipe);
        return;
      case "refused":
        this.#log.warn("service_denied", { peer: event.from, service: event.service, reason: event.reason });
        return;
      case "direct-up":
        this.#log.info("pipe_direct", {
          ...this.#of(event.pipe),
          remote: formatEndpoint(event.path.remote),
          rtt_ms: Math.round(event.path.rttMs * 10) / 10,
          winner: event.path.meta.winner,
          elapsed_ms: Math.round(event.path.meta.elapsedMs),
          mode: event.path.meta.mode,
          hardnat_role: event.path.meta.role ?? undefined,
        });
        return;
      case "direct-down":
        this.#log.warn("pipe_relay", { ...this.#of(event.pipe), reason: "direct-down" });
        return;
      case "attempt-ended":
        this.#attempt(event.pipe, event.report);
        return;
      case "control-dead":
        this.#log.warn("control_dead");
        return;
      case "route":
        this.#log.debug("pipe_route", { ...this.#of(event.pipe), route: event.route });
        return;
      case "attempt-started":
      case "lanes-wanted":
        return;
      default:
        event satisfies never;
    }
  }

  #attempt(pipe: PipeId, report: AttemptReport): void {
    const staysOnRelay = report.winner === null && !CANCELLED_VERDICTS.has(report.verdict);
    this.#stats.recordAttempt({ ...report, staysOnRelay });
    const fields = {
      ...this.#of(pipe),
      mode: report.mode,
      hardnat_role: report.role ?? undefined,
      winner: report.winner ?? "none",
      elapsed_ms: Math.round(report.elapsedMs),
      ice_cause: report.iceCause ?? undefined,
      hardnat_cause: report.hardNatCause ?? undefined,
      verdict: report.verdict,
      packets: report.packets,
    };
    if (staysOnRelay) this.#log.info("pipe_stays_on_relay", fields);
    if (report.mode === "off") return;
    if (this.#pipes.get(pipe)?.side === "responder") this.#log.info("agent_hardnat_diag", fields);
    else if (this.#pipes.get(pipe)?.service === SOCKS_SERVICE) this.#log.info("socks_hardnat_diag", fields);
    else this.#log.info("relay_hardnat_diag", fields);
  }

  #of(pipe: PipeId): Record<string, unknown> {
    const known = this.#pipes.get(pipe);
    return { pipe, peer: known?.peer, service: known?.service };
  }
}
