import type { UpgradeTarget } from "../../core/websocket/client-handshake.ts";
import type { LaneHandlers } from "./lane-transport.ts";
import { type DialOptions, dialTlsLane } from "./tls-dial.ts";
import { WebSocketDial } from "./web-socket-dial.ts";

export interface LaneDialOptions extends DialOptions {
  /** The lane is a WebSocket at this place of the server (`tcp.transport: wss`). */
  readonly webSocket?: UpgradeTarget | undefined;
}

/** Dial one lane: `dialTlsLane`, and a WebSocket over it where the options say so. Handlers and signal are the same. */
export function dialLane(options: LaneDialOptions, handlers: LaneHandlers, signal: AbortSignal): void {
  const { webSocket } = options;
  if (webSocket === undefined) dialTlsLane(options, handlers, signal);
  else dialTlsLane({ ...options, https: true }, new WebSocketDial(webSocket, handlers, signal), signal);
}
