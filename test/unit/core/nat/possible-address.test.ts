import { expect, test } from "bun:test";
import { isPossible } from "../../../../src/core/nat/possible-address.ts";

const SERVER = { address: "203.0.113.10", port: 3_478 };
const HOME = { address: "192.168.1.1", port: 3_478 };

test.each([
  ["another public address", { address: "198.51.100.2", port: 40_000 }, SERVER, true],
  ["a public one, said at home", { address: "198.51.100.2", port: 40_000 }, HOME, true],
  ["a private one, said at home", { address: "10.0.0.1", port: 1 }, HOME, true],
  ["a private one, said by a public server", { address: "10.0.0.1", port: 1 }, SERVER, false],
  ["this host", { address: "127.0.0.1", port: 53 }, SERVER, false],
  ["a whole network", { address: "224.0.0.1", port: 3_478 }, SERVER, false],
  ["everybody", { address: "255.255.255.255", port: 3_478 }, SERVER, false],
  ["nobody", { address: "0.0.0.0", port: 3_478 }, SERVER, false],
  ["no port", { address: "198.51.100.2", port: 0 }, SERVER, false],
  ["the other family", { address: "2001:db8::1", port: 3_478 }, SERVER, false],
] as const)("%s", (_, address, from, possible) => expect(isPossible(address, from)).toBe(possible));
