import type { UtError } from "../../core/error.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";

/**
 * The seam under a lane: a reliable, ordered byte stream with backpressure and a verified peer name. TLS over TCP
 * implements it, and WebSocket over that; the tunnel does not notice which.
 */
export interface LaneTransport {
  /** `address:port` of the other end, for logs; `server via proxy` where there is one in between. */
  readonly remote: string;
  /** CN of the verified peer certificate. */
  readonly peerCn: string;
  /** When that certificate ends, where it is known. */
  readonly peerNotAfter?: Date | undefined;
  /** File descriptor of the TCP connection, where socket options and TCP_INFO can be had. */
  readonly fd: number | undefined;
  /** Bytes of `bytes[start, end)` that were taken, 0 to end - start. Less than all: wait for `drained`. */
  write(bytes: Uint8Array, start: number, end: number): number;
  /** Send what was taken, then close. */
  end(): void;
  /** Close now; what was taken may be lost. */
  terminate(): void;
}

/** What the owner of a lane hears. `closed` comes exactly once, last, whether or not `opened` came before. */
export interface LaneHandlers {
  opened(transport: LaneTransport, handshakeMs: number): void;
  /** The peer broke the framing below the PDUs (wss); it has been told, and `closed` follows. */
  broken?(kind: FrameErrorKind): void;
  /** `chunk` belongs to the receiver until it returns. */
  data(chunk: Uint8Array): void;
  drained(): void;
  closed(error: UtError | undefined): void;
}

/** The owner of a lane that is open already when it gets it. */
export type OpenLaneHandlers = Omit<LaneHandlers, "opened" | "broken">;
