import { expect, test } from "bun:test";
import { join } from "node:path";
import { identity, serverIdentity } from "../e2e/support/identities.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { describeLab } from "./describe-lab.ts";
import { HOME, homeRouter } from "./home-router.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { Miniupnpd } from "./miniupnpd.ts";
import type { Namespace } from "./namespace.ts";

const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];
const METRICS = "127.0.0.1:5080";
const P2P_PORT = 40_000;

/** A client at home, behind the router, whose server outside answers STUN on its two ports. Nothing is ever dialled. */
const CLIENT = {
  role: "client",
  tcp: { server_addr: `${HOME.outside}:5443` },
  metrics: { listen_addr: METRICS },
  nat: { watch: true, stun_servers: [] },
  p2p: { listen_addr: `0.0.0.0:${P2P_PORT}` },
};
const SERVER = { role: "server", server: {} };

async function startServer(host: Namespace, path: string): Promise<Job> {
  const job = host.start("ut server", [...UT, "-config", path]);
  await job.line(/"event":"start"/);
  return job;
}

/** The next line of an event, without what differs each time. */
async function event(job: Job, name: string): Promise<Record<string, unknown>> {
  const { time, level, role, elapsed_ms, ...fields } = JSON.parse(await job.line(new RegExp(`"event":"${name}"`)));
  return fields;
}

/** What /metrics says of the direct plane, but for what is 0. */
async function metrics(host: Namespace): Promise<string[]> {
  const page = await host.run(["curl", "-sS", "--fail", `http://${METRICS}/metrics`]);
  return page.split("\n").filter((line) => /^ut_(nat|p2p)_/.test(line) && !line.endsWith(" 0"));
}

describeLab("nat.watch behind a home router", () => {
  test("the port is mapped, seen from outside, told in log and metrics, and given back on SIGTERM", async () => {
    await using lab = await Lab.open();
    const home = await homeRouter(lab);
    await using daemon = await Miniupnpd.start(lab, home.router);
    await using serverConfig = await configFolder(serverIdentity, SERVER);
    await using clientConfig = await configFolder(await identity({ cn: "home" }), CLIENT);
    await startServer(home.outside, serverConfig.path);
    const env = { XDG_STATE_HOME: await lab.subfolder("state") };
    const client = home.inside.start("ut client", [...UT, "-config", clientConfig.path], { env });
    const external = `${HOME.wan}:${P2P_PORT}`;

    expect(await event(client, "port_mapping_installed")).toEqual({
      event: "port_mapping_installed",
      protocol: "pcp",
      external,
      lease_seconds: 3_600,
      verified: true,
    });
    expect(await event(client, "reflex")).toEqual({ event: "reflex", address: external, source: "port-mapping" });
    expect(await event(client, "nat_type")).toMatchObject({ type: "cone", mapped: external, servers_answered: 1 });
    expect(await metrics(home.inside)).toEqual([
      "ut_p2p_port_mapping_active 1",
      `ut_p2p_port_mapping_external{address="${external}"} 1`,
      'ut_nat_type{type="cone"} 1',
      `ut_nat_reflex{address="${external}",source="port-mapping"} 1`,
      "ut_nat_checks_total 1",
    ]);
    expect(await daemon.mappings()).toEqual([
      { protocol: "udp", externalPort: P2P_PORT, internalAddress: HOME.inside, internalPort: P2P_PORT },
    ]);

    const rest = (await client.stop("SIGTERM")).map((line) => JSON.parse(line).event);
    expect(rest).toEqual(["draining", "port_mapping_revoked", "stopped"]);
    expect(await daemon.mappings()).toEqual([]);
  }, 30_000);

  test("a router that maps nothing keeps nobody waiting, and the address is the one that STUN sees", async () => {
    await using lab = await Lab.open();
    const home = await homeRouter(lab);
    await using serverConfig = await configFolder(serverIdentity, SERVER);
    await using clientConfig = await configFolder(await identity({ cn: "home" }), {
      ...CLIENT,
      log: { level: "debug" },
    });
    await startServer(home.outside, serverConfig.path);
    const env = { XDG_STATE_HOME: await lab.subfolder("state") };
    const client = home.inside.start("ut client", [...UT, "-config", clientConfig.path], { env });
    const external = `${HOME.wan}:${P2P_PORT}`;

    // From another port, before the router has been given up.
    expect(await event(client, "nat_glance")).toEqual({
      ...{ event: "nat_glance", type: "cone", filtering: "address-and-port-dependent" },
    });
    expect(await event(client, "nat_type")).toMatchObject({ type: "cone", mapped: external });
    expect(await event(client, "reflex")).toEqual({ event: "reflex", address: external, source: "server" });
    expect(await metrics(home.inside)).toEqual([
      'ut_nat_type{type="cone"} 1',
      `ut_nat_reflex{address="${external}",source="server"} 1`,
      "ut_nat_checks_total 1",
    ]);
  }, 30_000);
});
