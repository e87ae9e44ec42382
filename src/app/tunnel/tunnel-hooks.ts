import type { UtError } from "../../core/error.ts";
import type { ChannelDatagram } from "../../core/tunnel/channels.ts";
import type { Lane } from "../../core/tunnel/lane.ts";
import type { ControlMessage } from "../../core/wire/control.ts";
import type { FrameErrorKind } from "../../core/wire/pdu.ts";

/** What a `Tunnel` has done by whoever has made it. */
export interface TunnelHooks {
  /** Datagrams for the local UDP side. They are sent before this returns, or copied. */
  deliver(datagrams: readonly Uint8Array[]): void;
  /** Datagrams of channels, no longer valid after this returns. */
  deliverChannels(datagrams: readonly ChannelDatagram[]): void;
  /** A control message that the session itself has no use for: greeting. */
  control(lane: Lane, message: ControlMessage): FrameErrorKind | undefined;
  /** The lane is gone and detached. */
  laneClosed(lane: Lane, error: UtError | undefined): void;
}
