import type { Datagram, Transmit } from "../machine.ts";
import type { Instant } from "../time.ts";
import {
  type GatewayResult,
  type IgnoredAnswer,
  PORT_MAP_SOCKETS,
  type PortMapClient,
  type PortMapClientEvent,
  type PortMapFailed,
  type PortMapOptions,
} from "./protocol.ts";
import type { WanService } from "./upnp-description.ts";
import { type Added, addMapping, isOurs, type MappingWish, removeMapping } from "./upnp-mapping.ts";
import { externalAddress, findService } from "./upnp-service.ts";
import { failed, type Talk } from "./upnp-talk.ts";
import { Talker } from "./upnp-talker.ts";

/** Of one `map`: three seconds of search and a few requests at a gateway that takes its time. */
export const MAP_LIMIT_MS = 10_000;
/** Of one `unmap`: a program may be waiting to end. */
export const UNMAP_LIMIT_MS = 3_000;
/** So long a request for the mapping that was under way may still tell which port it got. */
export const LAST_ANSWER_MS = 1_000;

type Outcome = Extract<PortMapClientEvent, { type: "mapped" | "unmapped" | "failed" }>;

/**
 * One mapping by UPnP IGD, version 1 or 2 (WANIPConnection:1 and :2, WANPPPConnection:1): idle → searching for the
 * gateway's service → asking for the external address → adding → idle; idle → removing → idle. The service is remembered
 * and searched for again when it no longer answers: gateways change its port when they restart.
 *
 * The external address is asked for first, so that a gateway that has none or tells nonsense is left as it was.
 *
 * Left out on purpose: events and announcements (a gateway that restarted shows at the next renewal), and what a gateway
 * says of a mapping that it just confirmed: whether it works, only the outside can tell. Of AddAnyPortMapping that was
 * never answered the port is unknown; only the one that was wished for is removed, the lease ends any other.
 */
export class UpnpClient implements PortMapClient {
  readonly protocol = "upnp";
  readonly ignored: Record<IgnoredAnswer, number> = { foreign: 0, malformed: 0, unasked: 0 };
  readonly #options: PortMapOptions;
  readonly #talker: Talker<Outcome | undefined>;
  readonly #events: PortMapClientEvent[] = [];
  #service: WanService | undefined;
  /** The external port that the gateway gave, as far as we know. */
  #granted: number | undefined;
  /** The external port of a request that left and was neither granted nor refused. */
  #open: number | undefined;
  /** Whether such a request is under way, and whether `abandon` or `unmap` came since. */
  #adding: "no" | "yes" | "abandoned" | "to-unmap" = "no";

  constructor(options: PortMapOptions) {
    this.#options = options;
    const { gateway } = options;
    this.#talker = new Talker({ gateway, socket: PORT_MAP_SOCKETS.upnp, ignored: this.ignored });
  }

  get mayHold(): boolean {
    return this.#granted !== undefined || this.#open !== undefined;
  }

  map(now: Instant): void {
    this.#start(now, this.#map(), MAP_LIMIT_MS);
  }

  unmap(now: Instant): void {
    if (this.#adding === "no") this.#start(now, this.#unmap(), UNMAP_LIMIT_MS);
    else {
      this.#adding = "to-unmap";
      this.#talker.hurry(now, LAST_ANSWER_MS, LAST_ANSWER_MS + UNMAP_LIMIT_MS);
    }
  }

  /** The answer to a request for the mapping is waited for all the same: it tells what there is to undo. */
  abandon(): void {
    this.#events.length = 0;
    if (this.#adding === "no") this.#talker.stop();
    else this.#adding = "abandoned";
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    if (datagram.socket !== PORT_MAP_SOCKETS.upnp) return;
    this.#talker.handleDatagram(now, datagram);
    this.#takeOutcome();
  }

  handleHttp(now: Instant, id: number, result: GatewayResult): void {
    this.#talker.handleHttp(now, id, result);
    this.#takeOutcome();
  }

  handleTimeout(now: Instant): void {
    this.#talker.handleTimeout(now);
    this.#takeOutcome();
  }

  pollTransmit(): Transmit | undefined {
    return this.#talker.pollTransmit();
  }

  pollEvent(): PortMapClientEvent | undefined {
    const request = this.#talker.pollRequest();
    return request === undefined ? this.#events.shift() : { type: "request", request };
  }

  nextTimeout(): Instant {
    return this.#talker.nextTimeout();
  }

  #start(now: Instant, talk: Talk<Outcome | undefined>, limitMs: number): void {
    this.#adding = "no";
    this.#events.length = 0;
    this.#talker.start(now, talk, limitMs);
    this.#takeOutcome();
  }

  #takeOutcome(): void {
    const outcome = this.#talker.pollResult();
    if (outcome !== undefined) this.#events.push(outcome);
  }

