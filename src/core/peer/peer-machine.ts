import type { Machine } from "../machine.ts";
import type { Instant } from "../time.ts";
import type { Signal, SignalInput } from "../wire/signal.ts";
import type { ChannelDatagram, FlowDatagram, PeerEvent, PipeId, SocketRequest } from "./peer-event.ts";
import type { PeerNetwork } from "./peer-options.ts";
import type { PipeExplanation } from "./trace.ts";

/**
 * The peer engine as its shell sees it: `new Peer(options: PeerOptions)`. After every call the shell polls, in this
 * order, sockets, transmits, channels, signals, datagrams, events, then asks for `nextTimeout`.
 */
export interface PeerMachine extends Machine<PeerEvent> {
  /** Before anything else, and whenever it changes. */
  setNetwork(now: Instant, network: PeerNetwork): void;
  /** The control connection is up (its hello is answered); `server` is the address that it goes to. */
  controlConnected(now: Instant, server: string): void;
  controlLost(now: Instant): void;
  handleSignal(now: Instant, signal: Signal): void;
  /** A sealed packet that came over the lanes. */
  handleChannel(now: Instant, datagram: ChannelDatagram): void;
  /** The answer to an `open`: the first `count` of them are there. */
  socketsOpened(now: Instant, first: number, count: number): void;

  /** A wish that is kept until `close`: opened again, with backoff, whenever the pipe is lost. */
  open(now: Instant, to: string, service: string): PipeId;
  close(now: Instant, pipe: PipeId, reason: string): void;
  /** Bulk path. While an initiator's pipe is being opened, the last 64 datagrams wait. False: no such pipe. */
  send(now: Instant, pipe: PipeId, flow: number, datagram: Uint8Array): boolean;

  pollSockets(): SocketRequest | undefined;
  pollChannel(): ChannelDatagram | undefined;
  pollSignal(): SignalInput | undefined;
  pollDatagram(): FlowDatagram | undefined;

  /** What was tried and why the traffic goes where it goes, of every pipe: for `ut nat explain` and `/api/status`. */
  explain(now: Instant): PipeExplanation[];
}
