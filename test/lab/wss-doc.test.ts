import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeWith } from "../e2e/support/describe-with.ts";
import { describeLab } from "./describe-lab.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { PrivateHost } from "./private-host.ts";
import { type Block, readSections } from "./readme-blocks.ts";
import { utBinary } from "./ut-binary.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

/*
 *   home 10.20.0.20 ── 10.20.0.1  proxy  198.51.100.20 ───── wan, 5 ms ───── 203.0.113.7  server "vpn.example.com"
 *   no other route, and no name     tinyproxy :3128                           lets nothing in but TCP 443
 *   but the proxy's                 forwards no packet
 *
 * docs/wss.md, word for word: WireGuard through a real HTTP proxy that allows CONNECT to port 443 alone, first to `ut`
 * itself, then to a real nginx in front of it. Certificates are made as the README has it.
 */
const ROOT = join(import.meta.dir, "../..");
const ADDRESSES = { a: "198.51.100.20", b: "203.0.113.7" };
const PUBLIC_HOST = `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    icmp type echo-request accept
    iifname wg0 accept
    tcp dport 443 accept
  }
}`;
const TINYPROXY = "Port 3128\nListen 10.20.0.1\nAllow 10.20.0.0/24\nConnectPort 443\nLogLevel Connect\n";

async function blocksOf(document: string, heading: string): Promise<readonly Block[]> {
  const sections = readSections(await Bun.file(join(ROOT, document)).text());
  return sections.find((section) => section.heading === heading)?.blocks ?? [];
}

describeWith(["nginx", "tinyproxy"], "docs/wss.md", () => {
  describeLab("in the lab", () => {
    test("WireGuard through an HTTP proxy, to ut on port 443 and to nginx in front of it", async () => {
      await using lab = await Lab.open();
      await using bed = await Bed.open(lab);
      const { home, server } = bed.hosts;
      await bed.follow(await blocksOf("README.md", "2. Certificates"), { client: "home" });
      const printed = await bed.follow(await blocksOf("docs/wss.md", "Quick start"));
      expect(printed).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
      await untilLanes(server, "sport = :443", 5);
      await untilLanes(home, "dport = :3128", 5);
      // As large as the tunnel takes: 1,420 with the headers of IPv4 and ICMP.
      await home.run("ping -c 3 -W 2 -M do -s 1392 10.77.0.1");

      await bed.stopServer();
      await bed.follow(await blocksOf("docs/wss.md", "On port 443 beside a web site"));
      server.start("nginx", `nginx -g 'daemon off; pid ${server.folder}/nginx.pid;'`);
      await home.run("for i in $(seq 20); do ping -c 1 -W 1 10.77.0.1 && exit; done; exit 1", 40_000);
      await untilLanes(server, "( sport = :8443 and src 127.0.0.1 )", 5);
    }, 90_000);
  });
});

/** Wait for so many TCP connections of a host that are up. */
async function untilLanes(host: PrivateHost, which: string, count: number): Promise<void> {
  let found = 0;
  for (let left = 400; left > 0 && found !== count; left--) {
    found = (await host.run(`ss -Htn state established '${which}'`)).split("\n").filter((line) => line !== "").length;
    await Bun.sleep(50);
  }
  expect({ which, found }).toEqual({ which, found: count });
}

/** The hosts of the document and what runs on them. */
class Bed implements AsyncDisposable {
  readonly hosts: Readonly<Record<"server" | "home", PrivateHost>>;
  readonly #open: AsyncDisposableStack;
  /** Public keys by the word that stands for them. */
  readonly #keys = new Map<string, string>();
  #server: Job | undefined;

  private constructor(hosts: Bed["hosts"], open: AsyncDisposableStack) {
    this.hosts = hosts;
    this.#open = open;
  }

  static async open(lab: Lab): Promise<Bed> {
    await using opening = new AsyncDisposableStack();
    const spaces = {
      home: await lab.namespace("home"),
      proxy: await lab.namespace("proxy"),
      server: await lab.namespace("server"),
    };
    await lab.cable(
      { host: spaces.home, device: "eth0", address: "10.20.0.20/24" },
      { host: spaces.proxy, device: "lan", address: "10.20.0.1/24" },
    );
    await lab.wan(spaces.proxy, spaces.server, { ...DEFAULT_WAN, delayMs: 5 }, ADDRESSES);
    await spaces.server.nft(PUBLIC_HOST);
    const host = async (name: keyof typeof spaces, names: readonly string[]) =>
      opening.use(await PrivateHost.open(lab, name, spaces[name], names));
    const proxy = await host("proxy", [`${ADDRESSES.b} vpn.example.com`]);
    const home = await host("home", ["10.20.0.1 proxy.example.com"]);
    const server = await host("server", []);
    await home.mayReach(server, "root@vpn.example.com");
    for (const one of [home, server]) await one.run(`install -m 755 ${await utBinary()} /usr/local/bin/ut`);
    await proxy.write("/etc/tinyproxy.conf", TINYPROXY);
    proxy.start("tinyproxy", "tinyproxy -d -c /etc/tinyproxy.conf");
    return new Bed({ server, home }, opening.move());
  }

  /** What the last block printed. `names`: hosts that the document calls something else. */
  async follow(blocks: readonly Block[], names: Readonly<Record<string, keyof Bed["hosts"]>> = {}): Promise<string> {
    expect(blocks).not.toEqual([]);
    let printed = "";
    for (const block of blocks)
      for (const [index, name] of block.on.entries())
        printed = await this.#perform(block, names[name] ?? (name as keyof Bed["hosts"]), block.prints[index]);
    return printed;
  }

  /** Asked from outside of the host, so it is the process id that is known here. */
  async stopServer(): Promise<void> {
    const socket = await this.hosts.server.namespace.run(["ss", "-Hltnp", "sport = :443"]);
    process.kill(Number(/pid=(\d+)/.exec(socket)?.[1]), "SIGTERM");
    await this.#server?.line(/"event":"stopped"/);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }

  async #perform(block: Block, name: keyof Bed["hosts"], word: string | undefined): Promise<string> {
    const host = this.hosts[name];
    let text = block.text;
    for (const [key, value] of this.#keys) text = text.replaceAll(key, value);
    if (block.file !== undefined) {
      await host.write(block.file, text);
      return "";
    }
    if (block.keepsRunning) {
      const job = host.start(`ut at ${name}`, text);
      if (name === "server") this.#server = job;
      await job.line(/"event":"start"/);
      return "";
    }
    const output = await host.run(text);
    if (word !== undefined) this.#keys.set(word, output.trim());
    return output;
  }
}
