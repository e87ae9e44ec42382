import type { Instant } from "../time.ts";
import type { Signal } from "../wire/signal.ts";
import type { HubOffice } from "./hub-office.ts";
import type { HubEnd, HubPipe } from "./hub-pipe.ts";
import type { Member } from "./member.ts";
import type { OpenDesk } from "./open-desk.ts";
import type { Rendezvous } from "./rendezvous.ts";

/** What a peer says of one of its pipes. */
type OfPipe = Extract<
  Signal,
  {
    type: "p2p_accept" | "p2p_reject" | "p2p_close" | "candidates" | "punch_request" | "punch_ack" | "p2p_result";
  }
>;

/** Takes what is said of pipes, from their owners alone, and ends them. */
export class PipeDesk {
  readonly #office: HubOffice;
  readonly #opens: OpenDesk;
  readonly #rendezvous: Rendezvous;

  constructor(office: HubOffice, opens: OpenDesk, rendezvous: Rendezvous) {
    this.#office = office;
    this.#opens = opens;
    this.#rendezvous = rendezvous;
  }

  take(now: Instant, member: Member, signal: OfPipe): void {
    const end = member.ends.get(signal.channel);
    if (end?.pipe.isOpen) this.#takeOpen(now, end, signal);
    else if (end !== undefined) this.#takeOffered(now, end, signal);
    else this.#takeUnknown(member, signal);
  }

  /** The first words of a process on a new connection: these pipes it still has. */
  resume(member: Member, channels: readonly number[]): void {
    const kept = new Set(channels);
    for (const end of [...member.ends.values()])
      if (end.pipe.isOpen && !kept.has(end.channel)) this.close(end.pipe, "not-resumed", end);
    for (const channel of kept)
      if (!member.ends.has(channel))
        this.#office.send(member, { type: "p2p_close", channel, reason: "unknown-channel" });
  }

  /** An open pipe is no more. Both ends are told, but not the one that said so. */
  close(pipe: HubPipe, reason: string, by?: HubEnd): void {
    const { pipes, roster, send, tell } = this.#office;
    this.#rendezvous.forget(pipe);
    pipes.remove(pipe);
    for (const end of pipe.ends) {
      const { member, channel } = end;
      if (end !== by) send(member, { type: "p2p_close", channel, reason });
      // It was remembered for its pipes alone.
      if (member.connection === undefined && member.ends.size === 0) roster.remove(member);
    }
    tell({ type: "closed", ends: pipe.publicEnds, reason });
  }

  #takeOffered(now: Instant, end: HubEnd, signal: OfPipe): void {
    if (signal.type === "p2p_accept") this.#opens.accept(now, end, signal.answer);
    else if (signal.type === "p2p_reject" || signal.type === "p2p_close") this.#opens.reject(end, signal.reason);
    else this.#takeUnknown(end.member, signal);
  }

  /** Somebody else's channel and one that there never was look the same from here. */
  #takeUnknown(member: Member, signal: OfPipe): void {
    this.#office.counters.dropped["unknown-channel"] += 1;
    if (signal.type === "punch_request") this.#rendezvous.refuseUnknown(member, signal.channel, signal.attempt);
  }

  #takeOpen(now: Instant, end: HubEnd, signal: OfPipe): void {
    switch (signal.type) {
      case "candidates":
        this.#rendezvous.candidates(now, end, signal);
        break;
      case "punch_request":
        this.#rendezvous.request(now, end, signal);
        break;
      case "punch_ack":
        this.#rendezvous.acknowledge(end, signal.attempt);
        break;
      case "p2p_result":
        this.#takeResult(now, end, signal);
        break;
      case "p2p_close":
        this.close(end.pipe, signal.reason, end);
        break;
      case "p2p_accept":
      case "p2p_reject":
        this.#office.counters.dropped.unexpected += 1;
        break;
      default:
        signal satisfies never;
    }
  }

  #takeResult(now: Instant, end: HubEnd, signal: Extract<Signal, { type: "p2p_result" }>): void {
    const { winner, elapsed_ms, cause } = signal;
    const from = end.member.cn;
    if (!this.#office.rates.of(now, from).results.take(now)) this.#office.counters.dropped.rate += 1;
    else {
      const peer = end.pipe.other(end).member.cn;
      this.#office.tell({ type: "result", from, peer, winner, elapsedMs: elapsed_ms, cause });
    }
  }
}
