import type { Endpoint } from "../../core/net/endpoint.ts";
import type { DirectMeta, DirectPath, FlowDatagram, PeerEvent, PipeId } from "../../core/peer/peer-event.ts";

/** The direct path of a pipe, as it is handed up: from which socket, to where, and how it was won. */
export interface P2pUdpConn {
  /** Bound address and port. */
  readonly socket: Endpoint;
  readonly remote: Endpoint;
  readonly meta: DirectMeta;
}

/** What a role does with a pipe. */
export interface PipeUser {
  /** Datagrams of one flow, in their order. They are the receiver's to keep. */
  deliver(flow: number, datagrams: readonly Uint8Array[]): void;
  /** The opener's alone: the pipe leads to the other end, or, opened again, to another process there. */
  opened?(): void;
  /** The opener's alone: the pipe could not be opened, or was lost, and is tried again by itself. */
  waiting?(reason: string): void;
  /** The pipe has a direct path, or none any more. Datagrams flow either way. */
  direct(conn: P2pUdpConn | undefined): void;
  /** Nothing more comes of it. */
  closed(): void;
}

export interface PipeUsersHooks {
  /** A peer that may has opened a pipe for a service of this node. */
  readonly accept: (pipe: PipeId, service: string, peer: string) => PipeUser;
  readonly connOf: (path: DirectPath) => P2pUdpConn | undefined;
  /** A role has thrown this over what came of the pipe. */
  readonly failed: (pipe: PipeId, error: unknown) => void;
}

/** The roles behind the pipes of a process: each is told of its own, and no error of one is felt by another. */
export class PipeUsers {
  readonly #hooks: PipeUsersHooks;
  readonly #users = new Map<PipeId, PipeUser>();

  constructor(hooks: PipeUsersHooks) {
    this.#hooks = hooks;
  }

  get count(): number {
    return this.#users.size;
  }

  add(pipe: PipeId, user: PipeUser): void {
    this.#users.set(pipe, user);
  }

  /** All that there is; neighbours of one flow go on together. */
  deliver(poll: () => FlowDatagram | undefined): void {
    let batch: Uint8Array[] = [];
    let head: FlowDatagram | undefined;
    for (let next = poll(); ; next = poll()) {
      if (head !== undefined && (next?.pipe !== head.pipe || next.flow !== head.flow)) {
        this.#deliver(head, batch);
        batch = [];
      }
      if (next === undefined) return;
      head = next;
      batch.push(next.payload);
    }
  }

  handle(event: PeerEvent): void {
    if (!("pipe" in event)) return;
    const { pipe } = event;
    try {
      this.#tell(this.#users.get(pipe), event);
    } catch (error) {
      this.#hooks.failed(pipe, error);
    }
    if (event.type === "closed") this.#users.delete(pipe);
  }

  #deliver({ pipe, flow }: FlowDatagram, batch: readonly Uint8Array[]): void {
    try {
      this.#users.get(pipe)?.deliver(flow, batch);
    } catch (error) {
      this.#hooks.failed(pipe, error);
    }
  }

  #tell(user: PipeUser | undefined, event: PeerEvent): void {
    switch (event.type) {
      case "opened":
        if (event.role === "initiator") user?.opened?.();
        else this.#users.set(event.pipe, this.#hooks.accept(event.pipe, event.service, event.peer));
        return;
      case "waiting":
        user?.waiting?.(event.reason);
        return;
      case "direct-up":
        user?.direct(this.#hooks.connOf(event.path));
        return;
      case "direct-down":
        user?.direct(undefined);
        return;
      case "closed":
        user?.closed();
        return;
      default:
      // Everything else is the log's.
    }
  }
}
