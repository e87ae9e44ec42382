import type { Datagram, Transmit } from "../machine.ts";
import { type Instant, NEVER } from "../time.ts";
import { type GatewayUrl, parseGatewayUrl } from "./gateway-url.ts";
import type { IgnoredAnswer } from "./protocol.ts";
import { decodeSearchAnswer, encodeSearch, SEARCH_TARGETS, SSDP_GROUP, SSDP_PORT } from "./ssdp.ts";

/** Multicast over Wi-Fi is lost easily, and devices draw up to a second of delay: three rounds, a second each. */
const ROUND_MS = 1_000;
const ROUNDS = 3;
/** Of one search; a gateway has one or two. */
const MAX_LOCATIONS = 4;

/**
 * Looks for the places where the gateway describes itself as a UPnP device. Only what comes from the gateway's address
 * and leads to that address counts.
 *
 * Each target is searched for in the group and at the gateway itself: the group is what UPnP demands, and the direct
 * question both survives networks that filter multicast and opens a firewall on this host for the answers.
 */
export class GatewaySearch {
  readonly #gateway: string;
  readonly #socket: number;
  readonly #ignored: Record<IgnoredAnswer, number>;
  readonly #transmits: Transmit[] = [];
  #known = new Map<string, GatewayUrl>();
  #untold: GatewayUrl[] = [];
  #rounds = 0;
  #due: Instant = NEVER;
  #refused: string | undefined;

  /** @param ignored where to count what did not count */
  constructor(gateway: string, socket: number, ignored: Record<IgnoredAnswer, number>) {
    this.#gateway = gateway;
    this.#socket = socket;
    this.#ignored = ignored;
  }

  /** The last place that was refused because it is not on the gateway: for the message when nothing better came. */
  get refused(): string | undefined {
    return this.#refused;
  }

  get isOver(): boolean {
    return this.#due === NEVER && this.#untold.length === 0;
  }

  start(now: Instant): void {
    this.#known = new Map();
    this.#untold = [];
    this.#refused = undefined;
    this.#rounds = 0;
    this.#sendRound(now);
  }

  stop(): void {
    this.#transmits.length = 0;
    this.#untold = [];
    this.#due = NEVER;
  }

  /** A place that has not been told yet. */
  next(): GatewayUrl | undefined {
    return this.#untold.shift();
  }

  handleDatagram({ from, payload }: Datagram): void {
    if (from.address !== this.#gateway) {
      this.#ignored.foreign += 1;
      return;
    }
    const answer = decodeSearchAnswer(payload);
    if (!answer.ok) this.#ignored.malformed += 1;
    else if (this.#rounds === 0) this.#ignored.unasked += 1;
    else this.#add(answer.location);
  }

  handleTimeout(now: Instant): void {
    if (now < this.#due) return;
    // Who has answered once answers no better when asked again.
    if (this.#rounds < ROUNDS && this.#known.size === 0) this.#sendRound(now);
    else this.#due = NEVER;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  nextTimeout(): Instant {
    return this.#due;
  }

  #add(location: string): void {
    const parsed = parseGatewayUrl(location, this.#gateway);
    if (!parsed.ok) {
      this.#ignored.malformed += 1;
      this.#refused = location;
      return;
    }
    const key = `${parsed.url.port}${parsed.url.path}`;
    if (this.#known.has(key) || this.#known.size >= MAX_LOCATIONS) return;
    this.#known.set(key, parsed.url);
    this.#untold.push(parsed.url);
  }

  #sendRound(now: Instant): void {
    this.#rounds += 1;
    this.#due = now + ROUND_MS;
    for (const address of [SSDP_GROUP, this.#gateway]) {
      // One object, so that the round leaves in one system call.
      const to = { address, port: SSDP_PORT };
      for (const target of SEARCH_TARGETS)
        this.#transmits.push({ socket: this.#socket, to, payload: encodeSearch(target, address) });
    }
  }
}
