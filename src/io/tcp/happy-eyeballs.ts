import { lookup } from "node:dns/promises";
import { errorMessage, UtError } from "../../core/error.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** RFC 8305 §5: the next address is tried when this much has passed without an answer from the one before. */
export const ATTEMPT_DELAY_MS = 250;

/**
 * All addresses of a name that stands under `key` in the config, families interleaved with IPv6 first (RFC 8305 §4).
 * Throws `io.resolve`.
 */
export async function resolveAll(host: string, key = "tcp.server_addr"): Promise<ResolvedAddress[]> {
  try {
    return interleave(await lookup(host, { all: true, verbatim: true }));
  } catch (cause) {
    throw new UtError(
      "io.resolve",
      `Cannot resolve "${host}": ${errorMessage(cause)}; check the name in ${key} and this machine's DNS`,
      { cause, details: { host } },
    );
  }
}

export function interleave(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  const v6 = addresses.filter((address) => address.family === 6);
  const v4 = addresses.filter((address) => address.family !== 6);
  const order: ResolvedAddress[] = [];
  for (let i = 0; i < Math.max(v6.length, v4.length); i++) {
    const six = v6[i];
    const four = v4[i];
    if (six !== undefined) order.push(six);
    if (four !== undefined) order.push(four);
  }
  return order;
}

/** One try. It must end when `abandoned` fires; how, nobody listens to any more. */
export type Attempt<T> = (address: ResolvedAddress, abandoned: AbortSignal) => Promise<T>;

/**
 * Try `addresses` in their order, each `delayMs` after the one before or at once when that one failed; the first to
 * succeed wins and all others are abandoned. Rejects with the last error when all have failed, and with the signal's
 * reason, everything abandoned, when `signal` fires first.
 */
export function race<T>(
  addresses: readonly ResolvedAddress[],
  attempt: Attempt<T>,
  options: { readonly signal?: AbortSignal; readonly delayMs?: number } = {},
): Promise<T> {
  const { signal, delayMs = ATTEMPT_DELAY_MS } = options;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const running = new Set<AbortController>();
  const untried = [...addresses];
  let timer: Timer | undefined;

  /** Nobody tries any more but the winner, if there is one. */
  function settle(winner?: AbortController): void {
    clearTimeout(timer);
    untried.length = 0;
    signal?.removeEventListener("abort", stop);
    for (const other of running) if (other !== winner) other.abort();
    running.clear();
  }

  function stop(): void {
    settle();
    reject(signal?.reason);
  }

  function tryNext(): void {
    clearTimeout(timer);
    const address = untried.shift();
    if (address === undefined) return;
    const controller = new AbortController();
    running.add(controller);
    if (untried.length > 0) timer = setTimeout(tryNext, delayMs);
    attempt(address, controller.signal).then(
      (value) => {
        settle(controller);
        resolve(value);
      },
      (error: unknown) => {
        running.delete(controller);
        if (untried.length > 0) tryNext();
        else if (running.size === 0) {
          settle();
          reject(error);
        }
      },
    );
  }

  if (signal?.aborted) stop();
  else if (addresses.length === 0) reject(new UtError("io.resolve", "Cannot connect: the name has no address"));
  else {
    signal?.addEventListener("abort", stop, { once: true });
    tryNext();
  }
  return promise;
}
