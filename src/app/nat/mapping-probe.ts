import { randomBytes } from "node:crypto";
import { OutsideProbe, type Reach } from "../../core/nat/outside-probe.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import { now } from "../../io/clock.ts";
import { drive } from "../../io/drive.ts";
import { joinSockets, type Sockets } from "../../io/udp/shared-fan.ts";
import { openFan } from "../../io/udp/udp-fan.ts";

export interface MappingProbeOptions {
  readonly servers: readonly Endpoint[];
  /** The mapped port, and where it is bound. */
  readonly mapped: Sockets;
  readonly local: Endpoint;
  readonly external: Endpoint;
}

/** Has servers outside send to a mapped port; see `OutsideProbe`. Takes 2.5 s at most. Rejects with `io.bind`. */
export async function probeMapping({ servers, mapped, local, external }: MappingProbeOptions): Promise<Reach> {
  using control = await openFan([{ address: local.address }]);
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const probe = new OutsideProbe({ now: now(), random, servers, external });
  const { promise, resolve } = Promise.withResolvers<Reach>();
  using _driven = drive(probe, joinSockets(mapped, 1, control), resolve);
  return await promise;
}
