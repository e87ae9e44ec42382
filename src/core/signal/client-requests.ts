import { type Instant, NEVER } from "../time.ts";
import type { SignedOffer } from "../wire/offer.ts";
import type { RequestId } from "./client-event.ts";
import { ANSWER_WAIT_MS, MAX_CHANNELS, MAX_PENDING_OPENS, TARGET_WAIT_MS } from "./limits.ts";

/** A request that has not been sent yet waits so long for a connection, or for those before it. */
export const UNSENT_MS = 30_000;
/** The server's own limits, and a way there and back. */
export const UNANSWERED_MS = TARGET_WAIT_MS + ANSWER_WAIT_MS + 5_000;

export interface OpenRequest {
  readonly id: RequestId;
  readonly to: string;
  readonly service: string;
  readonly offer: SignedOffer;
  isSent: boolean;
  /** Nobody waits for it any more: when it opens after all, it is closed. */
  isCancelled: boolean;
  deadline: Instant;
}

/** The `open_p2p` of one process: as many at the server as it allows, the others behind them. */
export class ClientRequests {
  readonly #requests = new Map<RequestId, OpenRequest>();

  get isFull(): boolean {
    return this.#requests.size >= MAX_CHANNELS;
  }

  get(id: RequestId): OpenRequest | undefined {
    const request = this.#requests.get(id);
    return request?.isSent ? request : undefined;
  }

  add(now: Instant, id: RequestId, to: string, service: string, offer: SignedOffer): void {
    const deadline = now + UNSENT_MS;
    this.#requests.set(id, { id, to, service, offer, isSent: false, isCancelled: false, deadline });
  }

  /** It has its outcome. */
  remove(id: RequestId): void {
    this.#requests.delete(id);
  }

  cancel(id: RequestId): void {
    const request = this.#requests.get(id);
    if (request?.isSent) request.isCancelled = true;
    else this.#requests.delete(id);
  }

  /** The next one to be sent, if the server may have one more. */
  next(now: Instant): OpenRequest | undefined {
    let pending = 0;
    for (const { isSent } of this.#requests.values()) if (isSent) pending += 1;
    if (pending >= MAX_PENDING_OPENS) return undefined;
    for (const request of this.#requests.values())
      if (!request.isSent) {
        request.isSent = true;
        request.deadline = now + UNANSWERED_MS;
        return request;
      }
    return undefined;
  }

  /** Those that nothing came of in time; the connection is lost: those that were sent. They are removed. */
  take(which: (request: OpenRequest) => boolean): OpenRequest[] {
    const taken = [...this.#requests.values()].filter(which);
    for (const { id } of taken) this.#requests.delete(id);
    return taken;
  }

  nextTimeout(): Instant {
    let next = NEVER;
    for (const { deadline } of this.#requests.values()) next = Math.min(next, deadline);
    return next;
  }
}
