import type { Endpoint } from "./pulse.ts";

/**
 * What carries UDP from the client's host to the server's host. Everything a test or a benchmark does to `ut` it can do
 * to a bare network path as well, so that both are judged by the same hands.
 */
export interface Tunnel extends AsyncDisposable {
  /** Where a program on the client's host sends its datagrams. */
  readonly entry: Endpoint;
  /** Where the far program, on the server's host, must listen. */
  readonly exit: Endpoint;
  observe(): Promise<TunnelReading>;
}

/** One reading of a tunnel's two processes; zeros and nothing for a path that has none. */
export interface TunnelReading {
  client: ProcessReading;
  server: ProcessReading;
}

export interface ProcessReading {
  cpuSeconds: number;
  rssMiB: number;
  /** Every sample of its /metrics page, by `name{labels}` as written there. */
  metrics: Record<string, number>;
}

export const NOTHING_READ: ProcessReading = { cpuSeconds: 0, rssMiB: 0, metrics: {} };

/** Straight UDP: the far program is reached at its own address. */
export function straightUdp(far: Endpoint): Tunnel {
  return {
    entry: far,
    exit: far,
    observe: async () => ({ client: NOTHING_READ, server: NOTHING_READ }),
    async [Symbol.asyncDispose]() {},
  };
}
