import { expect, test } from "bun:test";
import { join } from "node:path";
import { ADDRESSES } from "../contract/world.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { PrivateHost } from "./private-host.ts";
import { type Block, readSections } from "./readme-blocks.ts";
import { utBinary } from "./ut-binary.ts";

/**
 * The worked example of docs/p2p.md, word for word: three hosts of the map in test/contract/world.ts, of which two are
 * behind port-restricted NATs. As in the README's test, what the reader does by hand is done by hand: the public key
 * that one host printed replaces its name in capital letters in the other host's file.
 */
const document = await Bun.file(join(import.meta.dir, "../../docs/p2p.md")).text();
const blocks = readSections(document).find(({ heading }) => heading === "WireGuard, home to office")?.blocks ?? [];

const NAMES = [`${ADDRESSES.stun} vpn.example.com`];
const LOGGED_MS = 60_000;
const EXPLAINED = /^office, wireguard: (?:direct|over the server)/m;

describeLab("docs/p2p.md", () => {
  test("WireGuard, home to office: it flows, and goes direct", async () => {
    expect(document).toContain(`\`${ADDRESSES.stun}\``);
    const binary = await utBinary();
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "port-restricted", b: "port-restricted" });
    await using server = await PrivateHost.open(lab, "server", world.namespaceOf("stun"));
    await using office = await PrivateHost.open(lab, "office", world.namespaceOf("b1"), NAMES);
    await using home = await PrivateHost.open(lab, "home", world.namespaceOf("a1"), NAMES);
    const hosts: Record<string, PrivateHost> = { server, office, home };
    await home.mayReach(server, "root@vpn.example.com");
    await home.mayReach(office, "root@office");
    for (const host of Object.values(hosts)) await host.run(`install -m 755 ${binary} /usr/local/bin/ut`);

    let printed = "";
    for (const block of blocks) printed = await perform(block, hosts);
    expect(printed).toMatch(EXPLAINED);

    await Promise.all(peers.map(({ direct }) => direct));
    // As large as the tunnel takes: 1,380 with the headers of IPv4 and ICMP.
    await home.run("ping -c 3 -W 2 -M do -s 1352 10.78.0.1");
    const { pipes } = JSON.parse(await home.run("ut nat explain office --json"));
    const { sentDirect, tooLarge } = pipes[0].counters;
    expect([sentDirect > 3, tooLarge]).toEqual([true, 0]);
    // Both have found out by now what the tunnel's own interface is, and nobody goes through the tunnel to carry it.
    await Promise.all(peers.map(({ natType }) => natType));
    expect(JSON.stringify(pipes[0].attempts)).not.toContain("10.78.0.");
    expect(await office.run("ut nat explain home")).toMatch(/^home, wireguard: direct since .* by ICE within /m);
  }, 90_000);
});

/** What the relay and the agent are expected to log, in whatever order. */
const peers: { readonly direct: Promise<string>; readonly natType: Promise<string> }[] = [];
/** Public keys by the word that stands for them. */
const keys = new Map<string, string>();

/** What it prints, of the last host. */
async function perform(block: Block, hosts: Record<string, PrivateHost>): Promise<string> {
  let text = block.text;
  for (const [word, key] of keys) text = text.replaceAll(word, key);
  let output = "";
  for (const [index, name] of block.on.entries()) {
    const host = hosts[name];
    if (host === undefined) throw new Error(`docs/p2p.md line ${block.line}: there is no host ${name}`);
    if (block.file !== undefined) await host.write(block.file, text);
    else if (block.keepsRunning) await start(name, host, text);
    else output = await host.run(text);
    const word = block.prints[index];
    if (word !== undefined) keys.set(word, output.trim());
  }
  return output;
}

async function start(name: string, host: PrivateHost, text: string): Promise<void> {
  const job = host.start(`ut at ${name}`, text);
  await job.line(/"event":"start"/);
  if (name === "server") return;
  const direct = job.line(/"event":"pipe_direct"/, LOGGED_MS);
  peers.push({ direct, natType: job.line(/"event":"nat_type"/, LOGGED_MS) });
}
