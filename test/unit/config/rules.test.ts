import { describe, expect, test } from "bun:test";
import { parseConfig } from "../../../src/config/load.ts";
import { refusal, TLS } from "./config-text.ts";

describe("a process that is client and server", () => {
  const clash: [listen: string, target: string][] = [
    ["127.0.0.1:9", "127.0.0.1:9"],
    ["127.0.0.1:9", "localhost:9"],
    ["localhost:9", "127.0.0.1:9"],
    ["[::1]:9", "[::1]:9"],
    ["0.0.0.0:9", "127.0.0.1:9"],
    ["0.0.0.0:9", "127.0.0.2:9"],
    ["[::]:9", "[::1]:9"],
    [":9", "127.0.0.1:9"],
    ["wg.example:9", "WG.example:9"],
  ];
  for (const [listen, target] of clash)
    test(`may not deliver to ${target} while it listens on ${listen}`, () =>
      expect(refusal(bothRoles(listen, target))).toBe(
        `config.invalid\nut.yaml:5:16: udp.wg_udp_addr: expected another address, as the process would send to itself without end, got "${target}"; udp.listen_addr is "${listen}" (line 4)`,
      ));

  const fine: [listen: string, target: string][] = [
    ["127.0.0.1:9", "127.0.0.1:10"],
    ["127.0.0.1:9", "127.0.0.2:9"],
    ["127.0.0.1:9", "[::1]:9"],
    ["0.0.0.0:9", "[::1]:9"],
    ["0.0.0.0:9", "192.0.2.1:9"],
    [":9", "other.example:9"],
  ];
  for (const [listen, target] of fine)
    test(`may deliver to ${target} while it listens on ${listen}`, () =>
      expect(refusal(bothRoles(listen, target))).toBe("accepted"));

  test("has its roles in order, and needs what each of them needs", () => {
    expect(parseConfig(bothRoles("127.0.0.1:9", "127.0.0.1:10"), "ut.yaml").roles).toEqual(["client", "server"]);
    expect(refusal(`roles: [server, client]\n${TLS}`)).toBe(
      `config.invalid\nut.yaml:1:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the client role needs it, for example server_addr: ec2.example.com:5443`,
    );
  });

  test("is told of a clash with a default, the stated key being to blame", () => {
    const roles = `roles: [client, server]\n${TLS}tcp: { server_addr: "a:1" }\n`;
    const tail = "expected another address, as the process would send to itself without end, got";
    expect(refusal(`${roles}udp: { wg_udp_addr: "127.0.0.1:15000" }\n`)).toBe(
      `config.invalid\nut.yaml:4:21: udp.wg_udp_addr: ${tail} "127.0.0.1:15000"; udp.listen_addr is "127.0.0.1:15000" (the default)`,
    );
    expect(refusal(`${roles}udp: { listen_addr: "0.0.0.0:51820" }\n`)).toBe(
      `config.invalid\nut.yaml:4:21: udp.listen_addr: ${tail} "0.0.0.0:51820"; udp.wg_udp_addr is "127.0.0.1:51820" (the default)`,
    );
  });
});

describe("a server's lanes and its status address", () => {
  const clash: [lanes: string, status: string][] = [
    ["0.0.0.0:5", "127.0.0.1:5"],
    ["127.0.0.1:5", "localhost:5"],
    ["10.0.0.1:5", "0.0.0.0:5"],
    [":5", "127.0.0.1:5"],
    ["0.0.0.0:5", "[::]:5"],
    ["[::1]:5", "[::]:5"],
  ];
  for (const [lanes, status] of clash)
    test(`cannot be ${lanes} and ${status}`, () =>
      expect(refusal(ports("server", lanes, status))).toBe(
        `config.invalid\nut.yaml:4:26: metrics.listen_addr: expected a port of its own, got "${status}"; tcp.listen_addr is "${lanes}" (line 3)`,
      ));

  const fine: [lanes: string, status: string][] = [
    ["0.0.0.0:5", "127.0.0.1:6"],
    ["10.0.0.1:5", "127.0.0.1:5"],
    ["0.0.0.0:5", "[::1]:5"],
    ["0.0.0.0:0", "127.0.0.1:0"],
  ];
  for (const [lanes, status] of fine)
    test(`can be ${lanes} and ${status}`, () => expect(refusal(ports("server", lanes, status))).toBe("accepted"));

  test("do not matter to a client, which has no lanes to accept", () =>
    expect(refusal(ports("client", "0.0.0.0:5", "127.0.0.1:5"))).toBe("accepted"));
});