  *#map(): Talk<Outcome | undefined> {
    if (this.#service !== undefined) {
      const outcome = yield* this.#mapAt(this.#service);
      if (outcome?.type !== "failed" || !isUnanswered(outcome)) return outcome;
    }
    const found = yield* findService(this.#options.gateway);
    if (found.type === "failed") return this.#withRefusedLocation(found);
    this.#service = found.service;
    return yield* this.#mapAt(found.service);
  }

  *#mapAt(service: WanService): Talk<Outcome | undefined> {
    const external = yield* externalAddress(service);
    if (external.type === "failed") return external;
    const wish = this.#wish(this.#granted ?? this.#options.externalPort);
    const answer = yield* addMapping(service, wish, {
      isNew: this.#granted === undefined,
      random: this.#options.random,
      mayAsk: (port) => this.#mayAsk(port),
    });
    this.#takeAnswer(answer);
    const then = this.#adding;
    this.#adding = "no";
    if (then === "abandoned") return undefined;
    if (then === "to-unmap") return yield* this.#unmap();
    if (answer.type === "failed") return answer;
    const { externalPort: port, leaseSeconds } = answer;
    return { type: "mapped", external: { address: external.address, port }, leaseSeconds };
  }

  #mayAsk(externalPort: number): boolean {
    if (this.#adding === "abandoned" || this.#adding === "to-unmap") return false;
    this.#adding = "yes";
    this.#open = externalPort;
    return true;
  }

  #takeAnswer(answer: Added | PortMapFailed): void {
    if (answer.type === "added") this.#granted = answer.externalPort;
    // The port that was ours is somebody else's by now.
    else if (answer.kind === "conflict") this.#granted = undefined;
    if (answer.type === "added" || !isUnanswered(answer)) this.#open = undefined;
  }

  *#unmap(): Talk<Outcome> {
    const service = this.#service;
    // Without a service nothing was ever asked for.
    if (service === undefined) return { type: "unmapped" };
    for (const port of new Set([this.#open, this.#granted])) {
      if (port === undefined) continue;
      // What was never confirmed may be somebody else's.
      if (port !== this.#granted && !(yield* isOurs(service, this.#wish(port)))) continue;
      const answer = yield* removeMapping(service, this.#options.transport, port);
      if (answer.type === "failed") return answer;
    }
    this.#open = undefined;
    this.#granted = undefined;
    return { type: "unmapped" };
  }

  #wish(externalPort: number): MappingWish {
    const { transport, localAddress: internalAddress, internalPort, leaseSeconds, description } = this.#options;
    return { transport, internalAddress, internalPort, externalPort, leaseSeconds, description };
  }

  /** An answer that led away says more than that there was none. */
  #withRefusedLocation(outcome: PortMapFailed): PortMapFailed {
    const refused = this.#talker.refusedLocation;
    if (refused === undefined || outcome.kind !== "no-answer") return outcome;
    const shown = JSON.stringify(refused.slice(0, 80));
    return failed("bad-answer", `its answer leads away from ${this.#options.gateway}: ${shown}`);
  }
}

/** The service may have moved, and whether it did what it was asked is open. */
function isUnanswered({ kind }: PortMapFailed): boolean {
  return kind === "no-answer" || kind === "bad-answer";
}
