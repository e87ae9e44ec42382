import type { Datagram, Machine, Transmit } from "../machine.ts";
import type { Instant } from "../time.ts";
import type { GatewayRequest, GatewayResult, IgnoredAnswer } from "./protocol.ts";
import type { Talk } from "./upnp-talk.ts";
import { Talker } from "./upnp-talker.ts";

export type ErrandEvent<Result> =
  | { readonly type: "request"; readonly request: GatewayRequest }
  | { readonly type: "done"; readonly result: Result };

export interface ErrandOptions<Result> {
  readonly now: Instant;
  readonly gateway: string;
  readonly talk: Talk<Result>;
  readonly limitMs: number;
}

/** One talk with a gateway and nothing after it, on one socket: how a command lists or removes mappings. */
export class UpnpErrand<Result> implements Machine<ErrandEvent<Result>> {
  readonly ignored: Record<IgnoredAnswer, number> = { foreign: 0, malformed: 0, unasked: 0 };
  readonly #talker: Talker<Result>;

  constructor({ now, gateway, talk, limitMs }: ErrandOptions<Result>) {
    this.#talker = new Talker({ gateway, socket: 0, ignored: this.ignored });
    this.#talker.start(now, talk, limitMs);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    this.#talker.handleDatagram(now, datagram);
  }

  handleTimeout(now: Instant): void {
    this.#talker.handleTimeout(now);
  }

  handleHttp(now: Instant, id: number, result: GatewayResult): void {
    this.#talker.handleHttp(now, id, result);
  }

  pollTransmit(): Transmit | undefined {
    return this.#talker.pollTransmit();
  }

  pollEvent(): ErrandEvent<Result> | undefined {
    const request = this.#talker.pollRequest();
    if (request !== undefined) return { type: "request", request };
    const result = this.#talker.pollResult();
    return result === undefined ? undefined : { type: "done", result };
  }

  nextTimeout(): Instant {
    return this.#talker.nextTimeout();
  }
}
