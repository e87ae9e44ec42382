import { expect, test } from "bun:test";
import { join } from "node:path";
import { identity } from "./support/identities.ts";
import { type PeerProcess, peerProcess, serverProcess } from "./support/peers.ts";
import { udpEnd } from "./support/udp-end.ts";

/** `ut nat explain` as a process, about a relay, an agent and a server that are processes, too. */

const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

async function explain(node: PeerProcess, ...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const { metrics } = await node.ut.logged("start");
  const { port } = metrics as { readonly port: number };
  const command = [...UT, "nat", "explain", "--status", `127.0.0.1:${port}`, ...argv];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

const office = await identity({ cn: "office" });
const home = await identity({ cn: "home" });

test("a pipe that goes direct, at both ends, and one that must not", async () => {
  using echo = await udpEnd({ echo: true });
  await using server = await serverProcess();
  const services = { udp: [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["home"] }] };
  await using agent = await peerProcess(office, server, { role: "agent", services });
  const relay = [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }];
  await using direct = await peerProcess(home, server, { role: "relay", relay });
  await Promise.all([direct.ut.logged("pipe_direct"), agent.ut.logged("pipe_direct")]);

  const there = await explain(direct, "office");
  expect([there.code, there.err]).toEqual([0, ""]);
  expect(there.out).toMatch(
    /^office, echo: direct since .* UTC, \d+ s ago, by ICE within \d+\.\d\d s\n\n {2}▶ home ══▶ /,
  );
  expect(there.out).toMatch(/\n {2}▶ home ══▶ office \S+:\d+ .*\n {4}home ──▶ server( 127\.0\.0\.1:\d+)? ──▶ office/);
  expect(there.out).toMatch(
    /\n {2}.* UTC, \d+ s ago: direct by ICE after .*\n +\d+\.\d\d s {2}addresses that this node offers: /,
  );
  expect((await explain(agent, "home")).out).toStartWith("home, echo: direct since ");
  expect(JSON.parse((await explain(direct, "office", "--json")).out)).toMatchObject({
    node: "home",
    pipes: [{ peer: "office", service: "echo", state: "open", verdict: "direct" }],
  });

  const stays = { role: "relay", relay, p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, direct: false } };
  await using relayed = await peerProcess(await identity({ cn: "home" }), server, stays);
  await relayed.ut.logged("pipe_open");
  expect((await explain(relayed, "office")).out).toStartWith(
    "office, echo: over the server, because this node does not go direct (p2p.direct is off, ",
  );
  expect(await explain(relayed, "offise")).toEqual({
    code: 2,
    out: "",
    err: "ut: Cannot explain offise: home has pipes to office; did you mean office?\n",
  });
  expect(await explain(server, "office")).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("it is server, and only"),
  });
}, 30_000);
