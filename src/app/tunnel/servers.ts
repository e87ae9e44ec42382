import { type Address, formatAddress } from "../../config/address.ts";
import type { Instant } from "../../core/time.ts";
import { type ChoiceCommand, type MoveReason, ServerChoice } from "../../core/tunnel/server-choice.ts";
import type { ServersStatus } from "../../core/tunnel/status.ts";
import { now } from "../../io/clock.ts";
import type { Log } from "../../io/log/log.ts";
import { WakeTimer } from "../../io/wake-timer.ts";

/** Connections to servers: lanes, or the control connection. */
export interface ServerUser {
  /** A connection to it is up. */
  isUp(server: number): boolean;
  /** See whether it answers. */
  try?(server: number): void;
  /** Another one is in use from now on. */
  move(from: number, to: number): void;
  /** Nothing is to be left of connections to it. */
  leave(server: number): void;
}

/**
 * The servers of this process (`tcp.server_addr`), and which of them is in use by all of its roles: what connections
 * see goes to the `ServerChoice`, what that decides comes back to them.
 */
export class Servers implements Disposable {
  readonly addresses: readonly Address[];
  readonly #choice: ServerChoice;
  readonly #log: Log;
  readonly #users: ServerUser[] = [];
  readonly #moves: Record<MoveReason, number> = { failed: 0, returned: 0 };
  readonly #timer = new WakeTimer(() => {
    this.#choice.handleTimeout(now());
    this.#obey();
  });
  #isDisposed = false;

  constructor(addresses: readonly Address[], idleMs: number, log: Log) {
    this.addresses = addresses;
    this.#choice = new ServerChoice({ servers: addresses.length, idleMs, random: Math.random });
    this.#log = log;
  }

  /** The place of the one in use. */
  get current(): number {
    return this.#choice.current;
  }

  use(user: ServerUser): void {
    this.#users.push(user);
  }

  /** Something wants to go, or came. */
  wanted(at: Instant): void {
    if (this.#choice.wanted(at)) this.#timer.set(this.#choice.nextTimeout());
  }

  /** A connection is up; the server has said nothing yet. */
  opened(server: number): void {
    this.#choice.opened(now(), server);
    this.#obey();
  }

  answered(server: number): void {
    this.#choice.answered(now(), server);
    this.#obey();
  }

  /** A connection has ended, or was never up. `worked`: it had been of use. */
  ended(server: number, worked: boolean): void {
    if (this.#users.some((user) => user.isUp(server))) return;
    if (worked) this.#choice.lost(now(), server);
    else this.#choice.failed(now(), server);
    this.#obey();
  }

  status(): ServersStatus {
    return {
      addresses: this.addresses.map(formatAddress),
      current: this.current,
      moves: { ...this.#moves },
    };
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#timer[Symbol.dispose]();
  }

  #obey(): void {
    for (let command = this.#choice.pollCommand(); command !== undefined; command = this.#choice.pollCommand())
      this.#do(command);
    this.#timer.set(this.#choice.nextTimeout());
  }

  #do(command: ChoiceCommand): void {
    if (this.#isDisposed) return;
    switch (command.type) {
      case "try":
        this.#log.debug("server_try", { server: this.#name(command.server) });
        for (const user of this.#users) user.try?.(command.server);
        return;
      case "move":
        this.#moved(command);
        return;
      case "leave":
        for (const user of this.#users) user.leave(command.server);
        return;
      default:
        command satisfies never;
    }
  }

  #moved({ from, to, reason }: Extract<ChoiceCommand, { type: "move" }>): void {
    this.#moves[reason] += 1;
    const fields = { from: this.#name(from), to: this.#name(to) };
    if (reason === "failed") this.#log.warn("server_moved", fields);
    else this.#log.info("server_returned", fields);
    for (const user of this.#users) user.move(from, to);
  }

  #name(server: number): string {
    const address = this.addresses[server];
    return address === undefined ? "" : formatAddress(address);
  }
}