describe("a server's STUN addresses", () => {
  const stun = (listen: string, more = "") =>
    refusal(`role: server\n${TLS}server: { stun: { listen: ${listen}${more} } }\n`);

  test("need a port each", () => {
    expect(stun(`["0.0.0.0:5", "0.0.0.0:6", "127.0.0.1:5"]`)).toBe(
      `config.invalid\nut.yaml:3:54: server.stun.listen[2]: expected a port of its own, got "127.0.0.1:5"; server.stun.listen[0] is "0.0.0.0:5" (line 3)`,
    );
    expect(stun(`["127.0.0.1:5", "127.0.0.2:5", "[::1]:5", "127.0.0.1:0", "127.0.0.1:0"]`)).toBe("accepted");
    expect(stun(`["0.0.0.0:5443", "127.0.0.1:5080"]`)).toBe("accepted");
  });

  test("have one public address each, or none", () => {
    expect(stun(`["0.0.0.0:5", "0.0.0.0:6"]`, `, public_addrs: ["203.0.113.7:5"]`)).toBe(
      `config.invalid\nut.yaml:3:69: server.stun.public_addrs: expected one public address for each entry of listen, got ["203.0.113.7:5"]; server.stun.listen is ["0.0.0.0:5","0.0.0.0:6"] (line 3)`,
    );
    expect(stun(`["0.0.0.0:5", "0.0.0.0:6"]`, `, public_addrs: ["203.0.113.7:5", "203.0.113.7:9"]`)).toBe("accepted");
  });
});

describe("the socket of the direct plane", () => {
  const p2p = (roles: string, watch: boolean, more: string) =>
    refusal(`roles: ${roles}\n${TLS}tcp: { server_addr: "a:1" }\nnat: { watch: ${watch} }\n${more}\n`);

  test("needs a port beside the client's and those of STUN", () => {
    expect(p2p("[client]", true, `p2p: { listen_addr: ":15000" }`)).toBe(
      `config.invalid\nut.yaml:5:21: p2p.listen_addr: expected a port of its own, got ":15000"; udp.listen_addr is "127.0.0.1:15000" (the default)`,
    );
    expect(p2p("[server]", true, `p2p: { listen_addr: "127.0.0.1:3479" }`)).toBe(
      `config.invalid\nut.yaml:5:21: p2p.listen_addr: expected a port of its own, got "127.0.0.1:3479"; server.stun.listen[1] is "0.0.0.0:3479" (the default)`,
    );
  });

  test("is one of IPv4 and one of IPv6, which leaves IPv4 to others", () => {
    expect(p2p("[client]", true, `p2p: { listen_addr: ["0.0.0.0:0", "127.0.0.1:0"] }`)).toBe(
      `config.invalid\nut.yaml:5:35: p2p.listen_addr[1]: expected one address of IPv4 and one of IPv6, got "127.0.0.1:0"; p2p.listen_addr[0] is "0.0.0.0:0" (line 5)`,
    );
    expect(p2p("[client]", true, `p2p: { listen_addr: ["0.0.0.0:5", "[::]:15000"] }`)).toBe("accepted");
    expect(p2p("[client]", true, `p2p: { listen_addr: ["0.0.0.0:5", "[::]:5"] }`)).toBe("accepted");
  });

  test("does not matter to a role without the other socket, nor where it is not opened", () => {
    expect(p2p("[server]", true, `p2p: { listen_addr: ":15000" }`)).toBe("accepted");
    expect(p2p("[client]", true, `p2p: { listen_addr: ":3478" }`)).toBe("accepted");
    expect(p2p("[client]", false, `p2p: { listen_addr: ":15000" }`)).toBe("accepted");
  });
});

