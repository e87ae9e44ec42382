import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { identity, SERVER_HOSTS } from "../e2e/support/identities.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { PrivateHost } from "./private-host.ts";

/*
 *   client  198.51.100.20 ── 198.51.100.1  server, 203.0.113.7 behind it
 *   default route: 198.51.100.1
 *   wg0, whose peer's endpoint is 127.0.0.1:15000: ut's own port
 *
 * `ut check` on a real host with a real WireGuard (wireguard-go under wg-quick, whose rules and tables are real). What it
 * prints as a remedy is pasted into the host's shell, and the next check must be content.
 */
const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")].join(" ");
const SERVER = "203.0.113.7";

let lab: Lab;
let host: PrivateHost;
const folders = new AsyncDisposableStack();

/** `ut check` in the host: what it said of trouble, without the machine's own limits. */
async function troubles(path: string): Promise<string[]> {
  const text = await host.run(`${UT} check -config ${path} || true`);
  const findings = text.split(/\n(?=\S)/).map((finding) => finding.trim());
  return findings.filter((finding) => /^(?:WARNING|FAILED) +(?!limits|congestion|clock| )/.test(finding));
}

/** The first remedy of a finding, run as it was printed. */
async function paste(finding: string | undefined): Promise<void> {
  const [, command = "false"] = /→ sudo (.*)/.exec(finding ?? "") ?? [];
  await host.run(command);
}

const found = (verdict: string, name: string, text: string, ...remedy: string[]) =>
  [`${verdict.padEnd(9)}${name.padEnd(13)}${text}`, ...remedy.map((one) => `${" ".repeat(22)}→ ${one}`)].join("\n");

describeLab("ut check beside a real WireGuard", () => {
  beforeAll(async () => {
    lab = await Lab.open();
    const client = await lab.namespace("client");
    const server = await lab.namespace("server");
    await lab.cable(
      { host: client, device: "eth0", address: "198.51.100.20/24" },
      { host: server, device: "eth0", address: "198.51.100.1/24" },
    );
    await client.ip(["route add default via 198.51.100.1"]);
    await server.ip([`addr add ${SERVER}/32 dev lo`]);
    host = await PrivateHost.open(lab, "client", client);
    // No resolver: names are unknown at once.
    await host.run("umount /etc/resolv.conf 2>/dev/null || true; : > /etc/resolv.conf");
    const config = await configFolder(await identity({ cn: "server", hosts: [...SERVER_HOSTS, SERVER] }), {
      role: "server",
      tcp: { listen_addr: `${SERVER}:5443` },
      server: { stun: { listen: [`${SERVER}:3478`] } },
    });
    folders.use(config);
    await server.start("ut server", [...UT.split(" "), "-config", config.path]).line(/"event":"start"/);
  }, 60_000);

  afterAll(async () => {
    await host?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
    await folders.disposeAsync();
  }, 20_000);

  test("a name without a resolver, an address without a route, the routing loop, WireGuard's MTU; and what is pasted helps", async () => {
    await using nameless = await configFolder(await identity({ cn: "home" }), {
      role: "client",
      tcp: { server_addr: "vpn.example.com:5443" },
    });
    expect(await troubles(nameless.path)).toEqual([
      found(
        "FAILED",
        "name",
        "no name server answers for vpn.example.com",
        "cat /etc/resolv.conf",
        "or name an IP address in tcp.server_addr",
      ),
    ]);

    await using unreachable = await configFolder(await identity({ cn: "home" }), {
      role: "client",
      tcp: { server_addr: "[2001:db8::1]:5443" },
    });
    expect(await troubles(unreachable.path)).toEqual([
      found("FAILED", "tcp", "[2001:db8::1]:5443 cannot be reached: this machine has no route there", "ip route"),
    ]);

    await using client = await configFolder(await identity({ cn: "home" }), {
      role: "client",
      tcp: { server_addr: `${SERVER}:5443` },
    });
    expect(await troubles(client.path)).toEqual([]);

    const key = (await host.run("wg genkey")).trim();
    const peer = (await host.run("wg genkey | wg pubkey")).trim();
    await host.write(
      "/etc/wireguard/wg0.conf",
      `[Interface]\nPrivateKey = ${key}\nAddress = 10.77.0.2/24\n\n[Peer]\nPublicKey = ${peer}\nEndpoint = 127.0.0.1:15000\nAllowedIPs = 0.0.0.0/0\n`,
    );
    await host.run("chmod 600 /etc/wireguard/wg0.conf; wg-quick up wg0");
    const looped = await troubles(client.path);
    const mtu = found(
      "WARNING",
      "wireguard",
      "wg0 has MTU 65456: what hosts behind the other end send does not fit there",
      "sudo ip link set dev wg0 mtu 1420",
      "in wg0.conf at both ends: MTU = 1420",
    );
    expect(looped).toEqual([
      mtu,
      found(
        "FAILED",
        "routing",
        `the way to ${SERVER} leads into wg0, whose peer is this node (127.0.0.1:15000, udp.listen_addr): lanes would carry themselves`,
        `sudo ip route replace ${SERVER}/32 via 198.51.100.1 dev eth0`,
        'for good: "Routing without a loop" in docs/tunnel.md',
      ),
    ]);
    await paste(looped[1]);
    expect(await troubles(client.path)).toEqual([mtu]);
    await paste(looped[0]);
    expect(await troubles(client.path)).toEqual([]);
  }, 60_000);

  test("a relay whose server has STUN, and whose agent is away", async () => {
    await using relay = await configFolder(await identity({ cn: "home" }), {
      role: "relay",
      relay: [{ listen_addr: "127.0.0.1:15001", to: "office", service: "wireguard" }],
      tcp: { server_addr: `${SERVER}:5443` },
      nat: { stun_servers: [] },
    });
    expect(await troubles(relay.path)).toEqual([
      found(
        "WARNING",
        "peer",
        'no agent "office" is registered with the server: datagrams for it wait, and are lost',
        "on office: ut agent -config FILE",
        "the name is the one in its certificate",
      ),
    ]);
  }, 60_000);
});
