import { expect, test } from "bun:test";
import { hostEndpoints } from "../../../../src/app/nat/nat-view.ts";
import { peerNetwork } from "../../../../src/app/peers/peer-network.ts";

const mapped = { address: "198.51.100.2", port: 40_000 };

test("hosts of both families by their sockets; what NATs and routers say is about the first", () => {
  const hosts = [
    ...hostEndpoints({ address: "0.0.0.0", port: 5_000 }, ["10.0.0.5", "192.168.1.5"], 0),
    ...hostEndpoints({ address: "::", port: 6_000 }, ["2001:db8::5"], 1),
  ];
  const network = peerNetwork({
    locals: [
      { address: "0.0.0.0", port: 5_000 },
      { address: "::", port: 6_000 },
    ],
    hosts,
    nat: { type: "symmetric", filtering: null },
    mapped,
    reflex: null,
    portMapping: undefined,
  });
  expect(network).toEqual({
    nat: { type: "symmetric", filtering: null },
    reflex: undefined,
    gathered: {
      hosts: [
        { endpoint: { address: "10.0.0.5", port: 5_000 }, socket: 0 },
        { endpoint: { address: "192.168.1.5", port: 5_000 }, socket: 0 },
        { endpoint: { address: "2001:db8::5", port: 6_000 }, socket: 1 },
      ],
      reflexive: [{ endpoint: mapped, socket: 0, via: "stun" }],
    },
    isPortMapped: false,
  });
});

test("a socket that is bound to one address is reachable at no other", () =>
  expect(hostEndpoints({ address: "::1", port: 9 }, ["2001:db8::5", "::1"], 1)).toEqual([
    { endpoint: { address: "::1", port: 9 }, socket: 1 },
  ]));
