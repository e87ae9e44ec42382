import { expect, test } from "bun:test";
import { join } from "node:path";
import { stringify } from "yaml";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { type Namespace, runCommand } from "./namespace.ts";
import { WireGuardProbes } from "./probes.ts";
import { utBinary } from "./ut-binary.ts";
import { UT_SERVER_PORT, UtTunnel } from "./ut-tunnel.ts";
import { openWireGuardPair } from "./wireguard.ts";

/*
 *   client namespace                                      server namespace
 *
 *   10.77.0.1 wireguard-go                                wireguard-go 10.77.0.2
 *        │                                                      │
 *   ut client ══ lanes ══ 10.99.0.1 ─── 10.99.0.2 ut server ────┤ 127.0.0.1:51820
 *                                       10.99.0.3 ut server ────┘
 */
const FIRST = "10.99.0.2";
const SECOND = "10.99.0.3";
const USER_TIMEOUT_MS = 2_000;

describeLab("WireGuard through a client with two servers", () => {
  test("killed or silent, the first is replaced by the second, and returned to without losing a packet", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    const [client, server] = [await lab.namespace("client"), await lab.namespace("server")];
    const cable = (host: typeof client, address: string) => ({ host, device: "eth0", address: `${address}/24` });
    await lab.cable(cable(client, "10.99.0.1"), cable(server, FIRST));
    await server.ip([`addr add ${SECOND}/24 dev eth0`]);
    const servers = [FIRST, SECOND].map((host) => `${host}:${UT_SERVER_PORT}`);
    await using tunnel = await UtTunnel.open(lab, {
      ...{ binary, client, server, serverAddress: FIRST },
      clientConfig: { tcp: { server_addr: servers, user_timeout_ms: USER_TIMEOUT_MS } },
      // A silent server is silent to both ends.
      serverConfig: { tcp: { user_timeout_ms: USER_TIMEOUT_MS } },
    });
    await startSecond(lab, binary, server);
    const ends = { client, server, clientEndpoint: tunnel.entry, serverPort: tunnel.exit.port };
    await using pair = await openWireGuardPair(lab, ends);
    const inUse = async (place: number) => {
      const deadline = performance.now() + 20_000;
      for (;;) {
        const page = await client.run(["curl", "-sS", "--fail", "http://127.0.0.1:5080/metrics"]);
        if (page.includes(`\nut_server_in_use ${place}\n`)) return;
        if (performance.now() > deadline) throw new Error(`Server ${place} never came into use:\n${tunnel.logs}`);
        await Bun.sleep(50);
      }
    };
    const probed = async (what: string, act: () => Promise<unknown>) => {
      await using probes = await WireGuardProbes.start(lab, client, server, pair);
      await act();
      const result = await probes.finish();
      console.log(`${what}: ${result}`);
      return result.directions();
    };
    const killed = await probed("killed", async () => {
      await Promise.all([tunnel.restartServer("SIGKILL", 2_000), inUse(1)]);
    });
    for (const { longestGapMs } of killed) expect(longestGapMs).toBeLessThanOrEqual(1_000);
    const returned = await probed("returned", () => inUse(0));
    for (const { lost } of returned) expect(lost).toBe(0);
    const silent = await probed("silent", async () => {
      await server.nft(`table ip hole { chain in { type filter hook input priority 0; ip daddr ${FIRST} drop; }; }`);
      await inUse(1);
    });
    // The lanes' own time, then patience with dials that nobody answers.
    for (const { longestGapMs } of silent) expect(longestGapMs).toBeLessThanOrEqual(USER_TIMEOUT_MS + 4_000);
    await server.nft("delete table ip hole");
    const healed = await probed("returned again", () => inUse(0));
    for (const { lost } of healed) expect(lost).toBe(0);
  }, 120_000);
});

/** Before the same WireGuard, with a certificate of the same CA. */
async function startSecond(lab: Lab, binary: string, host: Namespace): Promise<void> {
  const pki = await lab.subfolder("pki");
  await runCommand([binary, "pki", "issue", "--cn", "second", "--host", SECOND, "--dir", pki]);
  const file = (name: string) => join(pki, name);
  const config = {
    role: "server",
    tcp: { listen_addr: `${SECOND}:${UT_SERVER_PORT}` },
    metrics: { listen_addr: "127.0.0.1:5081" },
    server: { stun: { listen: [] } },
    tls: { ca_cert: file("ca.pem"), cert: file("second.pem"), key: file("second.key") },
  };
  await Bun.write(file("second.yaml"), stringify(config));
  const job = host.start("second ut server", [binary, "-config", file("second.yaml")]);
  await job.line(/"event":"start"/);
}
