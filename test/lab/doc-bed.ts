import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type HostName } from "../contract/world.ts";
import type { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { PrivateHost } from "./private-host.ts";
import type { Block } from "./readme-blocks.ts";
import { utBinary } from "./ut-binary.ts";

const NAMES = [`${ADDRESSES.stun} vpn.example.com`];
const LOGGED_MS = 60_000;

/**
 * The hosts of the documents' worked examples, on the map of test/contract/world.ts: home behind a NAT of some kind,
 * office behind a port-restricted one, their server outside; and what runs on them. What the reader does by hand is
 * done by hand: what one host printed replaces its name in capital letters in another host's file.
 */
export class DocBed implements AsyncDisposable {
  readonly hosts: Readonly<Record<"server" | "office" | "home", PrivateHost>>;
  readonly #open: AsyncDisposableStack;
  readonly #logs = new Map<string, string[]>();
  /** Public keys by the word that stands for them. */
  readonly #keys = new Map<string, string>();

  private constructor(hosts: DocBed["hosts"], open: AsyncDisposableStack) {
    this.hosts = hosts;
    this.#open = open;
  }

  static async open(lab: Lab, nat: NatName): Promise<DocBed> {
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
    return new DocBed({ server, office, home }, opening.move());
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
      const host = this.hosts[name as keyof DocBed["hosts"]];
      if (host === undefined) throw new Error(`line ${block.line}: there is no host ${name}`);
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
