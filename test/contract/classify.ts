import { NatClassifier } from "../../src/core/nat/classifier.ts";
import { CLASSIFIER_SOCKETS, type ClassifierOptions, type StunServer } from "../../src/core/nat/classifier-options.ts";
import type { NatReport } from "../../src/core/nat/nat-report.ts";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import { StunServer as StunServerMachine } from "../../src/core/stun/server.ts";
import { Random } from "../random.ts";
import { NATS, type NatName } from "./nat-spec.ts";
import { CARRIERS, type Carrier, type Servers } from "./verdicts.ts";
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

/** Servers that run; disposal stops them. */
export interface StartedServers extends Disposable {
  /** What the client is configured with. */
  readonly list: readonly StunServer[];
}

/** Starts the servers of a kind on their hosts. */
export async function startServers(world: World, servers: Servers): Promise<StartedServers> {
  const list: StunServer[] = [];
  const running = new DisposableStack();
  for (const { host, sockets } of placesOf(servers)) {
    const server = await world.start(host, sockets, (local) => new StunServerMachine({ sockets: local }));
    running.defer(() => server.stop());
    list.push(configured(sockets[0] as Endpoint));
  }
  return { list, [Symbol.dispose]: () => running.dispose() };
}

function placesOf(servers: Servers): { host: HostName; sockets: readonly Endpoint[] }[] {
  switch (servers) {
    case "rfc5780":
      return [{ host: "stun", sockets: RFC_5780_ENDPOINTS }];
    case "one-address":
      return [{ host: "stun", sockets: RFC_5780_ENDPOINTS.filter(({ address }) => address === ADDRESSES.stun) }];
    case "plain":
      return (["stun", "stunSecond", "peer"] as const).map((name) => ({
        host: name === "peer" ? "peer" : "stun",
        sockets: [{ address: ADDRESSES[name], port: PORTS[0] }],
      }));
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
  host: "a1" | "a2" | "peer",
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

/** Asks these servers on the map of a row. */
export async function classifyRow(
  world: World,
  { nat, carrier }: Omit<ClassifyRow, "servers">,
  servers: readonly StunServer[],
): Promise<NatReport> {
  return await classify(world, nat === "none" ? "peer" : "a1", {
    servers,
    ...(carrier !== undefined && { gatewayExternal: INSIDE_CARRIER }),
  });
}

export function mapOf({ nat, carrier }: Omit<ClassifyRow, "servers">): MapSpec {
  return { a: nat === "none" ? "full-cone" : nat, ...(carrier !== undefined && { carrier }) };
}
