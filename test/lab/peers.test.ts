import { expect, test } from "bun:test";
import type { NodeIdentity } from "../../src/app/role.ts";
import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type HostName } from "../contract/world.ts";
import { identity } from "../e2e/support/identities.ts";
import type { StatusJson } from "../e2e/support/peers.ts";
import { marked, type UdpEnd, udpEnd } from "../e2e/support/udp-end.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { describeLab } from "./describe-lab.ts";
import { openInside } from "./inside.ts";
import type { Job } from "./job.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { utBinary } from "./ut-binary.ts";

const { stun: SERVER, stunSecond: SECOND } = ADDRESSES;
const METRICS = "127.0.0.1:5080";
const RELAY_PORT = 15_001;
const ECHO_PORT = 15_002;

const server = await identity({ cn: "server", hosts: [SERVER] });
const office = await identity({ cn: "office" });
const home = await identity({ cn: "home" });

const PEER = {
  tcp: { server_addr: `${SERVER}:5443` },
  metrics: { listen_addr: METRICS },
  nat: { stun_servers: [`${SERVER}:3479`, `${SECOND}:3478`] },
  p2p: { port_mapping: false },
};

/** A relay at a1, an agent at b1 with a UDP echo as its service, and their server outside, as real binaries. */
class Pair implements AsyncDisposable {
  readonly world: NatWorld;
  readonly #open = new AsyncDisposableStack();

  constructor(world: NatWorld) {
    this.world = world;
  }

  static async start(lab: Lab, natA: NatName, natB: NatName, more: Record<string, unknown> = {}): Promise<Pair> {
    const pair = new Pair(await openNatWorld(lab, { a: natA, b: natB }));
    const listen = [SERVER, SECOND].flatMap((address) => [`${address}:3478`, `${address}:3479`]);
    await pair.#node("stun", server, { role: "server", server: { stun: { listen } } });
    const target = `127.0.0.1:${ECHO_PORT}`;
    const services = { udp: [{ name: "echo", target, allow: ["home"] }] };
    await pair.#node("b1", office, { ...PEER, ...more, role: "agent", services });
    const relay = [{ listen_addr: `127.0.0.1:${RELAY_PORT}`, to: "office", service: "echo" }];
    await pair.#node("a1", home, { ...PEER, ...more, role: "relay", relay });
    const inB = pair.world.namespaceOf("b1");
    pair.#open.use(await openInside(inB, () => udpEnd({ echo: true, port: ECHO_PORT })));
    return pair;
  }

  /** A program at a1. */
  async program(): Promise<UdpEnd> {
    return this.#open.use(await openInside(this.world.namespaceOf("a1"), () => udpEnd()));
  }

  async pipe(host: HostName): Promise<StatusJson["traversal"]["pipes"][number] | undefined> {
    const json = await this.world.namespaceOf(host).run(["curl", "-sS", "--fail", `http://${METRICS}/api/status`]);
    return (JSON.parse(json) as StatusJson).traversal.pipes[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open[Symbol.asyncDispose]();
    await this.world[Symbol.asyncDispose]();
  }

  async #node(host: HostName, who: NodeIdentity, settings: Record<string, unknown>): Promise<Job> {
    const config = this.#open.use(await configFolder(who, settings));
    const job = this.world.namespaceOf(host).start(`ut at ${host}`, [await utBinary(), "-config", config.path]);
    this.#open.use(job);
    await job.line(/"event":"start"/);
    return job;
  }
}

/** Sends datagrams, each as soon as the one before it is back, until `done`; what came back is what was sent, once. */
async function exchange(end: UdpEnd, done: () => Promise<boolean>): Promise<void> {
  const before = end.received.length;
  let sent = 0;
  while (!(await done())) {
    end.sendTo(RELAY_PORT, marked(sent, 1_200));
    sent += 1;
    await end.count(before + sent);
  }
  const numbers = end.received.slice(before).map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  expect(numbers).toEqual(Array.from({ length: sent }, (_, index) => index));
}

describeLab("ut relay and ut agent, each behind a NAT", () => {
  const direct: [NatName, NatName][] = [
    ["port-restricted", "port-restricted"],
    ["full-cone", "symmetric"],
  ];
  test.each(direct)(
    "%s and %s: datagrams flow from the first one and go direct without losing any",
    async (natA, natB) => {
      await using lab = await Lab.open();
      await using pair = await Pair.start(lab, natA, natB);
      const end = await pair.program();
      await exchange(end, async () => (await pair.pipe("a1"))?.route === "direct");
      const { sentDirect = 0 } = (await pair.pipe("a1"))?.counters ?? {};
      const before = end.received.length;
      await exchange(end, async () => end.received.length >= before + 50);
      expect((await pair.pipe("a1"))?.counters?.sentDirect).toBeGreaterThanOrEqual(sentDirect + 50);
    },
    40_000,
  );

  test("port-restricted and symmetric: hard-NAT punching gets them together, although neither knew its NAT at first", async () => {
    await using lab = await Lab.open();
    await using pair = await Pair.start(lab, "port-restricted", "symmetric", { hard_nat: { mode: "assist" } });
    const end = await pair.program();
    await exchange(end, async () => (await pair.pipe("a1"))?.route === "direct");
    expect((await pair.pipe("a1"))?.direct?.meta).toMatchObject({ winner: "hardnat", mode: "assist", role: "nat3" });
  }, 40_000);

  test("two symmetric ones: datagrams flow from the first one, and stay on the lanes", async () => {
    await using lab = await Lab.open();
    await using pair = await Pair.start(lab, "symmetric", "symmetric");
    const end = await pair.program();
    await exchange(end, async () => {
      const pipe = await pair.pipe("a1");
      return pipe?.ownNat.type === "symmetric" && pipe.attempts.some(({ report }) => report !== null);
    });
    const before = end.received.length;
    await exchange(end, async () => end.received.length >= before + 50);
    expect(await pair.pipe("a1")).toMatchObject({ route: "relay", direct: null });
  }, 40_000);
});
