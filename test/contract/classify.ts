import { describe, expect, test } from "bun:test";
import { NatClassifier } from "../../src/core/nat/classifier.ts";
import { CLASSIFIER_SOCKETS, type ClassifierOptions, type StunServer } from "../../src/core/nat/classifier-options.ts";
import type { NatReport } from "../../src/core/nat/nat-report.ts";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import { StunServer as StunServerMachine } from "../../src/core/stun/server.ts";
import { Random } from "../random.ts";
import { NATS, type NatName } from "./nat-spec.ts";
import { CARRIERS, type Carrier, expectedVerdict, type Servers, verdictOf } from "./verdicts.ts";
import { ADDRESSES, type Bind, type HostName, type MapSpec, type World } from "./world.ts";

const PORTS = [3_478, 3_479] as const;
/** All servers silent: the report is due at the deadline, the rest is for a crowded machine. */
const LIMIT_MS = 10_000;
/** What the router of a home says of itself, in front of a carrier's NAT. */
const INSIDE_CARRIER = "100.64.0.2";

export const RFC_5780_ENDPOINTS = [ADDRESSES.stun, ADDRESSES.stunSecond].flatMap((address) =>
  PORTS.map((port) => ({ address, port })),
);

/** One row: a NAT, perhaps a carrier's in front of it, and who is asked. */
export interface ClassifyRow {
  readonly nat: NatName | "none";
  readonly carrier?: Carrier;
  readonly servers: Servers;
}

/** Every NAT with and without every carrier, and no NAT at all, with each kind of servers. */
export const CLASSIFY_ROWS: readonly ClassifyRow[] = (["rfc5780", "one-address", "plain"] as const).flatMap(
  (servers) => [
    { nat: "none", servers },
    ...(Object.keys(NATS) as NatName[]).flatMap((nat) => [
      { nat, servers },
      ...CARRIERS.map((carrier) => ({ nat, carrier, servers })),
    ]),
  ],
);

/** Starts the servers of a kind on their hosts; what the client is configured with. */
export async function startServers(world: World, servers: Servers): Promise<StunServer[]> {
  const start = async (host: HostName, sockets: readonly Endpoint[]): Promise<StunServer> => {
    await world.start(host, sockets, (local) => new StunServerMachine({ sockets: local }));
    return configured(sockets[0] as Endpoint);
  };
  const at = (address: string) => PORTS.map((port) => ({ address, port }));
  switch (servers) {
    case "rfc5780":
      return [await start("stun", RFC_5780_ENDPOINTS)];
    case "one-address":
      return [await start("stun", at(ADDRESSES.stun))];
    case "plain":
      return [
        await start("stun", at(ADDRESSES.stun).slice(0, 1)),
        await start("stun", at(ADDRESSES.stunSecond).slice(0, 1)),
        await start("peer", at(ADDRESSES.peer).slice(0, 1)),
      ];
    default:
      return servers satisfies never;
  }
}

export function configured(endpoint: Endpoint): StunServer {
  return { name: formatEndpoint(endpoint), endpoint };
}

/** Runs a classifier on a host of the map until it reports. */
export async function classify(
  world: World,
  host: "a1" | "peer",
  options: Pick<ClassifierOptions, "servers" | "gatewayExternal" | "deadlineMs">,
  seed = 1,
): Promise<NatReport> {
  const random = new Random(seed);
  const binds: Bind[] = Array.from({ length: CLASSIFIER_SOCKETS }, () => ({}));
  const running = await world.start(
    host,
    binds,
    (sockets, now) =>
      new NatClassifier({
        ...options,
        now,
        sockets,
        random: (length) => random.bytes(length),
        interfaceAddresses: [ADDRESSES[host]],
      }),
  );
  await world.until(() => running.events.at(-1)?.type === "report", LIMIT_MS);
  running.stop();
  const last = running.events.at(-1);
  if (last?.type !== "report") throw new Error(`No report within ${LIMIT_MS} ms, seed ${seed}`);
  return last.report;
}

/** What is asked of a row's world. `startServers` may be another laboratory's own servers. */
export async function classifyRow(world: World, row: ClassifyRow, start = startServers): Promise<NatReport> {
  const servers = await start(world, row.servers);
  return await classify(world, row.nat === "none" ? "peer" : "a1", {
    servers,
    ...(row.carrier !== undefined && { gatewayExternal: INSIDE_CARRIER }),
  });
}

export function mapOf({ nat, carrier }: ClassifyRow): MapSpec {
  return { a: nat === "none" ? "full-cone" : nat, ...(carrier !== undefined && { carrier }) };
}

/** The contract of the classifier: what it says in a laboratory is what was written down by hand. */
export function classifyContract(
  laboratory: string,
  rows: readonly ClassifyRow[],
  openWorld: (map: MapSpec) => Promise<World>,
  start = startServers,
): void {
  describe(`classification, ${laboratory}`, () => {
    for (const row of rows)
      test.concurrent(
        [row.nat, row.carrier && `behind ${row.carrier}`, `with ${row.servers} servers`].filter(Boolean).join(" "),
        async () => {
          await using world = await openWorld(mapOf(row));
          const report = await classifyRow(world, row, start);
          expect(verdictOf(report)).toEqual(expectedVerdict(row.nat, row.carrier, row.servers));
        },
        6 * LIMIT_MS,
      );
  });
}
