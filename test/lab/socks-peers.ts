import { join } from "node:path";
import type { SocksStatus } from "../../src/core/socks/socks-status.ts";
import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES } from "../contract/world.ts";
import { identity } from "../e2e/support/identities.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { UtNode } from "./peers.ts";
import { startSsh } from "./ssh-server.ts";
import { utBinary } from "./ut-binary.ts";
import { overlay, UT_SERVER_PORT, type UtConfig } from "./ut-tunnel.ts";

const { stun: SERVER, stunSecond: SECOND, peer: WEB } = ADDRESSES;
export const SOCKS_PORT = 1_080;
const SSH_PORT = 2_222;
const SEED = "socks";
/** A large file is made first, on a machine that has other things to do. */
const MAKING_MS = 60_000;
/** The one name that the lab's name server knows. */
export const KNOWN_NAME = "www.lab.example";

const server = await identity({ cn: "server", hosts: [SERVER] });
const office = await identity({ cn: "office", agent: true });
const home = await identity({ cn: "home" });

export interface SocksPeersOptions {
  readonly natA: NatName;
  readonly natB: NatName;
  /** Laid over the configs of both peers. */
  readonly peer?: UtConfig;
}

/**
 * `ut socks` at a1 and `ut agent` at b1, each behind a NAT, as real binaries, and what they are for:
 *
 *   a1: curl, ssh, … ── 127.0.0.1:1080 ut socks ── nat a ── internet ── nat b ── ut agent :b1 ── sshd 127.0.0.1:2222
 *                                                     │                     └──── nat b ── internet ── peer: HTTP, DNS
 *                              stun: ut server 203.0.113.10:5443, STUN
 */
export class SocksPeers implements AsyncDisposable {
  readonly world: NatWorld;
  readonly server: UtNode;
  readonly agent: UtNode;
  readonly proxy: UtNode;
  readonly #lab: Lab;
  readonly #open: AsyncDisposableStack;

  private constructor(
    lab: Lab,
    world: NatWorld,
    [server, agent, proxy]: [UtNode, UtNode, UtNode],
    open: AsyncDisposableStack,
  ) {
    this.#lab = lab;
    this.world = world;
    this.server = server;
    this.agent = agent;
    this.proxy = proxy;
    this.#open = open;
  }

  static async open(lab: Lab, { natA, natB, peer = {} }: SocksPeersOptions): Promise<SocksPeers> {
    await using opening = new AsyncDisposableStack();
    const world = opening.use(await openNatWorld(lab, { a: natA, b: natB }));
    const binary = await utBinary();
    const start = async (host: "stun" | "a1" | "b1", who: typeof home, config: UtConfig) =>
      opening.use(await UtNode.start(lab, world.namespaceOf(host), binary, who, config));
    const listen = [SERVER, SECOND].flatMap((address) => [`${address}:3478`, `${address}:3479`]);
    const tcp = { server_addr: `${SERVER}:${UT_SERVER_PORT}` };
    const common = overlay({ tcp, nat: { stun_servers: [] }, p2p: { port_mapping: false } }, peer);
    const upstream = await start("stun", server, {
      role: "server",
      tcp: { listen_addr: `${SERVER}:${UT_SERVER_PORT}` },
      server: { stun: { listen } },
    });
    const socks = { allow: ["home"], destinations: ["public", `127.0.0.1:${SSH_PORT}`] };
    const agent = await start("b1", office, { ...common, role: "agent", services: { socks } });
    const proxy = await start("a1", home, { ...common, role: "socks", socks: { to: "office" } });
    await proxy.logged("streams_up");
    return new SocksPeers(lab, world, [upstream, agent, proxy], opening.move());
  }

  /** A web server outside with one file. Its address, and the file's SHA-256. */
  async web(bytes: number): Promise<{ readonly url: string; readonly sha256: string }> {
    const job = this.#start("peer", "http-blob.ts", "serve", WEB, String(bytes), SEED);
    const [, url = "", sha256 = ""] = (await job.line(/^serving /, MAKING_MS)).split(" ");
    return { url, sha256 };
  }

  /** A page outside, of several parts. */
  async page(): Promise<string> {
    return (await this.#start("peer", "browse.ts", "serve", WEB).line(/^serving /)).split(" ")[1] ?? "";
  }

  /** A web server outside whose answer has neither length nor end. */
  async endless(): Promise<string> {
    return (await this.#start("peer", "endless.ts", WEB).line(/^serving /)).split(" ")[1] ?? "";
  }

  /** A name server outside, its address. */
  async dns(): Promise<string> {
    await this.#start("peer", "dns.ts", "serve", WEB, KNOWN_NAME, "192.0.2.80").line(/^serving$/);
    return WEB;
  }

  /** A program at a1, to its end: its stdout. */
  run(...command: readonly string[]): Promise<string> {
    return this.world.namespaceOf("a1").run(command, { timeoutMs: 120_000 });
  }

  /** A program of the lab at a1, to its end. */
  runBun(script: string, ...args: readonly string[]): Promise<string> {
    return this.run(process.execPath, join(import.meta.dir, script), ...args);
  }

  /** An ssh server on b1's loopback. Returns the `ssh` of a1 that gets in there through the proxy. */
  async ssh(): Promise<readonly string[]> {
    const [ssh = "", ...rest] = await startSsh(this.#lab, this.world.namespaceOf("b1"), "127.0.0.1", SSH_PORT);
    return [ssh, "-o", `ProxyCommand=nc -X 5 -x 127.0.0.1:${SOCKS_PORT} %h %p`, ...rest];
  }

  /** The way of the one pipe now, as the proxy sees it. */
  async route(): Promise<string | undefined> {
    return (await this.proxy.status()).traversal.pipes[0]?.route;
  }

  /** What the proxy tells of itself. */
  async socks(): Promise<SocksStatus> {
    const { roles } = (await this.proxy.status()) as unknown as { roles: readonly { readonly socks: SocksStatus }[] };
    // Invariant: it is a proxy.
    return roles[0]?.socks as SocksStatus;
  }

  /** UDP between the two homes gets lost at one of their routers; what goes to the server does not. */
  async cut(): Promise<void> {
    const { natB } = this.world.addresses;
    await this.world.namespaceOf("a").nft(`
      table ip cut {
        chain forward {
          type filter hook forward priority -5;
          meta l4proto udp ip daddr ${natB} drop
          meta l4proto udp ip saddr ${natB} drop
        }
      }`);
  }

  async restore(): Promise<void> {
    await this.world.namespaceOf("a").nft("delete table ip cut");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
  }

  #start(host: "peer", script: string, ...args: readonly string[]): Job {
    const command = [process.execPath, join(import.meta.dir, script), ...args];
    return this.#open.use(this.world.namespaceOf(host).start(script, command));
  }
}
