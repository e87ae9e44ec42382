import { afterAll, beforeAll, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { PrivateHost } from "./private-host.ts";
import { type Block, mergeIni, readSections, type Section } from "./readme-blocks.ts";
import { utBinary } from "./ut-binary.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

/*
 *   client "home"  192.168.1.20 ── router ══ 198.51.100.20 ───── wan, 5 ms ───── 203.0.113.7  server "vpn.example.com"
 *   default route: 192.168.1.1     (NAT)                            lets nothing in but answers; 192.0.2.1 behind it
 *
 * Every block of the README runs here as it stands, in document order, as root on the host that it names: each host has
 * an /etc, a /usr/local/bin and processes of its own (`PrivateHost`), so no path and no name is replaced by another.
 * What is played: `ssh` and `scp` reach the other host's files directly; `vpn.example.com` stands in /etc/hosts;
 * WireGuard is wireguard-go, because wg-quick finds no kernel module. What the reader has to do by hand is done by hand:
 * the public key that one host printed replaces its capital-letter name in the other host's file. Blocks for the source
 * folder (`repo`) are only checked for scripts that exist, those for the machine's kernel (`kernel`) are left alone.
 */
const ROOT = join(import.meta.dir, "../..");
const WAN = { ...DEFAULT_WAN, delayMs: 5 };
const ADDRESSES = { a: "198.51.100.20", b: "203.0.113.7" };
const SERVER_NAME = "vpn.example.com";
/** An address that is reached through the server alone. */
const BEHIND = "192.0.2.1";
const MIB = 1 << 20;
/** How `ss` finds the sockets of `ut`. */
const LISTENERS = { server: "-t sport = :5443", client: "-u sport = :15000" };

const sections = await sectionsOf("README.md");
const scripts: Record<string, string> = (await Bun.file(join(ROOT, "package.json")).json()).scripts;

/** What must be true behind a section, beyond its commands having succeeded. */
const PROOFS: Record<string, () => Promise<void>> = {
  "6. Does it work?": async () => {
    await expectTransfer("10.77.0.1");
    expect(await lanesFrom(ADDRESSES.a)).toBe(5);
  },
  "All traffic through the tunnel": () => expectAllTraffic("ip route get 203.0.113.7"),
};

let lab: Lab;
let hosts: Record<"client" | "server", PrivateHost>;
/** The `ut` that is running at each end. */
const running: Partial<Record<keyof typeof LISTENERS, Job>> = {};
const printed = new Map<string, string>();

describeLab("the README", () => {
  beforeAll(async () => {
    const binary = await utBinary();
    lab = await Lab.open();
    const client = await lab.namespace("client");
    const server = await lab.namespace("server");
    const router = await lab.namespace("router", { "net.ipv4.ip_forward": 1 });
    await lab.cable(
      { host: client, device: "eth0", address: "192.168.1.20/24" },
      { host: router, device: "lan", address: "192.168.1.1/24" },
    );
    await lab.wan(router, server, WAN, ADDRESSES);
    await client.ip(["route add default via 192.168.1.1"]);
    await router.nft(HOME_ROUTER);
    await server.ip([`addr add ${BEHIND}/32 dev lo`]);
    await server.nft(PUBLIC_HOST);
    const names = [`${ADDRESSES.b} ${SERVER_NAME}`];
    hosts = {
      client: await PrivateHost.open(lab, "home", client, names),
      server: await PrivateHost.open(lab, "server", server),
    };
    await hosts.client.mayReach(hosts.server, `root@${SERVER_NAME}`);
    await hosts.client.run("mkdir dist");
    await symlink(binary, join(hosts.client.folder, "dist/ut"));
  }, 180_000);

  afterAll(async () => {
    for (const host of Object.values(hosts ?? {})) await host[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  }, 20_000);

  for (const { heading, blocks } of sections)
    test(heading, async () => {
      for (const block of blocks) await perform("README.md", block);
      await PROOFS[heading]?.();
    }, 60_000);

  test("every proof belongs to a section", () => {
    expect(sections.map(({ heading }) => heading)).toEqual(expect.arrayContaining(Object.keys(PROOFS)));
  });

  test("docs/tunnel.md: all traffic, for a machine that moves between networks", async () => {
    await hosts.client.run("wg-quick down wg0");
    expect(await terminate("client")).toMatchObject({ event: "stopped", drained: true });
    for (const block of sections.flatMap(({ blocks }) => blocks))
      if (block.file === "/etc/wireguard/wg0.conf") await perform("README.md", block);
    for (const { heading, blocks } of await sectionsOf("docs/tunnel.md"))
      if (heading === "Routing without a loop") for (const block of blocks) await perform("docs/tunnel.md", block);
    await hosts.client.run("wg-quick up wg0");
    await expectAllTraffic("ip route get 203.0.113.7 uid $(id -u ut)");
  }, 60_000);

  test("SIGTERM ends both ends with everything delivered", async () => {
    for (const name of ["server", "client"] as const)
      expect(await terminate(name)).toMatchObject({ event: "stopped", role: name, drained: true });
  }, 20_000);
});

async function sectionsOf(document: string): Promise<Section[]> {
  return readSections(await Bun.file(join(ROOT, document)).text());
}

async function perform(document: string, block: Block): Promise<void> {
  try {
    for (const [index, name] of block.on.entries()) {
      if (name === "repo") expectScripts(block);
      else if (name === "client" || name === "server") await performOn(name, block, block.prints[index]);
      // A kernel is the whole machine's.
      else expect(name).toBe("kernel");
    }
  } catch (cause) {
    const logs = Object.values(running).map((job) => job.tail);
    throw new Error(`${document} line ${block.line} does not work\n${logs.join("\n\n")}`, { cause });
  }
}

async function performOn(name: keyof typeof hosts, block: Block, prints: string | undefined): Promise<void> {
  const host = hosts[name];
  let text = block.text;
  for (const [word, value] of printed) text = text.replaceAll(word, value);
  if (block.file !== undefined) await host.write(block.file, text);
  else if (block.merge !== undefined)
    await host.write(block.merge, mergeIni(await host.run(`cat ${block.merge}`), text));
  else if (block.keepsRunning) {
    const job = host.start(`${host.name}: ${text.trim()}`, text);
    running[name] = job;
    await job.line(/"event":"start"/);
  } else {
    const output = await host.run(text);
    if (prints !== undefined) printed.set(prints, output.trim());
  }
}

/** Commands for the source folder are run by CI itself; here they only have to exist. */
function expectScripts(block: Block): void {
  for (const command of block.text.trim().split("\n")) {
    const name = /^npm (?:run )?([\w:]+)$/.exec(command)?.[1] ?? "";
    expect(Object.keys(scripts)).toContain(name);
  }
}

/** Ends the `ut` of a host as a supervisor does: the last line of its log. */
async function terminate(name: keyof typeof LISTENERS): Promise<unknown> {
  // Asked from outside of the host, so it is the process id that is known here.
  const socket = await hosts[name].namespace.run(["sh", "-c", `ss -Hlnp ${LISTENERS[name]}`]);
  const pid = Number(/pid=(\d+)/.exec(socket)?.[1] ?? 0);
  expect(pid).toBeGreaterThan(1);
  process.kill(pid, "SIGTERM");
  return JSON.parse((await running[name]?.line(/"event":"stopped"/)) ?? "");
}

/** Everything but the lanes goes through the tunnel, also when the lanes have to be dialled anew. */
async function expectAllTraffic(laneRoute: string): Promise<void> {
  await hosts.client.run(`ping -c 3 -W 2 ${BEHIND}`);
  await expectTransfer(BEHIND);
  expect(await hosts.client.run(laneRoute)).toContain("via 192.168.1.1 dev eth0");
  expect(await hosts.client.run("ip route get 192.0.2.99")).toContain("dev wg0");
  await hosts.client.run("ss -HKtn dport = :5443");
  await expectTransfer(BEHIND);
}

/** 5 MB to `address` and 5 MB from there arrive with their checksums. */
async function expectTransfer(address: string): Promise<void> {
  const script = join(import.meta.dir, "http-blob.ts");
  const size = String(5 * MIB);
  await using http = hosts.server.namespace.start("http", [process.execPath, script, "serve", address, size, "seed"]);
  const [, url = "", checksum = ""] = (await http.line(/^serving/)).split(" ");
  const client = (...words: string[]) =>
    hosts.client.namespace.run([process.execPath, script, ...words], { timeoutMs: 30_000 });
  expect((await client("get", url)).trim()).toBe(`${size} ${checksum}`);
  expect((await client("put", url, size, "seed")).trim()).toBe(checksum);
}

/** Lanes that the server's kernel has open from `address`. */
async function lanesFrom(address: string): Promise<number> {
  const lanes = await hosts.server.run(`ss -Htn state established sport = :5443 dst ${address}`);
  return lanes.trim().split("\n").length;
}

const HOME_ROUTER = `table ip nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" masquerade
  }
}
`;

/** A host that lets nothing in but answers, and what comes through the tunnel. */
const PUBLIC_HOST = `table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname { "lo", "wg0" } accept
    ct state established,related accept
  }
}
`;
