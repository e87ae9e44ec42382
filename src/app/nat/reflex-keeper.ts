import { randomBytes } from "node:crypto";
import type { NatReport } from "../../core/nat/nat-report.ts";
import { type Reflex, ReflexBook } from "../../core/nat/reflex.ts";
import { type NamedServer, ReflexRound, type ReflexSeen } from "../../core/nat/reflex-round.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import type { Log } from "../../io/log/log.ts";
import type { Share } from "../../io/udp/shared-fan.ts";

/** Votes of the reflex book live 10 minutes, NATs' own memory (RFC 4787 REQ-5) is 5 at its best. */
const ROUND_EVERY_MS = 240_000;
const MAX_ASKED = 3;
/** So many rounds without an answer mean that something changed. */
const MAX_SILENT_ROUNDS = 2;

export interface ReflexKeeperOptions {
  readonly log: Log;
  /** `nat.reflex_override`. */
  readonly override: Endpoint | null;
  /** The node's own server, by the name that reports have for it. */
  readonly ownServer: string | undefined;
  /** A part in the socket that all of this is about, for one round. */
  share(): Share;
  /** The outside address is another one, or nobody answers any more: the last check is no longer true. */
  onMoved(): void;
  /** What is told is another one now. */
  onTold(): void;
}

/**
 * What a node tells others as its address: keeps the reflex book, asks a few servers every four minutes whether it still
 * holds, and logs `reflex` whenever it becomes another one.
 */
export class ReflexKeeper implements Disposable {
  readonly #options: ReflexKeeperOptions;
  readonly #book = new ReflexBook();
  readonly #lastSeen = new Map<string, Endpoint>();
  #servers: readonly NamedServer[] = [];
  #timer: Timer | undefined;
  #round: Disposable | undefined;
  #silentRounds = 0;
  #told: string | undefined;
  #disposed = false;

  constructor(options: ReflexKeeperOptions) {
    this.#options = options;
    this.#book.setOverride(options.override ?? undefined);
    this.publish();
  }

  /** Null where nobody knows, or where every destination sees another address. */
  current(): Reflex | null {
    const best = this.#book.best(now());
    return best !== undefined && best.agreeing > best.dissenting ? best : null;
  }

  setOverride(endpoint: Endpoint | null): void {
    this.#book.setOverride(endpoint ?? undefined);
    this.publish();
  }

  setPortMapping(endpoint: Endpoint | undefined): void {
    this.#book.setPortMapping(endpoint);
    this.publish();
  }

  /** Another network: what was seen in the last one is void, whom to ask in this one comes with the next check. */
  forget(): void {
    this.#stopRounds();
    this.#book.forget();
    this.publish();
  }

  learn({ type, servers }: NatReport): void {
    this.#stopRounds();
    this.#book.forget();
    this.#servers = [];
    this.#silentRounds = 0;
    const answered = servers.flatMap(({ name, endpoint, outcome }) =>
      endpoint !== null && outcome.kind === "answered" ? [{ name, endpoint, mapped: outcome.mapped }] : [],
    );
    // What a symmetric NAT shows to one server is nobody else's to use.
    if (type !== "symmetric") {
      for (const { name, mapped } of answered) this.#observe(name, mapped);
      this.#servers = answered.slice(0, MAX_ASKED);
      this.#roundLater();
    }
    this.publish();
  }

  /** Says what the address is now, if that is news. */
  publish(): void {
    const reflex = this.current();
    const address = reflex === null ? undefined : formatEndpoint(reflex.endpoint);
    const text = `${address} ${reflex?.source}`;
    // Nothing known at the start is no news.
    if (text === this.#told || this.#disposed || (this.#told === undefined && reflex === null)) return;
    this.#told = text;
    this.#options.log.info("reflex", { address, source: reflex?.source });
    this.#options.onTold();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#stopRounds();
  }

  #observe(name: string, mapped: Endpoint): void {
    this.#lastSeen.set(name, mapped);
    const source = name === this.#options.ownServer ? "server" : "stun";
    this.#book.observe({ source, who: name, mapped, at: now() });
  }

  #roundLater(): void {
    if (this.#servers.length > 0) this.#timer = setTimeout(() => this.#ask(), ROUND_EVERY_MS);
  }

  #ask(): void {
    const random = (length: number) => new Uint8Array(randomBytes(length));
    const machine = new ReflexRound({ now: now(), random, servers: this.#servers });
    const parts = new DisposableStack();
    const share = parts.use(this.#options.share());
    this.#round = parts;
    parts.use(drive(machine, share, (event) => this.#ended(event)));
  }

  #ended({ seen }: ReflexSeen): void {
    this.#stopRounds();
    const isMoved = seen.some(({ name, mapped }) => this.#lastSeen.get(name)?.address !== mapped.address);
    for (const { name, mapped } of seen) this.#observe(name, mapped);
    this.#silentRounds = seen.length === 0 ? this.#silentRounds + 1 : 0;
    this.#roundLater();
    this.publish();
    if (isMoved || this.#silentRounds === MAX_SILENT_ROUNDS) this.#options.onMoved();
  }

  #stopRounds(): void {
    clearTimeout(this.#timer);
    this.#round?.[Symbol.dispose]();
    this.#round = undefined;
  }
}
