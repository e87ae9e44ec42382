import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { UtError } from "../../core/error.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import { StunServer } from "../../core/stun/server.ts";
import type { StunStatus } from "../../core/tunnel/status.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { debounced, type Log } from "../../io/log/log.ts";
import { joinSockets, type Sockets } from "../../io/udp/shared-fan.ts";
import { openFan } from "../../io/udp/udp-fan.ts";

const LOG_INTERVAL_MS = 5_000;

/** Who is recognised when they ask, and who hears of it (`StunServer`). */
export interface StunUsers {
  passwordOf(username: string): string | undefined;
  observed(username: string, from: Endpoint): void;
}

export interface StunService extends Disposable {
  /** Of the first socket, as it is reached from outside. */
  readonly port: number;
  status(): StunStatus;
}

/**
 * Answers STUN on every address of `listen` that can be had. Undefined when there is none: an address that is taken is a
 * warning and no more, since the tunnel needs no STUN.
 */
export async function startStunService(
  { listen, public_addrs }: Config["server"]["stun"],
  log: Log,
  users: StunUsers = NOBODY,
): Promise<StunService | undefined> {
  using opening = new DisposableStack();
  const outside: Endpoint[] = [];
  const listening: string[] = [];
  let sockets: Sockets | undefined;
  for (const [index, { host, port }] of listen.entries()) {
    const fan = await openFan([{ address: host, port }]).catch((error: unknown) => {
      if (!(error instanceof UtError) || error.kind !== "io.bind") throw error;
      log.warn("stun_bind_fail", { listen: formatAddress({ host, port }), err: error });
    });
    const local = fan?.local[0];
    if (fan === undefined || local === undefined) continue;
    opening.use(fan);
    sockets = sockets === undefined ? fan : joinSockets(sockets, outside.length, fan);
    outside.push(public_addrs[index] ?? local);
    listening.push(formatEndpoint(local));
  }
  if (sockets === undefined) return undefined;

  const secret = crypto.getRandomValues(new Uint8Array(32));
  const passwordOf = (username: string) => users.passwordOf(username);
  const server = new StunServer({ sockets: outside, users: { passwordOf, secret } });
  const misuse = debounced(log, LOG_INTERVAL_MS, now);
  opening.use(
    drive(server, sockets, (event) => {
      if (event.type === "observed") users.observed(event.username, event.from);
      else
        misuse.warn("stun_limited", { remote: formatEndpoint(event.from), rate_limited: server.counters.rateLimited });
    }),
  );
  opening.defer(() => misuse.flush());
  const open = opening.move();
  return {
    port: outside[0]?.port ?? 0,
    status: () => ({ listen: listening, counters: { ...server.counters } }),
    [Symbol.dispose]: () => open[Symbol.dispose](),
  };
}

const NOBODY: StunUsers = { passwordOf: () => undefined, observed: () => {} };
