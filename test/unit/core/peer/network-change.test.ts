import { expect, test } from "bun:test";
import { isOtherInfo, networkChange } from "../../../../src/core/peer/network-change.ts";
import type { PeerNetwork } from "../../../../src/core/peer/peer-options.ts";
import type { PeerInfo } from "../../../../src/core/wire/signal.ts";

const at = (address: string, port = 5_000) => ({ address, port });
const HOME: PeerNetwork = {
  nat: { type: "cone", filtering: null },
  reflex: at("198.51.100.2"),
  gathered: { hosts: [{ endpoint: at("10.1.0.2"), socket: 0 }], reflexive: [] },
  isPortMapped: false,
};

test.each([
  ["the same", {}, "none"],
  ["another port outside", { reflex: at("198.51.100.2", 6_000) }, "none"],
  [
    "another reflexive candidate",
    { gathered: { ...HOME.gathered, reflexive: [{ endpoint: at("198.51.100.2"), socket: 0, via: "stun" }] } },
    "none",
  ],
  ["another address outside", { reflex: at("198.51.100.3") }, "changed"],
  ["another NAT", { nat: { type: "symmetric", filtering: null } }, "changed"],
  ["a port mapping", { isPortMapped: true }, "changed"],
  [
    "another address of this host",
    { gathered: { hosts: [{ endpoint: at("10.9.0.2"), socket: 0 }], reflexive: [] } },
    "elsewhere",
  ],
] as const)("%s", (_name, change, expected) => {
  expect(networkChange(HOME, { ...HOME, ...change })).toBe(expected);
});

test.each([
  ["the same", {}, false],
  ["another port outside", { reflex: at("198.51.100.2", 6_000) }, false],
  ["another address outside", { reflex: at("198.51.100.3") }, true],
  ["another NAT", { nat: "symmetric" }, true],
  ["another filtering", { filtering: "address-dependent" }, true],
  ["a port mapping", { caps: ["direct", "port-mapped"] }, true],
] as [string, Partial<PeerInfo>, boolean][])("what another end says: %s", (_name, change, expected) => {
  const before: PeerInfo = { nat: "cone", filtering: null, reflex: at("198.51.100.2"), caps: ["direct"] };
  expect(isOtherInfo(before, { ...before, ...change })).toBe(expected);
});
