import { lookup } from "node:dns/promises";
import { errorMessage, UtError } from "../core/error.ts";

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** RFC 8305 §5: the next address is tried when this much has passed without an answer from the one before. */
export const ATTEMPT_DELAY_MS = 250;

/** All addresses of a name, families interleaved with IPv6 first (RFC 8305 §4). Throws `io.resolve`. */
export async function resolveAll(host: string): Promise<ResolvedAddress[]> {
  try {
    return interleave(await lookup(host, { all: true, verbatim: true }));
  } catch (cause) {
    throw new UtError(
      "io.resolve",
      `Cannot resolve "${host}": ${errorMessage(cause)}; check the name in tcp.server_addr and this machine's DNS`,
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

/**
 * Try `addresses` in their order, each `ATTEMPT_DELAY_MS` after the one before or at once when that one failed; the
 * first to succeed wins and the signal given to the others is aborted. Rejects with the last error when all failed.
 */
export function race<T>(
  addresses: readonly ResolvedAddress[],
  attempt: (address: ResolvedAddress, abandoned: AbortSignal) => Promise<T>,
  delayMs = ATTEMPT_DELAY_MS,
): Promise<T> {
  const controllers = addresses.map(() => new AbortController());
  return new Promise<T>((resolve, reject) => {
    let started = 0;
    let failed = 0;
    let timer: Timer | undefined;
    const startNext = () => {
      clearTimeout(timer);
      const index = started++;
      const address = addresses[index];
      const controller = controllers[index];
      if (address === undefined || controller === undefined) return;
      timer = setTimeout(startNext, delayMs);
      attempt(address, controller.signal).then(
        (value) => {
          clearTimeout(timer);
          for (const other of controllers) if (other !== controller) other.abort();
          started = addresses.length;
          resolve(value);
        },
        (error: unknown) => {
          failed++;
          if (failed === addresses.length) {
            clearTimeout(timer);
            reject(error);
          } else if (started < addresses.length) startNext();
        },
      );
    };
    if (addresses.length === 0) reject(new UtError("io.resolve", "Cannot connect: the name has no address"));
    else startNext();
  });
}
