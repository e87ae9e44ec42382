import type { PortMappingEvent } from "../../app/nat/port-mapping.ts";
import { UtError } from "../../core/error.ts";
import { formatEndpoint } from "../../core/net/endpoint.ts";
import type { ProtocolFailure } from "../../core/portmap/mapper-event.ts";
import { unlessAborted } from "../../io/unless-aborted.ts";
import type { AddCall } from "./nat-map.ts";
import { adviceFor, formatFailures, formatMapEvent, formatPort } from "./nat-map-view.ts";

const EXIT_INTERRUPTED = 130;

/** `ut nat map add`: holds the mapping until the signal, or with `once` leaves it to its lease. */
export async function addMapping(call: AddCall): Promise<number> {
  const { terminal, surroundings, once } = call;
  const owner = await surroundings.mappingOwner();
  if (owner.problem !== undefined)
    terminal.err(
      `ut: this mapping cannot be changed by another run of ut, as its secret cannot be kept: ${owner.problem}`,
    );
  /** What became of the first race: undefined when there is a mapping. */
  const first = Promise.withResolvers<readonly ProtocolFailure[] | undefined>();
  let isMapped = false;
  const mapping = await surroundings.openPortMapping({
    gateway: call.gateway,
    owner,
    protocols: call.protocols,
    transport: call.transport,
    internalPort: call.port,
    externalPort: call.externalPort,
    leaseSeconds: call.leaseSeconds,
    onEvent(event) {
      if (event.type === "installed" || event.type === "behind-nat") {
        isMapped = true;
        first.resolve(undefined);
      }
      if (event.type === "unavailable") first.resolve(event.failures);
      // Without a mapping there is nothing whose end were worth a word.
      if (isMapped || event.type === "asking" || event.type === "refused") tell(call, event);
    },
  });
  await using _ = mapping;
  await unlessAborted(first.promise, terminal.signal);
  if (terminal.signal.aborted && !isMapped) return EXIT_INTERRUPTED;
  const failures = await first.promise;
  if (failures !== undefined) throw unavailable(call, failures);
  if (once) mapping.leave();
  else {
    if (!call.json) terminal.out("renewed until Ctrl-C, which removes it");
    await unlessAborted(new Promise(() => {}), terminal.signal);
  }
  return 0;
}

function tell(call: AddCall, event: PortMappingEvent): void {
  const text = call.json ? JSON.stringify(jsonOf(event)) : formatMapEvent(event, call);
  if (text !== undefined) call.terminal.out(text);
}

function jsonOf(event: PortMappingEvent): Record<string, unknown> {
  switch (event.type) {
    case "installed":
    case "renewed":
    case "replaced":
    case "behind-nat":
      return {
        type: event.type,
        protocol: event.protocol,
        external: formatEndpoint(event.external),
        // Without an end there is no number for it.
        lease_seconds: Number.isFinite(event.leaseSeconds) ? event.leaseSeconds : null,
      };
    case "revoked":
      return { ...event, external: formatEndpoint(event.external) };
    case "unavailable":
      return { type: event.type, failures: event.failures, retry_ms: Math.round(event.retryMs) };
    case "asking":
    case "refused":
    case "renewal-failed":
    case "abandoned":
    case "stopped":
      return { ...event };
    default:
      return event satisfies never;
  }
}

function unavailable(call: AddCall, failures: readonly ProtocolFailure[]): UtError {
  const what = `Cannot map ${formatPort(call)} at the gateway ${call.gateway.address}`;
  return new UtError(
    "port-map-unavailable",
    `${what}:\n${formatFailures(failures, adviceFor(failures, call.gateway))}`,
    {
      details: { gateway: call.gateway.address, failures },
    },
  );
}
