import type { Address } from "../../config/address.ts";
import type { NatEvent, StunServer } from "../../core/nat/classifier-options.ts";
import { judgeLayers } from "../../core/nat/layers.ts";
import type { NatReport } from "../../core/nat/nat-report.ts";
import type { Endpoint } from "../../core/net/endpoint.ts";
import type { PortMapProtocol } from "../../core/portmap/protocol.ts";
import { now } from "../../io/clock.ts";
import type { DefaultGateway } from "../../io/system/default-gateway.ts";
import { localAddressTowards } from "../../io/system/interfaces.ts";
import { networkView } from "../../io/system/network-view.ts";
import { openFan } from "../../io/udp/udp-fan.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import { askGateway } from "./gateway-errands.ts";
import { checkNat } from "./nat-check.ts";
import { resolveStunServers } from "./stun-servers.ts";

/** A person waits for five seconds, of which the program's own start takes some. */
export const SURVEY_MS = 4_500;

export interface NatSurveyOptions {
  readonly servers: readonly Address[];
  readonly family: 4 | 6;
  /** The UDP port under test; 0 takes any free one. */
  readonly port: number;
  readonly signal: AbortSignal;
}

/** For progress: `asking` when the names are looked up and the first datagrams leave. */
export type NatSurveyStep = { readonly type: "asking" } | Exclude<NatEvent, { type: "report" }>;

/** Plain data, fit for JSON: the report, and the way out as this host knows it. */
export interface NatSurvey extends NatReport {
  /** The port under test, at the address that its datagrams leave from; null without a route to any server. */
  readonly local: Endpoint | null;
  /** The IPv4 default gateway; null without one, or where the servers are not behind it. */
  readonly gateway: SurveyedGateway | null;
}

export interface SurveyedGateway {
  readonly address: string;
  /** By which it may map ports; null when it was not asked. */
  readonly protocols: readonly PortMapProtocol[] | null;
  /** Its address outside, if it told one. */
  readonly externalAddress: string | null;
}

/**
 * What stands between this host and the internet: names looked up, servers and gateway asked at the same time, within
 * `SURVEY_MS` in all. Rejects with `io.bind` when there is no such socket, or with the signal's reason.
 */
export async function surveyNat(
  { servers, family, port, signal }: NatSurveyOptions,
  onStep: (step: NatSurveyStep) => void,
): Promise<NatSurvey> {
  const deadline = now() + SURVEY_MS;
  using fan = await openFan([{ address: family === 4 ? "0.0.0.0" : "::", port }]);
  // Invariant: it was opened with one socket.
  const tested = fan.local[0] as Endpoint;
  const resolving = resolveStunServers(servers, { family });
  await unlessAborted(resolving, signal);
  signal.throwIfAborted();
  const { routed, source, hasNoRoute } = await withRoutes(await resolving);
  const view = await networkView(family);
  // Through a VPN the servers are not behind the gateway, and what that says of itself is about another way out.
  const gateway = view.gateway?.localAddress === source ? view.gateway : undefined;
  onStep({ type: "asking" });
  const [report, surveyed] = await Promise.all([
    checkNat({
      servers: routed,
      tested: fan,
      local: tested,
      interfaceAddresses: view.addresses,
      deadlineMs: deadline - now(),
      onEvent: onStep,
      signal,
    }),
    surveyGateway(gateway, deadline - now()),
  ]);
  return {
    ...report,
    layers: layersOf(report, view.addresses, surveyed),
    reasons: hasNoRoute ? ["no-route"] : report.reasons,
    local: source === undefined ? null : { address: source, port: tested.port },
    gateway: surveyed,
  };
}

interface Routed {
  readonly routed: readonly StunServer[];
  /** This host's address towards them; undefined when no datagram would get to any of them. */
  readonly source: string | undefined;
  readonly hasNoRoute: boolean;
}

/** A server without a route is not asked: that nothing comes back from there says nothing of a NAT. */
async function withRoutes(servers: readonly StunServer[]): Promise<Routed> {
  const sources = await Promise.all(servers.map(({ endpoint }) => endpoint && localAddressTowards(endpoint)));
  const routed = servers.map((server, index): StunServer => {
    if (server.endpoint === undefined || sources[index] !== undefined) return server;
    return { name: server.name, problem: `no route to ${server.endpoint.address}` };
  });
  const source = sources.find((one) => one !== undefined);
  return { routed, source, hasNoRoute: source === undefined && servers.some(({ endpoint }) => endpoint !== undefined) };
}

async function surveyGateway(gateway: DefaultGateway | undefined, limitMs: number): Promise<SurveyedGateway | null> {
  if (gateway === undefined) return null;
  const offer = await askGateway(gateway, limitMs).catch(() => undefined);
  return {
    address: gateway.address,
    protocols: offer?.protocols ?? null,
    externalAddress: offer?.externalAddress ?? null,
  };
}

/** The classifier judged without the gateway's word, which came meanwhile. */
function layersOf(
  { mapped, translated, layers }: NatReport,
  interfaceAddresses: readonly string[],
  gateway: SurveyedGateway | null,
): NatReport["layers"] {
  if (mapped === null || translated === null || !gateway?.externalAddress) return layers;
  const gatewayExternal = gateway.externalAddress;
  return judgeLayers({ mapped: mapped.address, translated, interfaceAddresses, gatewayExternal });
}
