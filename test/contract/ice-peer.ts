import type { Candidate } from "../../src/core/ice/candidate.ts";
import { createIceCredentials, type IceCredentials } from "../../src/core/ice/credentials.ts";
import { gatherCandidates } from "../../src/core/ice/gather.ts";
import { IceAgent, type IceEvent } from "../../src/core/ice/ice-agent.ts";
import type { Datagram, Machine, RandomBytes, Transmit } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { looksLikeStun } from "../../src/core/stun/message.ts";
import { StunTransaction } from "../../src/core/stun/transaction.ts";
import type { Instant } from "../../src/core/time.ts";

export interface IcePeerOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly controlling: boolean;
  /** The address of each socket. */
  readonly hosts: readonly Endpoint[];
  /** Asked from every socket. */
  readonly stun: Endpoint;
  /** What a port mapping gave to the first socket. */
  readonly mapped?: Endpoint;
  /** False: the other end is not told of `hosts`. */
  readonly tellsHosts?: boolean;
}

/** Which of its agents says it, from 0: a restart makes another. */
export type IcePeerEvent = IceEvent & { readonly generation: number };

export interface Word {
  readonly from: Endpoint;
  readonly text: string;
}

interface Generation {
  readonly agent: IceAgent;
  readonly credentials: IceCredentials;
  /** What this side tells. */
  readonly told: readonly Candidate[];
  selected?: IceEvent & { readonly type: "selected" };
}

/**
 * One end of an ICE run, as a node is one: asks a STUN server for its reflexive addresses, makes an agent, is told of
 * the other end by the test, and sends its words over what was selected. After `restart` it has another agent on the
 * same sockets, and the one before lives until that has selected a pair (RFC 8445 §9).
 */
export class IcePeer implements Machine<IcePeerEvent> {
  readonly heard: Word[] = [];
  readonly #options: IcePeerOptions;
  readonly #stun: readonly StunTransaction[];
  readonly #generations: Generation[] = [];
  readonly #words: Transmit[] = [];
  readonly #events: IcePeerEvent[] = [];

  constructor(options: IcePeerOptions) {
    const { now, stun: to, random, hosts } = options;
    this.#options = options;
    this.#stun = hosts.map((_, socket) => new StunTransaction({ now, to, socket, transactionId: random(12).toHex() }));
  }

  /** True once it knows all its addresses. */
  get gathered(): boolean {
    return this.#generations.length > 0;
  }

  /** The newest. Throws before everything is gathered. */
  get agent(): IceAgent {
    return this.#newest.agent;
  }

  /** Tells it what the other end's newest agent would say in an offer or answer, and begins. */
  connect(now: Instant, other: IcePeer): void {
    this.agent.setRemote(other.#newest.credentials);
    this.agent.addRemotes(other.#newest.told, true);
    this.agent.start(now);
  }

  /** As after a change of network: everything anew, but the sockets and the roles. */
  restart(): void {
    const { controlling } = this.agent;
    this.#makeAgent(controlling);
  }

  /** Over the pair that was selected last; lost without one. */
  say(text: string): void {
    const selected = this.#generations.findLast((one) => one.selected !== undefined)?.selected;
    if (selected === undefined) return;
    const payload = new TextEncoder().encode(text);
    this.#words.push({ socket: selected.socket, to: selected.remote.endpoint, payload });
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    const { from, payload } = datagram;
    if (!looksLikeStun(payload)) this.heard.push({ from, text: new TextDecoder().decode(payload) });
    else if (this.#stun.some((one) => one.handleDatagram(now, datagram))) this.#gather();
    else this.#generations.some(({ agent }) => agent.handleDatagram(now, datagram));
  }

  handleTimeout(now: Instant): void {
    for (const one of this.#stun) one.handleTimeout(now);
    this.#gather();
    for (const { agent } of this.#generations) agent.handleTimeout(now);
  }

  pollTransmit(): Transmit | undefined {
    for (const machine of this.#machines) {
      const next = machine.pollTransmit();
      if (next !== undefined) return next;
    }
    return this.#words.shift();
  }

  pollEvent(): IcePeerEvent | undefined {
    for (const [generation, one] of this.#generations.entries())
      for (let event = one.agent.pollEvent(); event !== undefined; event = one.agent.pollEvent()) {
        this.#events.push({ ...event, generation });
        if (event.type !== "selected") continue;
        one.selected = event;
        for (const before of this.#generations.slice(0, generation)) before.agent.stop();
      }
    return this.#events.shift();
  }

  nextTimeout(): Instant {
    return Math.min(...this.#machines.map((machine) => machine.nextTimeout()));
  }

  get #machines(): readonly Machine<unknown>[] {
    return [...this.#stun, ...this.#generations.map(({ agent }) => agent)];
  }

  get #newest(): Generation {
    const newest = this.#generations.at(-1);
    if (newest === undefined) throw new Error("This peer does not know its addresses yet");
    return newest;
  }

  #gather(): void {
    const isDone = this.#stun.every(({ outcome }) => outcome !== undefined);
    if (isDone && !this.gathered) this.#makeAgent(this.#options.controlling);
  }

  #makeAgent(controlling: boolean): void {
    const { random, hosts, mapped, tellsHosts = true } = this.#options;
    const candidates = gatherCandidates(
      {
        hosts: hosts.map((endpoint, socket) => ({ endpoint, socket })),
        reflexive: [
          ...(mapped === undefined ? [] : [{ endpoint: mapped, socket: 0, via: "pcp" }]),
          ...this.#stun.flatMap(({ outcome }, socket) => {
            const endpoint = outcome?.kind === "success" ? outcome.message.attributes.xorMappedAddress : undefined;
            return endpoint === undefined ? [] : [{ endpoint, socket, via: "stun" }];
          }),
        ],
      },
      { includeLoopback: false },
    );
    const credentials = createIceCredentials(random);
    const agent = new IceAgent({ random, controlling, local: credentials, candidates });
    const told = candidates.filter(({ type }) => tellsHosts || type !== "host");
    this.#generations.push({ agent, credentials, told });
  }
}
