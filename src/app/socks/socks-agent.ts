import type { Config } from "../../config/schema.ts";
import type { PipeId } from "../../core/peer/peer-event.ts";
import { ExitPolicy } from "../../core/socks/exit-policy.ts";
import { parseExitRule } from "../../core/socks/exit-rule.ts";
import type { SocksStatus } from "../../core/socks/socks-status.ts";
import type { Log } from "../../io/log/log.ts";
import type { Pipes, PipeUser } from "../peers/peer-plane.ts";
import type { NodeIdentity } from "../role.ts";
import { openStreamService, type StreamService } from "../streams/stream-service.ts";
import { ExitDialer } from "./exit-dialer.ts";
import { ownAddressBook } from "./own-address-book.ts";
import { SocksExit } from "./socks-exit.ts";
import { socksStatus } from "./socks-status.ts";

export interface SocksAgentOptions {
  readonly service: Config["services"]["socks"];
  readonly identity: NodeIdentity;
  /** This node's address as others see it: its router's, which is no destination either. */
  readonly reflexAddress: () => string | undefined;
  readonly log: Log;
}

/** Throws `io.bind`. */
export async function openSocksAgent(options: SocksAgentOptions): Promise<SocksAgent> {
  const { service, identity, reflexAddress, log } = options;
  // Invariant: the config has read them once, and found nothing wrong.
  const rules = service.destinations.flatMap((text) => parseExitRule(text) ?? []);
  const policy = new ExitPolicy({ rules, isOwn: ownAddressBook(reflexAddress) });
  const exit = new SocksExit(new ExitDialer(policy), log);
  try {
    const streams = await openStreamService({ identity, log, accept: (_peer, stream) => exit.accept(stream) });
    return new SocksAgent(service.allow, exit, streams);
  } catch (error) {
    exit[Symbol.dispose]();
    throw error;
  }
}

/** `services.socks`: a way out for the peers that it names. Made by `openSocksAgent`. */
export class SocksAgent implements Disposable {
  readonly #allow: readonly string[];
  readonly #exit: SocksExit;
  readonly #streams: StreamService;

  constructor(allow: readonly string[], exit: SocksExit, streams: StreamService) {
    this.#allow = allow;
    this.#exit = exit;
    this.#streams = streams;
  }

  authorise(cn: string): boolean {
    return this.#allow.includes(cn);
  }

  /** A pipe of a peer that `authorise` let in. */
  accept(plane: Pipes, pipe: PipeId, peer: string): PipeUser {
    return this.#streams.accept(plane, pipe, peer);
  }

  status(): SocksStatus {
    return socksStatus(this.#exit.counters, this.#streams.status());
  }

  /** Tells every peer that this end goes; before its pipes do. */
  end(): Promise<void> {
    return this.#streams.end();
  }

  [Symbol.dispose](): void {
    this.#exit[Symbol.dispose]();
    this.#streams[Symbol.dispose]();
  }
}
