import type { UtError } from "../../../../src/core/error.ts";
import type { LaneHandlers, LaneTransport, OpenLaneHandlers } from "../../../../src/io/lanes/lane-transport.ts";
import { type DialOptions, dialTlsLane } from "../../../../src/io/lanes/tls-dial.ts";
import { type LaneListener, type ListenHandlers, listenTlsLanes } from "../../../../src/io/lanes/tls-listen.ts";
import { identity, serverIdentity } from "../../../e2e/support/identities.ts";

export const home = await identity({ cn: "home" });
export const NEVER_ABORTED = new AbortController().signal;

/** One end of a lane, and everything it was told, in order. */
export class End {
  transport: LaneTransport | undefined;
  error: UtError | undefined;
  readonly told: string[] = [];
  bytes = 0;
  onData: () => void = () => {};
  onDrained: () => void = () => {};

  readonly handlers: LaneHandlers = {
    opened: (transport) => {
      this.told.push("opened");
      this.transport = transport;
    },
    data: (chunk) => {
      this.bytes += chunk.length;
      this.onData();
    },
    // There may be more of these than the owner has waited for.
    drained: () => this.onDrained(),
    closed: (error) => {
      this.told.push("closed");
      this.error = error;
    },
  };

  get isOpen(): boolean {
    return this.transport !== undefined && !this.told.includes("closed");
  }

  send(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.transport?.write(bytes, 0, bytes.length);
  }
}

const listeners: LaneListener[] = [];

/** To be called behind each test. */
export function closeListeners(): void {
  for (const listener of listeners.splice(0)) listener[Symbol.dispose]();
}

export function listen(handlers: Partial<ListenHandlers> = {}): LaneListener & { readonly ends: End[] } {
  const ends: End[] = [];
  const accept = (transport: LaneTransport): OpenLaneHandlers => {
    const end = new End();
    end.transport = transport;
    ends.push(end);
    return end.handlers;
  };
  const listener = listenTlsLanes(
    { host: "127.0.0.1", port: 0, identity: serverIdentity, denyCn: [] },
    { accept, refused: () => {}, ...handlers },
  );
  listeners.push(listener);
  return Object.assign(listener, { ends });
}

export function dial(port: number, some: Partial<DialOptions> = {}, signal = NEVER_ABORTED): End {
  const end = new End();
  dialTlsLane({ host: "127.0.0.1", port, serverName: "127.0.0.1", identity: home, ...some }, end.handlers, signal);
  return end;
}
