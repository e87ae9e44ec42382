import { expect, test } from "bun:test";
import { resolveStunServers, stunServersOf } from "../../../../src/app/nat/stun-servers.ts";
import { parseConfig } from "../../../../src/config/load.ts";

const TLS = "tls: { ca_cert: ca, cert: c, key: k }";

const ADDRESSES: Record<string, { address: string; family: number }[]> = {
  "both.example": [
    { address: "2001:db8::1", family: 6 },
    { address: "192.0.2.1", family: 4 },
    { address: "192.0.2.2", family: 4 },
  ],
  "six.example": [{ address: "2001:db8::1", family: 6 }],
};

async function resolve(host: string) {
  const found = ADDRESSES[host];
  if (found === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
  return found;
}

test("each server gets an address of the socket's family, or a reason, in the order of the list", async () => {
  const servers = [
    { host: "both.example", port: 3478 },
    { host: "six.example", port: 19302 },
    { host: "none.example", port: 1 },
    { host: "198.51.100.7", port: 2 },
    { host: "2001:db8:0::7", port: 3 },
  ];
  expect(await resolveStunServers(servers, { family: 4, resolve })).toEqual([
    { name: "both.example:3478", endpoint: { address: "192.0.2.1", port: 3478 } },
    { name: "six.example:19302", problem: "could not be resolved: it has no IPv4 address" },
    { name: "none.example:1", problem: "could not be resolved: getaddrinfo ENOTFOUND none.example" },
    { name: "198.51.100.7:2", endpoint: { address: "198.51.100.7", port: 2 } },
    { name: "[2001:db8:0::7]:3", problem: "could not be resolved: it has no IPv4 address" },
  ]);
  expect(await resolveStunServers(servers.slice(3), { family: 6, resolve })).toEqual([
    { name: "198.51.100.7:2", problem: "could not be resolved: it has no IPv6 address" },
    { name: "[2001:db8:0::7]:3", endpoint: { address: "2001:db8::7", port: 3 } },
  ]);
});

test("names are looked up at the same time, and one that never answers holds up nobody", async () => {
  const asked: string[] = [];
  const hanging = (host: string) => {
    asked.push(host);
    return host === "dead.example" ? new Promise<never>(() => {}) : resolve(host);
  };
  const servers = [
    { host: "dead.example", port: 1 },
    { host: "both.example", port: 2 },
  ];
  const resolving = resolveStunServers(servers, { family: 4, resolve: hanging, timeoutMs: 1 });
  expect(asked).toEqual(["dead.example", "both.example"]);
  expect(await resolving).toEqual([
    { name: "dead.example:1", problem: "could not be resolved: no answer within 0.001 s" },
    { name: "both.example:2", endpoint: { address: "192.0.2.1", port: 2 } },
  ]);
});

test("a client asks its own server first; a server has nobody of its own to ask", () => {
  const servers = (text: string) =>
    stunServersOf(parseConfig(`${text}\nnat: { stun_servers: ["a.example:1"] }\n${TLS}`, "ut.yaml"));
  const own = { host: "vpn.example.com", port: 3478 };
  const other = { host: "a.example", port: 1 };
  expect(servers(`role: client\ntcp: { server_addr: "vpn.example.com:5443" }`)).toEqual([own, other]);
  expect(servers(`role: server\ntcp: { server_addr: "vpn.example.com:5443" }`)).toEqual([other]);
});
