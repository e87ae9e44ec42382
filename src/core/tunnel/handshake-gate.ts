/** DESIGN "Safety": connections that have shown no certificate yet, in all and of one address. */
export const MAX_PENDING = 512;
export const MAX_PENDING_PER_ADDRESS = 32;

/**
 * Who is between TCP accept and a finished handshake. Beyond a limit the oldest of that address, or of all, must go:
 * a flood costs the flooder its own connections first, and never one that is authenticated.
 */
export class HandshakeGate<Connection> {
  /** In the order of arrival. */
  readonly #pending = new Map<Connection, string>();
  readonly #byAddress = new Map<string, number>();

  get size(): number {
    return this.#pending.size;
  }

  has(connection: Connection): boolean {
    return this.#pending.has(connection);
  }

  /** A new connection (one that is known already starts again). Returns those that must be closed to keep the limits; they have left already. */
  enter(connection: Connection, address: string): Connection[] {
    const crowded: Connection[] = [];
    this.leave(connection);
    if ((this.#byAddress.get(address) ?? 0) >= MAX_PENDING_PER_ADDRESS) this.#evict(crowded, address);
    if (this.#pending.size >= MAX_PENDING) this.#evict(crowded);
    this.#pending.set(connection, address);
    this.#byAddress.set(address, (this.#byAddress.get(address) ?? 0) + 1);
    return crowded;
  }

  /** It finished its handshake, or ended. False if it was not pending. */
  leave(connection: Connection): boolean {
    const address = this.#pending.get(connection);
    if (address === undefined) return false;
    this.#pending.delete(connection);
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
    return true;
  }

  #evict(into: Connection[], address?: string): void {
    for (const [connection, from] of this.#pending) {
      if (address !== undefined && from !== address) continue;
      this.leave(connection);
      into.push(connection);
      return;
    }
  }
}
