import { join } from "node:path";
import { identity } from "../e2e/support/identities.ts";
import type { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { UtNode } from "./peers.ts";
import { startSsh } from "./ssh-server.ts";
import { utBinary } from "./ut-binary.ts";
import { overlay, UT_SERVER_PORT } from "./ut-tunnel.ts";
import type { WanLink, WanOptions } from "./wan-link.ts";

/** The same download, one way after another. */
export const SOCKS_WAYS = ["plain", "ssh", "relay", "direct"] as const;
export type SocksWay = (typeof SOCKS_WAYS)[number];

const PORTS: Readonly<Record<SocksWay, number>> = { plain: 1_081, ssh: 1_082, relay: 1_083, direct: 1_084 };
const [NEAR, FAR] = ["10.98.1.2", "10.98.2.2"] as const;
const SSH_PORT = 2_222;

const home = await identity({ cn: "home" });
const neighbour = await identity({ cn: "neighbour" });
const office = await identity({ cn: "office", agent: true });

/**
 * Four ways from one host to the web server on another one's loopback, for comparison under equal conditions: a SOCKS
 * server without a tunnel, `ssh -D`, and `ut socks` over the relay path and over the direct one.
 *
 *   a: curl ── 127.0.0.1:1082 ssh -D ─────────── wan ── sshd b:2222 ───────────┐
 *      curl ── 127.0.0.1:1083, 1084 ut socks ─── wan ── ut server, ut agent :b ├── 127.0.0.1 web
 *      curl ──────────────────────────────────── wan ── b:1081 plain socks ────┘
 */
export class SocksWays {
  readonly wan: WanLink | undefined;
  readonly #near: Namespace;
  readonly #url: string;
  readonly #plainHost: string;

  private constructor(near: Namespace, wan: WanLink | undefined, url: string, plainHost: string) {
    this.#near = near;
    this.wan = wan;
    this.#url = url;
    this.#plainHost = plainHost;
  }

  /** Without a WAN both ends are one host, on its loopback. */
  static async open(lab: Lab, options: WanOptions | undefined): Promise<SocksWays> {
    const near = await lab.namespace("near");
    const far = options === undefined ? near : await lab.namespace("far");
    const wan = options && (await routedWan(lab, near, far, options));
    const address = wan === undefined ? "127.0.0.1" : FAR;
    const script = (name: string, ...args: string[]) =>
      far.start(name, [process.execPath, join(import.meta.dir, name), ...args]);
    const web = await script("endless.ts", "127.0.0.1").line(/^serving/);
    await script("plain-socks.ts", address, String(PORTS.plain)).line(/^serving/);
    await startSshProxy(lab, near, far, address);
    await startUt(lab, near, far, address);
    return new SocksWays(near, wan, web.split(" ")[1] ?? "", address);
  }

  /** Mbit/s of a download that is given so much time. */
  async measure(way: SocksWay, seconds: number): Promise<number> {
    const proxy = `${way === "plain" ? this.#plainHost : "127.0.0.1"}:${PORTS[way]}`;
    const figure = "-o /dev/null -w '%{speed_download}'";
    // It always runs out of time, which curl calls a failure.
    const download = `curl -s --max-time ${seconds} ${figure} --socks5 ${proxy} ${this.#url} || [ $? = 28 ]`;
    return (Number(await this.#near.run(["bash", "-c", download])) * 8) / 1e6;
  }
}

/** A router at each end: addresses on the link itself look like a tunnel's, which nobody is told to send to. */
async function routedWan(lab: Lab, near: Namespace, far: Namespace, options: WanOptions): Promise<WanLink> {
  const forwards = { "net.ipv4.ip_forward": 1 };
  const [one, two] = [await lab.namespace("one", forwards), await lab.namespace("two", forwards)];
  const cable = (host: Namespace, device: string, address: string) => ({ host, device, address: `${address}/24` });
  await lab.cable(cable(near, "eth0", NEAR), cable(one, "lan", "10.98.1.1"));
  await lab.cable(cable(far, "eth0", FAR), cable(two, "lan", "10.98.2.1"));
  const wan = await lab.wan(one, two, options);
  await near.ip(["route add default via 10.98.1.1"]);
  await far.ip(["route add default via 10.98.2.1"]);
  await one.ip([`route add 10.98.2.0/24 via ${wan.addresses.b}`]);
  await two.ip([`route add 10.98.1.0/24 via ${wan.addresses.a}`]);
  return wan;
}

async function startSshProxy(lab: Lab, near: Namespace, far: Namespace, address: string): Promise<void> {
  const ssh = await startSsh(lab, far, address, SSH_PORT);
  near.start("ssh", [...ssh.slice(0, -1), "-N", "-D", `127.0.0.1:${PORTS.ssh}`, ...ssh.slice(-1)]);
  while ((await near.run(["ss", "-ltnH", `sport = :${PORTS.ssh}`])) === "") await Bun.sleep(20);
}

async function startUt(lab: Lab, near: Namespace, far: Namespace, address: string): Promise<void> {
  const binary = await utBinary();
  const server = await identity({ cn: "server", hosts: [address] });
  const metrics = (port: number) => ({ metrics: { listen_addr: `127.0.0.1:${port}` } });
  const common = {
    tcp: { server_addr: `${address}:${UT_SERVER_PORT}` },
    nat: { stun_servers: [] },
    p2p: { port_mapping: false, include_loopback: true },
  };
  const start = (host: Namespace, who: typeof home, config: Record<string, unknown>) =>
    UtNode.start(lab, host, binary, who, config);
  await start(far, server, {
    ...metrics(5_081),
    role: "server",
    tcp: { listen_addr: `${address}:${UT_SERVER_PORT}` },
    server: { stun: { listen: [`${address}:3478`] } },
  });
  const socks = { allow: [home.cn, neighbour.cn], destinations: ["127.0.0.1"] };
  await start(far, office, { ...metrics(5_082), ...common, role: "agent", services: { socks } });
  for (const [way, who, port] of [
    ["relay", neighbour, 5_083],
    ["direct", home, 5_084],
  ] as const) {
    const entry = { role: "socks", socks: { to: office.cn, listen_addr: `127.0.0.1:${PORTS[way]}` } };
    const path = { p2p: { direct: way === "direct" } };
    const node = await start(near, who, { ...overlay(common, path), ...metrics(port), ...entry });
    await node.logged("streams_up");
    if (way === "direct") await node.logged("pipe_direct");
  }
}
