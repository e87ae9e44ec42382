import { expect, test } from "bun:test";
import type { Transmit } from "../../../../src/core/machine.ts";
import { OutsideProbe, PROBE_SOCKETS, type Reach } from "../../../../src/core/nat/outside-probe.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../../../src/core/net/endpoint.ts";
import { StunServer } from "../../../../src/core/stun/server.ts";
import type { Instant } from "../../../../src/core/time.ts";
import { Random } from "../../../random.ts";

const MAPPED = { address: "198.51.100.2", port: 40_000 };
const CONTROL = { address: "198.51.100.2", port: 40_001 };
const TWO_PORTS = [
  { address: "203.0.113.10", port: 3478 },
  { address: "203.0.113.10", port: 3479 },
];
const TWO_ADDRESSES = [...TWO_PORTS, { address: "203.0.113.11", port: 3478 }, { address: "203.0.113.11", port: 3479 }];
const ONE_PORT = [{ address: "203.0.113.20", port: 3478 }];

interface Scene {
  /** Of each STUN server; the first socket is the one that is asked. */
  readonly servers: readonly (readonly Endpoint[])[];
  /** What the gateway claims; what is true unless told. */
  readonly external?: Endpoint;
  /** Whom the NAT lets in to a socket that was never sent to: everybody, or nobody. */
  readonly mapped: "all" | "none";
  readonly control: "all" | "none";
  /** True for datagrams, counted from the first, that get lost. */
  readonly loses?: (count: number) => boolean;
}

/** Plays a probe against real STUN servers through a port-restricted NAT with one mapped port. No time passes but its own. */
function play(scene: Scene): { verdict: Reach; ms: number } {
  const random = new Random(1);
  const servers = scene.servers.map((sockets) => ({ sockets, machine: new StunServer({ sockets }) }));
  let now: Instant = 5_000;
  const probe = new OutsideProbe({
    now,
    random: (length) => random.bytes(length),
    servers: scene.servers.flatMap(([first]) => first ?? []),
    external: scene.external ?? MAPPED,
  });
  const contacted = new Set<string>();
  let count = 0;

  function outward({ socket, to, payload }: Transmit): void {
    const from = socket === PROBE_SOCKETS.mapped ? MAPPED : CONTROL;
    contacted.add(`${socket} ${formatEndpoint(to)}`);
    for (const { sockets, machine } of servers) {
      const index = sockets.findIndex((one) => sameEndpoint(one, to));
      if (index === -1 || scene.loses?.(count++)) continue;
      machine.handleDatagram(now, { socket: index, from, payload });
      for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit())
        inward(sockets[next.socket] as Endpoint, next);
    }
  }

  function inward(from: Endpoint, { to, payload }: Transmit): void {
    const socket = sameEndpoint(to, MAPPED) ? PROBE_SOCKETS.mapped : PROBE_SOCKETS.control;
    const rule = socket === PROBE_SOCKETS.mapped ? scene.mapped : scene.control;
    if (rule === "all" || contacted.has(`${socket} ${formatEndpoint(from)}`))
      probe.handleDatagram(now, { socket, from, payload });
  }

  for (;;) {
    for (let next = probe.pollTransmit(); next !== undefined; next = probe.pollTransmit()) outward(next);
    const verdict = probe.pollEvent();
    if (verdict !== undefined) return { verdict, ms: now - 5_000 };
    now = probe.nextTimeout();
    expect(now).toBeLessThan(8_000);
    probe.handleTimeout(now);
  }
}

test("a mapping that lets in what the NAT keeps out is real", () => {
  for (const servers of [[TWO_PORTS], [TWO_ADDRESSES]])
    expect(play({ servers, mapped: "all", control: "none" })).toEqual({ verdict: "reached", ms: 1_250 });
});

test("a mapping that lets in nobody is none", () => {
  expect(play({ servers: [TWO_PORTS], mapped: "none", control: "none" })).toEqual({
    verdict: "not-reached",
    ms: 1_250,
  });
});

test("behind a NAT that lets in everybody nothing is proven", () => {
  expect(play({ servers: [TWO_PORTS], mapped: "all", control: "all" })).toEqual({ verdict: "unknown", ms: 0 });
});

test("nobody can look: a server with one port, none at all, a dead one, a gateway that claims another address", () => {
  const restricted = { mapped: "all", control: "none" } as const;
  expect(play({ ...restricted, servers: [ONE_PORT] })).toEqual({ verdict: "unknown", ms: 0 });
  expect(play({ ...restricted, servers: [] })).toEqual({ verdict: "unknown", ms: 0 });
  expect(play({ ...restricted, servers: [TWO_PORTS], loses: () => true })).toEqual({ verdict: "unknown", ms: 1_250 });
  const external = { address: "192.0.2.99", port: 40_000 };
  expect(play({ ...restricted, servers: [TWO_PORTS], external })).toEqual({ verdict: "unknown", ms: 0 });
});

test("one server that can look is enough, and what is lost is asked again", () => {
  const restricted = { mapped: "all", control: "none" } as const;
  const dead = [{ address: "203.0.113.66", port: 3478 }];
  const servers = [dead, ONE_PORT, TWO_PORTS];
  expect(play({ ...restricted, servers })).toEqual({ verdict: "reached", ms: 1_250 });
  expect(play({ ...restricted, servers: [TWO_PORTS], loses: (count) => count < 2 })).toEqual({
    verdict: "reached",
    ms: 1_500,
  });
});

test("an answer that was not asked for, or comes to the wrong socket, decides nothing", () => {
  const random = new Random(2);
  const probe = new OutsideProbe({
    now: 0,
    random: (length) => random.bytes(length),
    servers: [TWO_PORTS[0] as Endpoint],
    external: MAPPED,
  });
  for (let i = 0; i < 1_000; i++) {
    const from = TWO_ADDRESSES[i % 4] as Endpoint;
    probe.handleDatagram(1, { socket: i % 2, from, payload: random.bytes(random.below(80)) });
  }
  expect(probe.pollEvent()).toBeUndefined();
});
