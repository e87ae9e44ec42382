import { expect, test } from "bun:test";
import { judgeLayers, type LayerEvidence } from "../../../../src/core/nat/layers.ts";

const HOME = { mapped: "198.51.100.2", translated: true, interfaceAddresses: ["10.1.0.11"] };

test.each<[string, LayerEvidence, ReturnType<typeof judgeLayers>]>([
  ["own address outside", { ...HOME, translated: false }, "none"],
  ["nothing is known of the gateway", HOME, null],
  ["the gateway has the outside address", { ...HOME, gatewayExternal: "198.51.100.2" }, "one"],
  ["the gateway has a carrier's address", { ...HOME, gatewayExternal: "100.64.0.2" }, "two-or-more"],
  ["the gateway has a private address", { ...HOME, gatewayExternal: "192.168.178.20" }, "two-or-more"],
  ["the gateway has another public address", { ...HOME, gatewayExternal: "198.51.100.77" }, null],
  ["a carrier's customer without a router", { ...HOME, interfaceAddresses: ["127.0.0.1", "100.70.1.2"] }, "carrier"],
  ["a home, and an overlay network", { ...HOME, interfaceAddresses: ["10.1.0.11", "100.70.1.2"] }, null],
  ["IPv6 beside a carrier's address", { ...HOME, interfaceAddresses: ["100.70.1.2", "2001:db8::1"] }, "carrier"],
])("%s", (_, evidence, expected) => expect(judgeLayers(evidence)).toBe(expected));