describe("a process that is an end of pipes", () => {
  const peer = (roles: string, more: string) =>
    refusal(`roles: ${roles}\n${TLS}tcp: { server_addr: "a:1" }\n${more}\n`);
  const entry = (listen: string) => `{ listen_addr: "${listen}", to: office, service: wg }`;

  test.each(["agent", "relay"])("needs the server's address: %s", (role) =>
    expect(refusal(`role: ${role}\n${TLS}relay: [${entry(":1")}]\n`)).toBe(
      `config.invalid\nut.yaml:1:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the ${role} role needs it, for example server_addr: ec2.example.com:5443`,
    ),
  );

  test("needs a port to be a relay, and each port has a socket of its own", () => {
    expect(peer("[relay]", "")).toBe(
      "config.invalid\nut.yaml:1:1: relay: expected at least one mapping with listen_addr, to and service, got nothing; the relay role needs it",
    );
    expect(peer("[relay]", `relay: [${entry("127.0.0.1:5")}, ${entry(":5")}]`)).toBe(
      `config.invalid\nut.yaml:4:81: relay[1].listen_addr: expected a port of its own, got ":5"; relay[0].listen_addr is "127.0.0.1:5" (line 4)`,
    );
    expect(peer("[relay, client]", `relay: [${entry("127.0.0.1:15000")}]`)).toBe(
      `config.invalid\nut.yaml:4:24: relay[0].listen_addr: expected a port of its own, got "127.0.0.1:15000"; udp.listen_addr is "127.0.0.1:15000" (the default)`,
    );
    expect(peer("[relay]", `relay: [${entry(":5")}]\np2p: { listen_addr: "0.0.0.0:5" }`)).toBe(
      `config.invalid\nut.yaml:5:21: p2p.listen_addr: expected a port of its own, got "0.0.0.0:5"; relay[0].listen_addr is ":5" (line 4)`,
    );
    expect(peer("[relay]", `relay: [${entry("127.0.0.1:15000")}, ${entry(":0")}, ${entry(":0")}]`)).toBe("accepted");
    expect(peer("[agent]", `relay: [${entry(":5")}, ${entry(":5")}]`)).toBe("accepted");
  });

  test("names each service once", () => {
    const service = (name: string) => `{ name: ${name}, target: "127.0.0.1:9" }`;
    expect(peer("[agent]", `services: { udp: [${service("wg")}, ${service("dns")}, ${service("wg")}] }`)).toBe(
      `config.invalid\nut.yaml:4:102: services.udp[2].name: expected a name of its own, got "wg"; services.udp[0].name is "wg" (line 4)`,
    );
    expect(peer("[agent]", "")).toBe("accepted");
  });

  test("has a time to live or none", () => {
    expect(peer("[agent]", "hard_nat: { ttl: 5, no_ttl: true }")).toBe(
      `config.invalid\nut.yaml:4:29: hard_nat.no_ttl: expected either ttl or no_ttl, got true; hard_nat.ttl is 5 (line 4)`,
    );
    expect(peer("[agent]", "hard_nat: { no_ttl: true }")).toBe("accepted");
  });
});

describe("rules rest where a value is already reported", () => {
  test("no second line about a bad address, and other rules still speak", () =>
    expect(
      refusal(
        `roles: [client, server]\n${TLS}udp: { listen_addr: 5, wg_udp_addr: "a:1" }\ntcp: { listen_addr: ":5080" }\n`,
      ),
    ).toBe(
      [
        "config.invalid",
        `ut.yaml:3:21: udp.listen_addr: expected host:port such as "127.0.0.1:15000", got 5`,
        `ut.yaml:4:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the client role needs it, for example server_addr: ec2.example.com:5443`,
        `ut.yaml:4:21: tcp.listen_addr: expected a port of its own, got ":5080"; metrics.listen_addr is "127.0.0.1:5080" (the default)`,
      ].join("\n"),
    ));
});

