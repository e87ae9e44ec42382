import type { SignalInput } from "../wire/signal.ts";
import type { HubConnection } from "./hub-connection.ts";
import type { ConnectionId, HubMessage } from "./hub-event.ts";
import { MAX_UNREAD } from "./limits.ts";
import type { Member } from "./member.ts";

/** The control connections that are there, and what waits to be read on each. */
export class ConnectionTable {
  readonly #byId = new Map<ConnectionId, HubConnection>();
  readonly #byUsername = new Map<string, HubConnection>();
  /** With something to read and a socket that takes it. */
  readonly #ready = new Set<HubConnection>();
  readonly #overflowed = new Set<HubConnection>();

  get size(): number {
    return this.#byId.size;
  }

  get all(): HubConnection[] {
    return [...this.#byId.values()];
  }

  get(id: ConnectionId): HubConnection | undefined {
    return this.#byId.get(id);
  }

  byUsername(username: string): HubConnection | undefined {
    return this.#byUsername.get(username);
  }

  add(connection: HubConnection): void {
    this.#byId.set(connection.id, connection);
    this.#byUsername.set(connection.credential.username, connection);
  }

  remove(connection: HubConnection): void {
    this.#byId.delete(connection.id);
    this.#byUsername.delete(connection.credential.username);
    this.#ready.delete(connection);
    this.#overflowed.delete(connection);
  }

  send({ connection }: Member, signal: SignalInput): void {
    if (connection === undefined) return;
    if (!connection.push(signal)) this.#overflowed.add(connection);
    else if (!connection.isBlocked) this.#ready.add(connection);
  }

  /** Half of the room is for what a peer has asked for itself, so that nobody can fill it with theirs. */
  hasRoom({ connection }: Member): boolean {
    return connection !== undefined && connection.unread < MAX_UNREAD / 2;
  }

  setWritable(id: ConnectionId, isWritable: boolean): void {
    const connection = this.#byId.get(id);
    if (connection === undefined) return;
    connection.isBlocked = !isWritable;
    if (!isWritable) this.#ready.delete(connection);
    else if (connection.unread > 0) this.#ready.add(connection);
  }

  /** In turn, one message of each. */
  poll(): HubMessage | undefined {
    for (const connection of this.#ready) {
      const signal = connection.shift();
      this.#ready.delete(connection);
      if (connection.unread > 0) this.#ready.add(connection);
      if (signal !== undefined) return { to: connection.id, signal };
    }
    return undefined;
  }

  /** One that did not read what it was sent. */
  get overflowed(): HubConnection | undefined {
    const [connection] = this.#overflowed;
    return connection;
  }
}
