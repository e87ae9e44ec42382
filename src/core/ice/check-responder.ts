import type { Datagram, Transmit } from "../machine.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { StunAttributes } from "../stun/attributes.ts";
import { verifyIntegrity } from "../stun/integrity.ts";
import { BINDING, type DecodedStun, decodeStun, encodeStun, type StunMessage } from "../stun/message.ts";
import { iceIntegrity } from "./check-request.ts";
import type { IceCredentials } from "./credentials.ts";
import type { IceCounters } from "./ice-counters.ts";
import type { ReachBudget } from "./reach-budget.ts";
import type { Role } from "./role.ts";

/** A check of the peer that was answered with success. */
export interface PeerCheck {
  readonly socket: number;
  readonly from: Endpoint;
  /** Of the candidate that it reveals if nobody told of it. */
  readonly priority: number;
  readonly useCandidate: boolean;
  /** Who it says it is; nothing that the integrity proves. */
  readonly ufrag: string;
}

export interface ResponderOptions {
  readonly local: IceCredentials;
  readonly role: Role;
  readonly budget: ReachBudget;
  readonly counters: IceCounters;
}

/**
 * Answers the peer's checks (RFC 8445 §7.3), within the budget of the address that each came from. A stranger gets no
 * answer, not even an error: whoever has not our password learns nothing of this agent.
 */
export class CheckResponder {
  readonly #options: ResponderOptions;
  readonly #transmits: Transmit[] = [];

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** @param peer the peer's ufrag, once that is known */
  handleRequest(datagram: Datagram, peer: string | undefined): PeerCheck | undefined {
    const { local, counters, role } = this.#options;
    const decoded = decodeStun(datagram.payload);
    if (!decoded.ok || !decoded.fingerprint) {
      counters.malformed += 1;
      return undefined;
    }
    const { message } = decoded;
    const ufrag = peerOf(message.attributes.username, local.ufrag);
    const isKnown = ufrag !== undefined && (peer === undefined || ufrag === peer);
    if (!isKnown || !verifyIntegrity(datagram.payload, iceIntegrity(local).key)) {
      counters.unauthenticated += 1;
      return undefined;
    }
    const fault = faultOf(decoded);
    if (fault !== undefined) counters.malformed += 1;
    else if (role.settle(message.attributes)) return this.#accept(datagram, message, ufrag);
    this.#answer(datagram, message, fault ?? { errorCode: { code: 487, reason: "Role Conflict" } });
    return undefined;
  }

  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  clear(): void {
    this.#transmits.length = 0;
  }

  #accept(datagram: Datagram, message: StunMessage, ufrag: string): PeerCheck | undefined {
    const { socket, from } = datagram;
    if (!this.#answer(datagram, message, { xorMappedAddress: from })) return undefined;
    const { priority = 0, useCandidate = false } = message.attributes;
    return { socket, from, priority, useCandidate, ufrag };
  }

  #answer({ socket, from }: Datagram, { transactionId }: StunMessage, attributes: StunAttributes): boolean {
    const { budget, counters, local } = this.#options;
    if (!budget.spendAnswer(from)) {
      counters.answersWithheld += 1;
      return false;
    }
    const kind = attributes.errorCode === undefined ? "success" : "error";
    const message = { class: kind, method: BINDING, transactionId, attributes } as const;
    const payload = encodeStun(message, { integrity: iceIntegrity(local), fingerprint: true });
    counters.answersSent += 1;
    this.#transmits.push({ socket, to: from, payload });
    return true;
  }
}

/** The second part of a user name whose first is ours. */
function peerOf(username: string | undefined, ours: string): string | undefined {
  return username?.startsWith(`${ours}:`) ? username.slice(ours.length + 1) : undefined;
}

/** What is wrong with a request that the peer made: RFC 8489 §6.3.1 and RFC 8445 §7.1.1. */
function faultOf({ message, unknownRequired }: DecodedStun & { ok: true }): StunAttributes | undefined {
  if (unknownRequired.length > 0)
    return { errorCode: { code: 420, reason: "Unknown Attribute" }, unknownAttributes: unknownRequired };
  const { priority } = message.attributes;
  return priority === undefined ? { errorCode: { code: 400, reason: "No PRIORITY" } } : undefined;
}
