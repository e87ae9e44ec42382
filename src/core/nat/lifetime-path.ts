import type { Endpoint } from "../net/endpoint.ts";
import type { NatReport, ServerReport } from "./nat-report.ts";

/** How a mapping's lifetime can be seen: with `via`, by what is let in; without, by the outside port. */
export interface LifetimePath {
  readonly server: Endpoint;
  /** The server's other endpoint, which the NAT tells from the first one. */
  readonly via?: Endpoint;
}

/**
 * The way to measure that this NAT allows; undefined where there is none, as with a full cone that keeps ports: nothing
 * but RESPONSE-PORT (RFC 5780 §4.6) shows whether that one still remembers, and hardly a server takes it.
 */
export function lifetimePath({ type, filtering, ports, servers }: NatReport): LifetimePath | undefined {
  const answered = servers.filter(({ outcome }) => outcome.kind === "answered");
  if (type !== "cone" && type !== "symmetric") return undefined;
  if (type === "cone") {
    for (const { endpoint, otherAddress } of answered) {
      if (endpoint === null || otherAddress === null) continue;
      const isElsewhere = endpoint.address !== otherAddress.address;
      if (filtering === "address-and-port-dependent" || (filtering === "address-dependent" && isElsewhere))
        return { server: endpoint, via: otherAddress };
    }
  }
  const server = answered.map((one: ServerReport) => one.endpoint).find((endpoint) => endpoint !== null);
  const isKept = ports === null || ports.kind === "preserved";
  return server === undefined || server === null || isKept ? undefined : { server };
}
