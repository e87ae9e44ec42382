import { expect, test } from "bun:test";
import { join } from "node:path";
import { ADDRESSES } from "../contract/world.ts";
import { describeLab } from "./describe-lab.ts";
import { DocBed } from "./doc-bed.ts";
import { Lab } from "./lab.ts";
import { readSections } from "./readme-blocks.ts";

/**
 * The worked example of docs/p2p.md, word for word: three hosts of the map in test/contract/world.ts, of which two are
 * behind port-restricted NATs. As in the README's test, what the reader does by hand is done by hand: the public key
 * that one host printed replaces its name in capital letters in the other host's file.
 */
const document = await Bun.file(join(import.meta.dir, "../../docs/p2p.md")).text();
const blocks = readSections(document).find(({ heading }) => heading === "WireGuard, home to office")?.blocks ?? [];

const EXPLAINED = /^office, wireguard: (?:direct|over the server)/m;

describeLab("docs/p2p.md", () => {
  test("WireGuard, home to office: it flows, and goes direct", async () => {
    expect(document).toContain(`\`${ADDRESSES.stun}\``);
    await using lab = await Lab.open();
    await using bed = await DocBed.open(lab, "port-restricted");
    const { home, office } = bed.hosts;
    expect(await bed.follow(blocks)).toMatch(EXPLAINED);
    const direct = /"event":"pipe_direct"/;
    const natType = /"event":"nat_type"/;
    await Promise.all([bed.logged("home", direct, natType), bed.logged("office", direct, natType)]);
    // As large as the tunnel takes: 1,380 with the headers of IPv4 and ICMP.
    await home.run("ping -c 3 -W 2 -M do -s 1352 10.78.0.1");
    const { sentDirect, tooLarge } = (await bed.pipe()).counters;
    expect([sentDirect > 3, tooLarge]).toEqual([true, 0]);
    expect(await office.run("ut nat explain home")).toMatch(/^home, wireguard: direct since .* by ICE within /m);
  }, 90_000);

  test("a tunnel to the other end's network is no way to go direct: the pipe would be carried by itself", async () => {
    await using lab = await Lab.open();
    await using bed = await DocBed.open(lab, "symmetric");
    const site = blocks.map((block) => ({
      ...block,
      text: block.text
        .replace("AllowedIPs = 10.78.0.0/24", `AllowedIPs = 10.78.0.0/24, ${ADDRESSES.b1}/32`)
        .replace("mode: fallback", "mode: off"),
    }));
    await bed.follow(site);
    // The second attempt finds the tunnel up.
    await bed.logged("home", /"event":"pipe_stays_on_relay"/);
    await bed.hosts.home.run("ping -c 14 10.78.0.1");
    const { attempts, counters } = await bed.pipe();
    expect(attempts.length).toBeGreaterThan(1);
    expect([counters.sentDirect, counters.sentRelay < 200]).toEqual([0, true]);
  }, 90_000);
});
