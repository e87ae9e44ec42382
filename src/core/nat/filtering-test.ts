import type { Filtering } from "./behaviour.ts";

/** What became of one request: `ignored` is an answer from where it was not wanted from, or a refusal. */
export type Outcome = "open" | "yes" | "no" | "ignored";

/** One server's part (RFC 5780 §4.4). Null: it cannot be asked that. */
export interface FilteringTrial {
  /** An answer from its other address came through. */
  readonly address: Outcome | null;
  /** An answer from its other port came through. */
  readonly port: Outcome | null;
  /** The same request from a socket whose own traffic has opened the way for that answer: does the server do it at all? */
  readonly control: Outcome | null;
}

export interface FilteringVerdict {
  /** Proven, or null. */
  readonly filtering: Filtering | null;
  /** The port alone keeps nobody out; whether the address does may still be unknown. */
  readonly portPasses: boolean;
}

/**
 * An answer that came through is proof: only the server knew the request, and it did come from elsewhere. Silence is
 * proof of nothing by itself, so it counts only of a server whose control answer arrived. Behind a NAT with dependent
 * mapping there can be no control (`dependent`): the way is open at another outside port.
 */
export function judgeFiltering(trials: readonly FilteringTrial[], dependent: boolean): FilteringVerdict {
  const silent = trials.filter(({ control }) => dependent || control === "yes");
  if (trials.some(({ address }) => address === "yes")) return { filtering: "endpoint-independent", portPasses: true };
  if (trials.some(({ port }) => port === "yes")) {
    const byAddress = silent.some(({ address }) => address === "no");
    return { filtering: byAddress ? "address-dependent" : null, portPasses: true };
  }
  const byPort = silent.some(({ port }) => port === "no");
  return { filtering: byPort ? "address-and-port-dependent" : null, portPasses: false };
}

/** Nothing that is still under way can change the verdict. */
export function filteringIsSettled(trials: readonly FilteringTrial[], dependent: boolean): boolean {
  return trials.every(
    ({ address, port, control }) =>
      address === "yes" || (address !== "open" && port !== "open" && (dependent || control !== "open")),
  );
}
