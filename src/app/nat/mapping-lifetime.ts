import { randomBytes } from "node:crypto";
import { LIFETIME_SOCKETS, type LifetimeEvent, MappingLifetime } from "../../core/nat/lifetime.ts";
import { lifetimePath } from "../../core/nat/lifetime-path.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import { ipFamily } from "../../core/net/ip.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { openFan } from "../../io/udp/udp-fan.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";

/** What is known of it so far, in milliseconds of silence. */
export type Lifetime = Pick<LifetimeEvent, "atLeastMs" | "atMostMs">;

/**
 * How long the NAT of a report remembers a mapping that is silent; takes minutes, 15 at most. Ends with what is known
 * when `signal` fires. Undefined where this NAT, or its servers, leave no way to measure it, or nothing was learned.
 * Rejects with `io.bind`.
 */
export async function measureLifetime(
  report: NatReport,
  signal: AbortSignal,
  onProgress: (known: Lifetime) => void,
): Promise<Lifetime | undefined> {
  const path = lifetimePath(report);
  if (path === undefined) return undefined;
  const address = ipFamily(path.server.address) === 4 ? "0.0.0.0" : "::";
  using fan = await openFan(Array.from({ length: LIFETIME_SOCKETS }, () => ({ address })));
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const ended = Promise.withResolvers<void>();
  let known: Lifetime | undefined;
  using _driven = drive(new MappingLifetime({ now: now(), random, path }), fan, (event) => {
    const { atLeastMs, atMostMs, final } = event;
    if (atLeastMs > 0 || atMostMs !== undefined) known = { atLeastMs, ...(atMostMs !== undefined && { atMostMs }) };
    if (final) ended.resolve();
    else if (known !== undefined) onProgress(known);
  });
  await unlessAborted(ended.promise, signal);
  return known;
}
