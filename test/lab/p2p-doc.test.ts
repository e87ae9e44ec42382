import { expect, test } from "bun:test";
import { join } from "node:path";
import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type HostName } from "../contract/world.ts";
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
    await using lab = await Lab.open();
    await using bed = await Bed.open(lab, "port-restricted");
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
    await using bed = await Bed.open(lab, "symmetric");
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

/** The hosts of the document, home behind a NAT of some kind, and what runs on them. */
class Bed implements AsyncDisposable {
  readonly hosts: Readonly<Record<"server" | "office" | "home", PrivateHost>>;
  readonly #open: AsyncDisposableStack;
  readonly #logs = new Map<string, string[]>();
  /** Public keys by the word that stands for them. */
  readonly #keys = new Map<string, string>();

  private constructor(hosts: Bed["hosts"], open: AsyncDisposableStack) {
    this.hosts = hosts;
    this.#open = open;
  }

  static async open(lab: Lab, nat: NatName): Promise<Bed> {
    await using opening = new AsyncDisposableStack();
    const world = opening.use(await openNatWorld(lab, { a: nat, b: "port-restricted" }));
    const host = async (name: string, place: HostName, names: readonly string[]) =>
      opening.use(await PrivateHost.open(lab, name, world.namespaceOf(place), names));
    const server = await host("server", "stun", []);
    const [office, home] = [await host("office", "b1", NAMES), await host("home", "a1", NAMES)];
    await home.mayReach(server, "root@vpn.example.com");
    await home.mayReach(office, "root@office");
    const binary = await utBinary();
    for (const one of [server, office, home]) await one.run(`install -m 755 ${binary} /usr/local/bin/ut`);
    return new Bed({ server, office, home }, opening.move());
  }

  /** What the last one printed. */
  async follow(all: readonly Block[]): Promise<string> {
    let printed = "";
    for (const block of all) printed = await this.#perform(block);
    return printed;
  }

  /** A line of each kind, in whatever order. */
  async logged(name: string, ...kinds: readonly RegExp[]): Promise<void> {
    const lines = this.#logs.get(name) ?? [];
    const deadline = performance.now() + LOGGED_MS;
    while (!kinds.every((kind) => lines.some((line) => kind.test(line)))) {
      if (performance.now() > deadline) throw new Error(`${name} did not log ${kinds.join(", ")}\n${lines.join("\n")}`);
      await Bun.sleep(20);
    }
  }

  /** Of home, as it is told. */
  async pipe() {
    return JSON.parse(await this.hosts.home.run("ut nat explain office --json")).pipes[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }

  async #perform(block: Block): Promise<string> {
    let text = block.text;
    for (const [word, key] of this.#keys) text = text.replaceAll(word, key);
    let output = "";
    for (const [index, name] of block.on.entries()) {
      const host = this.hosts[name as keyof Bed["hosts"]];
      if (host === undefined) throw new Error(`docs/p2p.md line ${block.line}: there is no host ${name}`);
      if (block.file !== undefined) await host.write(block.file, text);
      else if (block.keepsRunning) await this.#start(name, host, text);
      else output = await host.run(text);
      const word = block.prints[index];
      if (word !== undefined) this.#keys.set(word, output.trim());
    }
    return output;
  }

  async #start(name: string, host: PrivateHost, text: string): Promise<void> {
    const lines: string[] = [];
    this.#logs.set(name, lines);
    const job = host.start(`ut at ${name}`, text, (line) => lines.push(line));
    await job.line(/"event":"start"/);
  }
}
