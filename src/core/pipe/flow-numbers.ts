/** 0 is the pipe's own control flow, 1 is QUIC; what the initiator gives to UDP flows begins here (DESIGN). */
export const FIRST_UDP_FLOW = 2;
const LAST_FLOW = 0xffff;

/**
 * Numbers for the UDP flows of one pipe, given in turn: a number comes again only after all others, so that the other
 * end has long forgotten what it stood for.
 */
export class FlowNumbers {
  #next = FIRST_UDP_FLOW;

  /** A number that `isTaken` does not know. There are 65,534, and a pipe has far fewer flows. */
  take(isTaken: (flow: number) => boolean): number {
    for (;;) {
      const flow = this.#next;
      this.#next = flow === LAST_FLOW ? FIRST_UDP_FLOW : flow + 1;
      if (!isTaken(flow)) return flow;
    }
  }
}
