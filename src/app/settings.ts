import type { Config } from "../config/schema.ts";
import type { HardNatOptions } from "../core/peer/peer-options.ts";
import type { QueueLimits } from "../core/tunnel/queue.ts";
import type { SessionOptions } from "../core/tunnel/session.ts";
import type { CertificateNeed } from "../io/pki/credential-checks.ts";
import type { LaneTuning } from "./tunnel/lane-tuner.ts";

/** One TLS record holds 16 KiB: a larger batch is two of them, a smaller one wastes its 22 bytes of overhead. */
export const BATCH_BYTES = 16 * 1024;
/** What a WebSocket frame of that size adds (RFC 6455 §5.2): four bytes, and four of a client's masking key. */
const WEB_SOCKET_BYTES = 8;

/** What a session takes from the config, the same at both ends. */
export function sessionSettings(config: Config): Omit<SessionOptions, "clientCn" | "sessionId" | "outbound"> {
  return {
    queue: queueLimits(config),
    pick: config.tcp.pick,
    batchBytes: config.tcp.transport === "wss" ? BATCH_BYTES - WEB_SOCKET_BYTES : BATCH_BYTES,
    reorderMs: config.tcp.reorder_ms,
    writeStallMs: config.tcp.user_timeout_ms,
  };
}

export function laneTuning(config: Config): LaneTuning {
  return {
    congestion: config.tcp.congestion,
    noDelay: config.tcp.tcp_nodelay,
    notSentLowat: config.tcp.tcp_buf,
    userTimeoutMs: config.tcp.user_timeout_ms,
    sendBuffer: config.tcp.sndbuf,
    receiveBuffer: config.tcp.rcvbuf,
  };
}

/** What a node does with its certificate. */
export function certificateNeeds({ roles, services }: Config): readonly CertificateNeed[] {
  // An end of pipes is dialled by nobody: its certificate signs, and proves it to the server.
  const needs = roles.map((role): CertificateNeed => (role === "server" ? "serverAuth" : "clientAuth"));
  // But the streams of `ut socks` are connections, end to end.
  if (roles.includes("agent") && services.socks.allow.length > 0) needs.push("agent");
  return [...new Set(needs)];
}

/** The section `hard_nat` in the words of the peer engine. */
export function hardNatOptions({ hard_nat }: Config): HardNatOptions {
  return {
    mode: hard_nat.mode,
    role: hard_nat.role,
    assistDelayMs: hard_nat.assist_delay_ms,
    settings: {
      socketCount: hard_nat.socket_count,
      scanCount: hard_nat.scan_count,
      intervalMs: hard_nat.interval_ms,
      batchIntervalMs: hard_nat.batch_interval_ms,
      ttl: hard_nat.ttl,
      noTtl: hard_nat.no_ttl,
      windowMs: hard_nat.window_ms,
    },
  };
}

function queueLimits(config: Config): QueueLimits {
  const { max_packets, max_bytes, max_delay_ms, target_ms } = config.queue;
  return { maxPackets: max_packets, maxBytes: max_bytes, maxDelayMs: max_delay_ms, targetMs: target_ms };
}
