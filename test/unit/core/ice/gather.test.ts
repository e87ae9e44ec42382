import { describe, expect, test } from "bun:test";
import { candidatePriority } from "../../../../src/core/ice/candidate.ts";
import { type Gathered, gatherCandidates } from "../../../../src/core/ice/gather.ts";

const host = (address: string, socket = 0, port = 5_000) => ({ endpoint: { address, port }, socket });
const reflexive = (address: string, via: string, { port = 40_000, socket = 0 } = {}) => ({
  endpoint: { address, port },
  socket,
  via,
});
const gather = (gathered: Partial<Gathered>, includeLoopback = false) =>
  gatherCandidates({ hosts: [], reflexive: [], ...gathered }, { includeLoopback });
const addresses = (gathered: Partial<Gathered>, includeLoopback = false) =>
  gather(gathered, includeLoopback).map(({ endpoint }) => endpoint.address);

describe("candidates", () => {
  test("an interface's address and what STUN said, whole", () => {
    const base = { address: "10.1.0.11", port: 5_000 };
    const candidates = gather({ hosts: [host("10.1.0.11")], reflexive: [reflexive("198.51.100.2", "stun")] });
    expect(candidates).toEqual([
      {
        type: "host",
        foundation: expect.stringMatching(/^[0-9a-f]{12}$/),
        priority: candidatePriority("host", 65_535),
        endpoint: base,
        socket: 0,
        base,
      },
      {
        type: "srflx",
        foundation: expect.stringMatching(/^[0-9a-f]{12}$/),
        priority: candidatePriority("srflx", 65_535),
        endpoint: { address: "198.51.100.2", port: 40_000 },
        related: base,
        socket: 0,
        base,
      },
    ]);
  });

  test("each has a priority of its own, the first the highest", () => {
    const hosts = [host("10.0.0.1"), host("10.0.0.2"), host("2001:db8::1", 1)];
    const candidates = gather({ hosts, reflexive: [reflexive("203.0.113.1", "x"), reflexive("203.0.113.2", "y")] });
    const priorities = candidates.map(({ priority }) => priority);
    expect(priorities).toEqual([...new Set(priorities)].sort((one, other) => other - one));
  });

  test("what says the same is told once", () => {
    const hosts = [host("203.0.113.20"), host("203.0.113.20"), host("203.0.113.20", 1)];
    const said = [reflexive("203.0.113.20", "stun", { port: 5_000 }), reflexive("198.51.100.2", "pcp")];
    const again = reflexive("198.51.100.2", "stun");
    expect(gather({ hosts, reflexive: [...said, again] }).map((one) => [one.type, one.socket, one.base.port])).toEqual([
      ["host", 0, 5_000],
      ["host", 1, 5_000],
      ["srflx", 0, 5_000],
    ]);
  });

  test("loopback only if asked for; never what nobody can reach", () => {
    const hosts = ["127.0.0.1", "::1", "0.0.0.0", "::", "fe80::1", "224.0.0.1", "169.254.1.1", "10.0.0.1"].map((one) =>
      host(one),
    );
    expect(addresses({ hosts })).toEqual(["169.254.1.1", "10.0.0.1"]);
    expect(addresses({ hosts }, true)).toEqual(["::1", "127.0.0.1", "169.254.1.1", "10.0.0.1"]);
  });

  test("a reflexive address belongs to a host address of its socket and family, or is left out", () => {
    const hosts = [host("10.0.0.1", 0), host("2001:db8::1", 1)];
    const said = [reflexive("203.0.113.1", "s", { socket: 1 }), reflexive("2001:db8:1::1", "s", { socket: 1 })];
    expect(addresses({ hosts, reflexive: said })).toEqual(["2001:db8::1", "10.0.0.1", "2001:db8:1::1"]);
  });

  test("32 at most, and interfaces do not crowd out what works across the internet", () => {
    const hosts = Array.from({ length: 60 }, (_, index) => host(`10.0.0.${index + 1}`));
    const said = Array.from({ length: 60 }, (_, index) => reflexive(`203.0.113.${index + 1}`, `s${index}`));
    const types = (count: number) => gather({ hosts, reflexive: said.slice(0, count) }).map(({ type }) => type);
    expect(types(0)).toEqual(Array(32).fill("host"));
    expect(types(2)).toEqual([...Array(30).fill("host"), "srflx", "srflx"]);
    expect(types(60)).toEqual([...Array(16).fill("host"), ...Array(16).fill("srflx")]);
  });
});

describe("foundations (RFC 8445 §5.1.1.3)", () => {
  const [a, b, sameAddress, other] = gather({
    hosts: [host("10.0.0.1", 0), host("10.0.0.2", 0), host("10.0.0.1", 1, 6_000), host("10.0.0.11", 2)],
  }).map(({ foundation }) => foundation);

  test("differ by base address, not by port", () => {
    expect([a === b, a === sameAddress, a === other, b === other]).toEqual([false, true, false, false]);
  });

  test("differ by type and by who told the address; are the same whenever they are made", () => {
    const make = () =>
      gather({
        hosts: [host("10.0.0.1", 0)],
        reflexive: [reflexive("203.0.113.1", "one"), reflexive("203.0.113.2", "two"), reflexive("203.0.113.3", "one")],
      }).map(({ foundation }) => foundation);
    const [base, one, two, oneAgain] = make();
    expect([base === a, one === base, one === two, one === oneAgain]).toEqual([true, false, false, true]);
    expect(make()).toEqual(make());
  });

  test("of IPv6 addresses that differ at their end only", () => {
    const long = ["2001:db8:1111:2222:3333:4444:5555:6666", "2001:db8:1111:2222:3333:4444:5555:6667"];
    const foundations = gather({ hosts: long.map((address) => host(address)) }).map(({ foundation }) => foundation);
    expect(new Set(foundations).size).toBe(2);
  });
});

describe("order of families (RFC 8421 §4)", () => {
  const six = (count: number) => Array.from({ length: count }, (_, index) => `2001:db8::${index + 1}`);
  const four = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}`);
  test.each([
    [0, 3, "444"],
    [3, 0, "666"],
    [1, 1, "64"],
    [1, 3, "6444"],
    [4, 2, "664664"],
    [3, 2, "66464"],
    [6, 1, "6666664"],
    [2, 2, "6464"],
  ])("%d of IPv6 and %d of IPv4: %s", (sixes, fours, order) => {
    const hosts = [...four(fours), ...six(sixes)].map((address) => host(address));
    expect(
      addresses({ hosts })
        .map((address) => (address.includes(":") ? "6" : "4"))
        .join(""),
    ).toBe(order);
  });

  test("unique local IPv6 stands behind IPv4; within a family the given order holds", () => {
    const hosts = ["fd00::1", "10.0.0.2", "10.0.0.1", "2001:db8::2", "2001:db8::1"].map((address) => host(address));
    expect(addresses({ hosts })).toEqual(["2001:db8::2", "10.0.0.2", "2001:db8::1", "10.0.0.1", "fd00::1"]);
  });
});
