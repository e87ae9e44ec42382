import { expect } from "bun:test";
import { type DropReason, TunnelCounters } from "../../../../src/core/tunnel/counters.ts";
import { Lane } from "../../../../src/core/tunnel/lane.ts";
import { Session, type SessionOptions } from "../../../../src/core/tunnel/session.ts";
import { encodeData, PduDecoder, TYPE_DATA } from "../../../../src/core/wire/pdu.ts";
import { numbered, numberOf } from "../../../bytes.ts";
import { SESSION_SETTINGS } from "./session-settings.ts";

/** A client's session whose lanes are driven by hand. */
export class SessionBench {
  readonly counters = new TunnelCounters();
  readonly session: Session;

  constructor(settings: Partial<SessionOptions> = {}) {
    const options = { ...SESSION_SETTINGS, clientCn: "home", sessionId: "", outbound: "up", ...settings } as const;
    this.session = new Session(options, this.counters, 0);
  }

  /** A lane that is up and acknowledged. */
  lane(id: number, epoch = 1, now = 0): Lane {
    const lane = this.plainLane(id, now);
    this.session.acknowledge(lane, epoch, ["seq"], []);
    return lane;
  }

  /** A lane that is up and waits for its hello_ack. */
  plainLane(id: number, now = 0): Lane {
    const lane = new Lane(id);
    this.session.attach(now, lane);
    return lane;
  }

  /** Fire every timer that is due by `until`. */
  elapse(until: number): void {
    for (let at = this.session.nextTimeout(); at <= until; at = this.session.nextTimeout())
      this.session.handleTimeout(at, []);
  }

  offer(now: number, ...numbers: number[]): void {
    for (const number of numbers) this.session.offer(now, numbered(number));
  }

  /** All that can be sent now, written whole: `lane: number#seq …` for each batch. */
  sent(now = 0): string[] {
    const batches: string[] = [];
    for (let lane = this.session.nextBatch(now); lane !== undefined; lane = this.session.nextBatch(now)) {
      batches.push(`${lane.id}: ${contents(lane)}`);
      lane.wrote(now, lane.pendingBytes);
    }
    return batches;
  }

  /** Numbers that leave when these arrive over `lane`; the datagram of seq s is `numbered(s)`. */
  receive(now: number, lane: Lane, ...seqs: number[]): number[] {
    return this.leaving((out) => {
      for (const seq of seqs) {
        lane.feed(pdu(numbered(seq), seq));
        expect(this.session.receive(now, lane, out)).toBe("need-more");
      }
    });
  }

  leaving(act: (out: Uint8Array[]) => void): number[] {
    const out: Uint8Array[] = [];
    act(out);
    return out.map(numberOf);
  }

  drops(direction: "up" | "down"): Partial<Record<DropReason, number>> {
    return Object.fromEntries(Object.entries(this.counters[direction].drops).filter(([, count]) => count > 0));
  }
}

/** One DATA PDU. */
export function pdu(datagram: Uint8Array, seq = -1): Uint8Array {
  const into = new Uint8Array(datagram.length + 13);
  return into.subarray(0, encodeData(into, 0, datagram, seq));
}

/** The datagrams in an outbox: `number#seq`, or `number` alone without one. */
export function contents(lane: Lane): string {
  const decoder = new PduDecoder({ maxCtrlBytes: 65_535 });
  const seen: string[] = [];
  decoder.feed(lane.outbox.subarray(lane.start, lane.end));
  while (decoder.next() === "pdu")
    if (decoder.type === TYPE_DATA)
      seen.push(`${numberOf(decoder.payload)}${decoder.seq < 0 ? "" : `#${decoder.seq}`}`);
  return seen.join(" ");
}
