import type { Removal } from "../../app/nat/gateway-errands.ts";
import { UtError } from "../../core/error.ts";
import type { PortCall } from "./nat-map.ts";
import { formatFailures, formatPort, PROTOCOL_NAMES } from "./nat-map-view.ts";

/** `ut nat map remove`; throws `port-map-unavailable` when the gateway removed nothing, or says that something is left. */
export async function removeMapping(call: PortCall): Promise<number> {
  const { terminal, json, gateway, transport, port, protocols } = call;
  if (!json) terminal.out(`asking ${gateway.address} to remove the mappings of ${formatPort(call)}`);
  const owner = await call.surroundings.mappingOwner();
  const removals = await call.surroundings.removeGatewayMappings({
    gateway,
    owner,
    transport,
    internalPort: port,
    protocols,
  });
  const failures = removals.flatMap((removal) => (removal.type === "failed" ? [removal] : []));
  // Who does not speak a protocol holds nothing by it.
  const refusals = failures.filter(({ kind }) => kind !== "no-answer" && kind !== "unsupported");
  const isGone = failures.length < removals.length && refusals.length === 0;
  if (json) terminal.out(JSON.stringify({ gateway: gateway.address, transport, port, removed: isGone, removals }));
  else for (const removal of removals) terminal.out(`  ${formatRemoval(removal)}`);
  if (isGone) return 0;
  throw new UtError(
    "port-map-unavailable",
    `Cannot remove all mappings of ${formatPort(call)} from ${gateway.address}:\n${formatFailures(failures, adviceFor(failures))}`,
    { details: { gateway: gateway.address, removals } },
  );
}

function adviceFor(failures: readonly { readonly kind: string }[]): string {
  if (failures.some(({ kind }) => kind === "not-authorized"))
    return "another user or program made it, and PCP lets nobody else remove it: look there, or wait for the end of the lease";
  return "look at the gateway's own page, or wait for the end of the lease";
}

function formatRemoval(removal: Removal): string {
  const name = PROTOCOL_NAMES[removal.protocol];
  if (removal.type === "failed") return `${name}: ${removal.message}`;
  if (removal.protocol !== "upnp") return `${name}: the gateway holds none any more`;
  const { externalPorts } = removal;
  return externalPorts.length === 0
    ? `${name}: none left`
    : `${name}: removed external port ${externalPorts.join(", ")}`;
}
