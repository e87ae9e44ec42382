import { UtError } from "../../core/error.ts";
import type { GatewayMapping } from "../../core/portmap/protocol.ts";
import type { Listing } from "../../core/portmap/upnp-listing.ts";
import { formatTable } from "../table.ts";
import type { MapCall } from "./nat-map.ts";
import { formatSpan } from "./nat-map-view.ts";

/** `ut nat map`: what the gateway says that it forwards. Throws `port-map-unavailable` when it cannot say. */
export async function listMappings(call: MapCall): Promise<number> {
  const { gateway, terminal, json } = call;
  if (!json) terminal.out(`asking ${gateway.address} by UPnP`);
  const listing = await call.surroundings.listGatewayMappings(gateway);
  if (listing.type === "failed")
    throw new UtError(
      "port-map-unavailable",
      `Cannot list the port mappings of ${gateway.address}:
  UPnP: ${listing.message}
  PCP, NAT-PMP: have no way to list
Next: look at the gateway's own page; "ut nat map add PORT" shows whether it maps ports at all`,
      { details: { gateway: gateway.address, kind: listing.kind } },
    );
  terminal.out(json ? JSON.stringify(jsonOf(call, listing)) : format(call, listing));
  return 0;
}

function jsonOf({ gateway }: MapCall, { externalAddress, mappings, isComplete }: Listing): Record<string, unknown> {
  return {
    gateway: gateway.address,
    local_address: gateway.localAddress,
    external_address: externalAddress ?? null,
    complete: isComplete,
    mappings: mappings.map((one) => ({
      transport: one.transport,
      external_port: one.externalPort,
      internal_address: one.internalAddress,
      internal_port: one.internalPort,
      enabled: one.enabled,
      lease_seconds: one.leaseSeconds === 0 ? null : one.leaseSeconds,
      description: one.description,
    })),
  };
}

function format({ gateway }: MapCall, { externalAddress, mappings, isComplete }: Listing): string {
  const address = externalAddress === undefined ? "no external address now" : `external address ${externalAddress}`;
  const head = `gateway ${gateway.address}, ${address}, ${mappings.length} ${mappings.length === 1 ? "mapping" : "mappings"}`;
  const rows = formatTable<GatewayMapping>(
    [
      { title: "external", cell: (one) => `${one.externalPort}/${one.transport}` },
      { title: "to", cell: (one) => `${one.internalAddress}:${one.internalPort}`, align: "left" },
      { title: "lease", cell: leaseOf },
      { title: "description", cell: (one) => one.description, align: "left" },
    ],
    mappings,
  );
  const table = mappings.length === 0 ? [] : rows;
  const more = isComplete ? [] : ["there are more, which it did not tell"];
  return [head, ...table, ...more, "told by UPnP; PCP and NAT-PMP cannot list, but most gateways keep one table"].join(
    "\n",
  );
}

function leaseOf({ enabled, leaseSeconds }: GatewayMapping): string {
  if (!enabled) return "off";
  return leaseSeconds === 0 ? "no end" : formatSpan(leaseSeconds);
}
