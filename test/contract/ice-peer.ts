import type { Candidate } from "../../src/core/ice/candidate.ts";
import type { IceCredentials } from "../../src/core/ice/credentials.ts";
import { gatherCandidates } from "../../src/core/ice/gather.ts";
import { IceAgent, type IceEvent } from "../../src/core/ice/ice-agent.ts";
import type { Datagram, Machine, RandomBytes, Transmit } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { StunTransaction } from "../../src/core/stun/transaction.ts";
import { type Instant, NEVER } from "../../src/core/time.ts";

export interface IcePeerOptions {
  readonly now: Instant;
  readonly random: RandomBytes;
  readonly controlling: boolean;
  readonly local: IceCredentials;
  readonly host: Endpoint;
  readonly stun: Endpoint;
}

/** One end of an ICE run: asks a STUN server for its reflexive address, then is told of the other end by the test. */
export class IcePeer implements Machine<IceEvent> {
  readonly options: IcePeerOptions;
  readonly #stun: StunTransaction;
  agent: IceAgent | undefined;

  constructor(options: IcePeerOptions) {
    this.options = options;
    const { now, stun, random } = options;
    this.#stun = new StunTransaction({ now, to: stun, transactionId: random(12).toHex() });
  }

  /** True once it knows all its addresses. */
  get gathered(): boolean {
    return this.agent !== undefined;
  }

  candidates: readonly Candidate[] = [];

  connect(now: Instant, other: IcePeer): void {
    this.agent?.setRemote(other.options.local);
    this.agent?.addRemotes(other.candidates, true);
    this.agent?.start(now);
  }

  handleDatagram(now: Instant, datagram: Datagram): void {
    if (this.#stun.handleDatagram(now, datagram)) this.#gather();
    else this.agent?.handleDatagram(now, datagram);
  }

  handleTimeout(now: Instant): void {
    this.#stun.handleTimeout(now);
    this.#gather();
    this.agent?.handleTimeout(now);
  }

  pollTransmit(): Transmit | undefined {
    return this.#stun.pollTransmit() ?? this.agent?.pollTransmit();
  }

  pollEvent(): IceEvent | undefined {
    return this.agent?.pollEvent();
  }

  nextTimeout(): Instant {
    return Math.min(this.#stun.nextTimeout(), this.agent?.nextTimeout() ?? NEVER);
  }

  #gather(): void {
    const { outcome } = this.#stun;
    if (outcome === undefined || this.agent !== undefined) return;
    const { host, random, controlling, local } = this.options;
    const mapped = outcome.kind === "success" ? outcome.message.attributes.xorMappedAddress : undefined;
    const reflexive = mapped === undefined ? [] : [{ endpoint: mapped, socket: 0, via: "stun" }];
    const hosts = [{ endpoint: host, socket: 0 }];
    const candidates = gatherCandidates({ hosts, reflexive }, { includeLoopback: false });
    this.candidates = candidates;
    this.agent = new IceAgent({ random, controlling, local, candidates });
  }
}
