import { expect, test } from "bun:test";
import { join } from "node:path";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { identity } from "./support/identities.ts";
import { stunServer } from "./support/stun-server.ts";
import { configFolder } from "./support/ut-process.ts";

/** `ut nat check` as a process, against the STUN of a real `ut server`, on loopback. */

const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

async function check(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn([...UT, "nat", "check", ...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

/** What a server with one address can see of a host without a NAT; whether a firewall stands there it cannot. */
const LOOPBACK = {
  type: "cone",
  mapping: "endpoint-independent",
  filtering: null,
  translated: false,
  pooling: "paired",
  hairpin: null,
  ports: { kind: "preserved" },
  layers: "none",
  reasons: ["one-address"],
  gateway: null,
};

test("--json: the whole report and nothing else", async () => {
  await using stun = await stunServer();
  const { code, out, err } = await check("--json", "--stun", stun.address);
  const { mapped, servers, elapsedMs, local, ...verdict } = JSON.parse(out);
  const [address, port] = stun.address.split(":");
  expect([code, err, out.split("\n").length, verdict]).toEqual([0, "", 2, LOOPBACK]);
  expect([mapped, local.address, typeof elapsedMs]).toEqual([local, "127.0.0.1", "number"]);
  expect(servers).toEqual([
    {
      name: stun.address,
      endpoint: { address, port: Number(port) },
      outcome: { kind: "answered", mapped: local, rttMs: expect.any(Number) },
      otherAddress: { address, port: expect.any(Number) },
    },
  ]);
});

test("--config: the servers of a node; what a person reads names each that failed", async () => {
  await using stun = await stunServer();
  await using config = await configFolder(await identity({ cn: "home" }), {
    role: "client",
    tcp: { server_addr: "server.invalid:5443" },
    udp: { listen_addr: "127.0.0.1:0" },
    nat: { stun_servers: [stun.address] },
  });
  const { code, out, err } = await check("-config", config.path);
  const lines = out.split("\n");
  expect([code, err, lines.slice(0, 2)]).toEqual([0, "", ["looking up 2 servers", "asking 2 servers and the gateway"]]);
  expect(lines).toContain("No NAT; whether a firewall stands before this machine could not be told");
  expect(lines.slice(-3)).toEqual([
    expect.stringMatching(/^ {2}server\.invalid:3478 +- {2}could not be resolved: /),
    expect.stringMatching(new RegExp(`^  ${stun.address} +[\\d.]+  127\\.0\\.0\\.1:\\d+$`)),
    "",
  ]);
});

test("a port that is taken: 1, and said so", async () => {
  using taken = await openFan([{}]);
  const port = `${taken.local[0]?.port}`;
  const { code, out, err } = await check("--json", "--stun", "127.0.0.1", "--port", port);
  expect([code, out]).toEqual([1, ""]);
  expect(err).toStartWith(`ut: Cannot bind UDP 0.0.0.0:${port}: `);
});

test("a wrong command line: 2", async () => {
  const { code, err } = await check("--stun", "stun://example.com");
  expect([code, err]).toEqual([2, expect.stringContaining("ut: Cannot use address")]);
});
