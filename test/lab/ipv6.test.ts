import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { Pulse } from "./pulse.ts";
import { utBinary } from "./ut-binary.ts";
import { UT_SERVER_PORT, UtTunnel, type UtTunnelOptions } from "./ut-tunnel.ts";
import { openWireGuardPair } from "./wireguard.ts";

/*
 *   client  eth0 2001:db8:99::1, fe80::1, 10.99.0.1 ────── 10.99.0.2, fe80::2, 2001:db8:99::2 eth0  server
 */
const V4 = { client: "10.99.0.1", server: "10.99.0.2" };
const V6 = { client: "2001:db8:99::1", server: "2001:db8:99::2" };
const LINK_LOCAL = { client: "fe80::1", server: "fe80::2" };

/** A name of both families, to whoever is started with it. */
const NAME = "server.test";

class Hosts {
  readonly lab: Lab;
  readonly client: Namespace;
  readonly server: Namespace;
  readonly #binary: string;

  private constructor(lab: Lab, client: Namespace, server: Namespace, binary: string) {
    this.lab = lab;
    this.client = client;
    this.server = server;
    this.#binary = binary;
  }

  /** Two hosts on a cable, with these of the addresses above. */
  static async open(lab: Lab, pairs: readonly (typeof V4)[]): Promise<Hosts> {
    const [client, server] = [await lab.namespace("client"), await lab.namespace("server")];
    const ends = { a: client, b: server };
    await ends.a.ip([`link add eth0 type veth peer name eth0 netns ${ends.b.name}`]);
    for (const [host, key] of [
      [client, "client"],
      [server, "server"],
    ] as const)
      await host.ip([
        ...pairs.map((pair) => `addr add ${pair[key]}/${pair === V4 ? 24 : 64} dev eth0`),
        "link set eth0 up",
      ]);
    // The kernel takes its time with neighbours on a fresh cable: longer than IPv6 has before IPv4 is tried.
    for (const pair of pairs) await client.run(["ping", "-c", "1", "-i", "0.2", "-w", "10", pair.server]);
    return new Hosts(lab, client, server, await utBinary());
  }

  tunnel(some: Partial<UtTunnelOptions> & { readonly serverAddress: string }): Promise<UtTunnel> {
    const { lab, client, server } = this;
    return UtTunnel.open(lab, { client, server, binary: this.#binary, ...some });
  }

  /** The client believes that the server's name is both of its addresses. */
  async named(): Promise<Partial<UtTunnelOptions>> {
    const file = join(this.lab.folder, "hosts");
    await Bun.write(file, `127.0.0.1 localhost\n${V4.server} ${NAME}\n${V6.server} ${NAME}\n`);
    return {
      clientConfig: { tcp: { server_addr: `${NAME}:${UT_SERVER_PORT}` }, tls: { server_name: V4.server } },
      clientWrapper: ["unshare", "-m", "sh", "-c", `mount --bind ${file} /etc/hosts && exec "$@"`, "ut"],
    };
  }

  /** A datagram there and back; the remote ends of the client's lanes. */
  async remotes(tunnel: UtTunnel): Promise<string[]> {
    const far = await Pulse.bind(this.lab, this.server, tunnel.exit);
    const near = await Pulse.connect(this.lab, this.client, tunnel.entry);
    const rtt = await near.greet().catch((cause) => {
      throw new Error(`Nothing came back:\n${tunnel.logs}`, { cause });
    });
    console.log(`the first datagram was back after ${rtt.toFixed(0)} ms`);
    await Promise.all([near.close(), far.close()]);
    const json = await this.client.run(["curl", "-sS", "--fail", "http://127.0.0.1:5080/api/status"]);
    const { roles } = JSON.parse(json) as { roles: { sessions: { lanes: { remote: string }[] }[] }[] };
    return roles.flatMap(({ sessions }) => sessions.flatMap(({ lanes }) => lanes.map(({ remote }) => remote)));
  }
}

describeLab("IPv6", () => {
  test("alone on the path, and on both UDP ends: WireGuard carries IPv4 and IPv6 over it", async () => {
    await using lab = await Lab.open();
    const hosts = await Hosts.open(lab, [V6]);
    await using tunnel = await hosts.tunnel({ serverAddress: V6.server, loopback: "::1" });
    const { client, server } = hosts;
    await using pair = await openWireGuardPair(lab, {
      client,
      server,
      clientEndpoint: tunnel.entry,
      serverPort: tunnel.exit.port,
    });
    for (const [address, bytes] of [
      [pair.server, 56],
      [pair.server6, 56],
      [pair.server6, 1_372],
    ] as const) {
      // 1,372 B are a whole packet of WireGuard's 1,420 B.
      const said = await client.run(["ping", "-c", "10", "-i", "0.02", "-W", "5", "-s", String(bytes), address]);
      expect(said).toContain("10 received, 0% packet loss");
    }
  }, 60_000);

  test("of a name leads nowhere: IPv4 carries the lanes a quarter of a second later", async () => {
    await using lab = await Lab.open();
    const hosts = await Hosts.open(lab, [V4, V6]);
    await hosts.server.nft("table ip6 hole { chain in { type filter hook input priority 0; ip6 nexthdr tcp drop; }; }");
    await using tunnel = await hosts.tunnel({ serverAddress: V4.server, ...(await hosts.named()) });
    const remotes = await hosts.remotes(tunnel);
    expect(new Set(remotes)).toEqual(new Set([`${V4.server}:${UT_SERVER_PORT}`]));
  }, 60_000);

  test("of a name is refused: IPv4 at once; where both answer, IPv6", async () => {
    await using lab = await Lab.open();
    const hosts = await Hosts.open(lab, [V4, V6]);
    const named = await hosts.named();
    {
      await using tunnel = await hosts.tunnel({ serverAddress: V4.server, ...named });
      expect(await hosts.remotes(tunnel)).toContain(`${V4.server}:${UT_SERVER_PORT}`);
    }
    const serverConfig = { tcp: { listen_addr: `[::]:${UT_SERVER_PORT}` } };
    await using tunnel = await hosts.tunnel({ serverAddress: V4.server, ...named, serverConfig });
    expect(new Set(await hosts.remotes(tunnel))).toEqual(new Set([`[${V6.server}]:${UT_SERVER_PORT}`]));
  }, 60_000);

  test("of the link, with its zone", async () => {
    await using lab = await Lab.open();
    const hosts = await Hosts.open(lab, [LINK_LOCAL]);
    const zoned = `[${LINK_LOCAL.server}%eth0]:${UT_SERVER_PORT}`;
    await using tunnel = await hosts.tunnel({
      // What the certificate has: a zone means nothing to anybody else.
      serverAddress: LINK_LOCAL.server,
      serverConfig: { tcp: { listen_addr: zoned } },
      clientConfig: { tcp: { server_addr: zoned } },
    });
    expect(new Set(await hosts.remotes(tunnel))).toEqual(new Set([`[${LINK_LOCAL.server}]:${UT_SERVER_PORT}`]));
  }, 60_000);
});