function bothRoles(listen: string, target: string): string {
  return `roles: [client, server]\ntcp: { server_addr: "a.example:1" }\nudp:\n  listen_addr: "${listen}"\n  wg_udp_addr: "${target}"\n${TLS}`;
}

function ports(role: string, lanes: string, status: string): string {
  return `role: ${role}\ntcp: { server_addr: "a:1",\n  listen_addr: "${lanes}" }\nmetrics: { listen_addr:  "${status}" }\n${TLS}`;
}

describe("a proxy", () => {
  const socks = (settings: string, more = "") =>
    refusal(`role: socks\n${TLS}tcp: { server_addr: "a:1" }\nsocks: ${settings}\n${more}`);

  test("leads to an agent", () => {
    expect(socks("{}")).toBe(
      `config.invalid\nut.yaml:4:1: socks.to: expected the certificate name of an agent, got nothing; the socks role needs it, for example to: office`,
    );
    expect(socks("{ to: office }")).toBe("accepted");
  });

  test.each(["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])("is for this machine alone at %s", (listen) =>
    expect(socks(`{ to: office, listen_addr: "${listen}" }`)).toBe("accepted"),
  );

  test.each([":1", "0.0.0.0:1", "[::]:1", "10.0.0.1:1", "proxy.example:1", "127.example:1"])(
    "needs users at %s",
    (listen) => {
      expect(socks(`{ to: office, listen_addr: "${listen}" }`)).toBe(
        `config.invalid\nut.yaml:4:35: socks.listen_addr: expected a loopback address, as anybody who reaches another one could use it; or set socks.users, got "${listen}"`,
      );
      expect(socks(`{ to: office, listen_addr: "${listen}", users: { ann: secret } }`)).toBe("accepted");
    },
  );

  test("has a port of its own", () => {
    expect(socks(`{ to: office, listen_addr: "127.0.0.1:5080" }`)).toBe(
      `config.invalid\nut.yaml:4:35: socks.listen_addr: expected a port of its own, got "127.0.0.1:5080"; metrics.listen_addr is "127.0.0.1:5080" (the default)`,
    );
    const both = `roles: [server, socks]\n${TLS}tcp: { server_addr: "a:1", listen_addr: "0.0.0.0:1080" }\nsocks: { to: office }\n`;
    expect(refusal(both)).toBe(
      `config.invalid\nut.yaml:3:41: tcp.listen_addr: expected a port of its own, got "0.0.0.0:1080"; socks.listen_addr is "127.0.0.1:1080" (the default)`,
    );
  });

  test("never shows a password", () => {
    for (const users of ["{ ann: hush, bob: 5 }", "{ ann: { hush: 1 } }", "[hush]"])
      expect(socks(`{ to: office, users: ${users} }`)).not.toContain("hush, bob");
    expect(socks("{ to: office, users: { ann: hush, bob: 5 } }")).toBe(
      "config.invalid\nut.yaml:4:29: socks.users: expected a mapping of users to passwords, each a text of 1 to 255 bytes, got a mapping",
    );
  });
});

test("the service of ut socks is no UDP service's name", () => {
  const services = `services: { udp: [{ name: socks, target: "127.0.0.1:9" }] }\n`;
  expect(refusal(`role: agent\n${TLS}tcp: { server_addr: "a:1" }\n${services}`)).toBe(
    `config.invalid\nut.yaml:4:27: services.udp[0].name: expected another name: "socks" is what ut socks asks for, got "socks"`,
  );
  expect(
    refusal(
      `role: relay\n${TLS}tcp: { server_addr: "a:1" }\nrelay: [{ listen_addr: ":1", to: a, service: socks }]\n${services}`,
    ),
  ).toBe("accepted");
});
