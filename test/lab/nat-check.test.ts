import { afterAll, beforeAll, expect, test } from "bun:test";
import { StunServer } from "../../src/core/stun/server.ts";
import { openFan } from "../../src/io/udp/udp-fan.ts";
import { hex } from "../bytes.ts";
import { startServers } from "../contract/classify.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { expectedVerdict, type Servers, verdictOf } from "../contract/verdicts.ts";
import { ADDRESSES } from "../contract/world.ts";
import { serverIdentity } from "../e2e/support/identities.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { Random } from "../random.ts";
import { LyingServer } from "../sim/lying-server.ts";
import { startCoturn } from "./coturn.ts";
import { describeLab } from "./describe-lab.ts";
import { openInside } from "./inside.ts";
import { Lab } from "./lab.ts";
import { Miniupnpd } from "./miniupnpd.ts";
import type { Namespace } from "./namespace.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { utBinary } from "./ut-binary.ts";

const ROW_LIMIT_MS = 120_000;
const { stun: STUN, stunSecond: SECOND, peer: PEER, gatewayA: GATEWAY } = ADDRESSES;
const LIARS_SEED = 1_000;

let lab: Lab;
let ut: string;

/** `ut nat check --json` on a host: the report, and the exit code. */
async function check(host: Namespace, ...argv: string[]) {
  // Namespaces give back what a program prints, but not with which code it ended.
  const script = '"$@"; echo $?';
  const printed = await host.run(["sh", "-c", script, "sh", ut, "nat", "check", "--json", ...argv]);
  const [json = "", code] = printed.trim().split("\n");
  const { local, gateway, ...report } = JSON.parse(json);
  return { report, local, gateway, code: Number(code) };
}

/** Asks these servers from home. */
async function checkAtHome(world: NatWorld, ...servers: string[]) {
  return await check(world.namespaceOf("a1"), ...servers.flatMap((server) => ["--stun", server]));
}

/** `ut server` with STUN at both ports of each address, as the node of a user runs it. */
async function withUtServer(world: NatWorld, addresses: readonly string[], body: () => Promise<void>): Promise<void> {
  const listen = addresses.flatMap((address) => [`${address}:3478`, `${address}:3479`]);
  await using config = await configFolder(serverIdentity, { role: "server", server: { stun: { listen } } });
  await using server = world.namespaceOf("stun").start("ut server", [ut, "-config", config.path]);
  await server.line(/"event":"start"/);
  await body();
}

/** Three honest servers that do nothing but Binding, each somebody else's; a liar; and an address where nobody is. */
async function startOthers(world: NatWorld): Promise<{ honest: string[]; liar: string; dead: string }> {
  const honest = ["203.0.113.21", "203.0.113.22", "203.0.113.23"];
  const liar = "203.0.113.41";
  await world.namespaceOf("peer").ip([...honest, liar].map((address) => `addr add ${address}/24 dev eth0`));
  for (const address of honest)
    await world.start("peer", [{ address, port: 3_478 }], (sockets) => new StunServer({ sockets }));
  const lies = () => new LyingServer("random-address", new Random(LIARS_SEED));
  await world.start("peer", [{ address: liar, port: 3_478 }], lies);
  return { honest, liar, dead: "203.0.113.99" };
}

/** A gateway that can do nothing but tell its address outside, in hex, by NAT-PMP (RFC 6886 §3.2). */
async function tellAddress(router: Namespace, address: string): Promise<Disposable> {
  const fan = await openInside(router, () => openFan([{ address: GATEWAY, port: 5351 }]));
  fan.onDatagram = ({ from, payload }) => {
    if (payload.length === 2) fan.send([{ socket: 0, to: from, payload: hex(`00 80 0000 00000001 ${address}`) }]);
  };
  return fan;
}

describeLab("ut nat check", () => {
  beforeAll(async () => {
    [lab, ut] = await Promise.all([Lab.open(), utBinary()]);
  }, ROW_LIMIT_MS);
  afterAll(async () => await lab[Symbol.asyncDispose]());

  for (const nat of Object.keys(NATS) as NatName[])
    test.concurrent(
      nat,
      async () => {
        await using world = await openNatWorld(lab, { a: nat });
        const expectVerdict = async (kind: Servers, ...servers: string[]) => {
          const { report, code } = await checkAtHome(world, ...servers);
          expect([kind, code, verdictOf(report)]).toEqual([kind, 0, expectedVerdict(nat, undefined, kind)]);
          return report.servers.map(({ outcome }: { outcome: { kind: string } }) => outcome.kind);
        };
        {
          await using _coturn = await startCoturn(lab, world.namespaceOf("stun"), [STUN, SECOND]);
          // Waiting for nobody takes as long as there is, whoever it is.
          if (nat === "blocked") return void (await expectVerdict("rfc5780", STUN));
          await expectVerdict("rfc5780", `${STUN}:3478`);
          const { honest, liar, dead } = await startOthers(world);
          expect(await expectVerdict("rfc5780", dead, liar, STUN, ...honest)).toEqual([
            "timeout",
            "contradicts",
            ...Array<string>(4).fill("answered"),
          ]);
        }
        await withUtServer(world, [STUN], async () => void (await expectVerdict("one-address", STUN)));
        await withUtServer(world, [STUN, SECOND], async () => void (await expectVerdict("rfc5780", STUN)));
      },
      ROW_LIMIT_MS,
    );

  const atOnce = (name: string, body: () => Promise<void>) => test.concurrent(name, body, ROW_LIMIT_MS);

  atOnce("no NAT: open", async () => {
    await using world = await openNatWorld(lab, { a: "full-cone" });
    using _servers = await startServers(world, "rfc5780");
    const { report, local, gateway } = await check(world.namespaceOf("peer"), "--stun", STUN, "--port", "40000");
    expect(verdictOf(report)).toEqual(expectedVerdict("none", undefined, "rfc5780"));
    expect([local, gateway]).toEqual([
      { address: PEER, port: 40_000 },
      { address: "203.0.113.1", protocols: [], externalAddress: null },
    ]);
  });

  atOnce("a home router that maps ports: the only NAT", async () => {
    const wanPrefix = "11.51.100";
    await using world = await openNatWorld(lab, { a: "port-restricted" }, { wanPrefix });
    using _servers = await startServers(world, "rfc5780");
    await using daemon = await Miniupnpd.start(lab, world.namespaceOf("a"));
    const { report, gateway } = await checkAtHome(world, STUN);
    const expected = expectedVerdict("port-restricted", undefined, "rfc5780");
    expect(verdictOf(report)).toEqual({ ...expected, address: world.addresses.natA, layers: "one" });
    expect(gateway).toEqual({
      address: GATEWAY,
      protocols: ["pcp", "nat-pmp", "upnp"],
      externalAddress: world.addresses.natA,
    });
    expect(await daemon.mappings()).toEqual([]);
  });

  atOnce("a carrier's NAT behind the router's: two", async () => {
    const map = { a: "address-restricted", carrier: "full-cone-hairpin" } as const;
    await using world = await openNatWorld(lab, map);
    using _servers = await startServers(world, "rfc5780");
    using _gateway = await tellAddress(world.namespaceOf("a"), "64400002");
    const { report, gateway } = await checkAtHome(world, STUN);
    expect(verdictOf(report)).toEqual(expectedVerdict(map.a, map.carrier, "rfc5780"));
    expect(gateway).toEqual({ address: GATEWAY, protocols: ["nat-pmp"], externalAddress: "100.64.0.2" });
  });

  atOnce("two checks behind one NAT at the same time", async () => {
    await using world = await openNatWorld(lab, { a: "port-restricted" });
    using _servers = await startServers(world, "rfc5780");
    const hosts = [world.namespaceOf("a1"), world.namespaceOf("a2")];
    const both = await Promise.all(hosts.map((host) => check(host, "--stun", STUN)));
    const expected = expectedVerdict("port-restricted", undefined, "rfc5780");
    expect(both.map(({ report }) => verdictOf(report))).toEqual([expected, expected]);
  });

  atOnce("no name can be looked up: 1, and each failure is told", async () => {
    await using world = await openNatWorld(lab, { a: "full-cone" });
    const { report, code } = await check(world.namespaceOf("a1"), "--stun", "stun.invalid", "--stun", "two.invalid:1");
    expect([code, report.type, report.reasons]).toEqual([1, "unknown", ["nothing-resolved"]]);
    const unresolved = {
      endpoint: null,
      outcome: { kind: "unresolved", message: expect.stringMatching(/^could not be resolved: /) },
      otherAddress: null,
    };
    expect(report.servers).toEqual([
      { name: "stun.invalid:3478", ...unresolved },
      { name: "two.invalid:1", ...unresolved },
    ]);
  });

  atOnce("no route: 1, and nothing is called blocked", async () => {
    const { report, local, gateway, code } = await check(await lab.namespace("nowhere"), "--stun", STUN);
    expect([code, report.type, report.reasons, local, gateway]).toEqual([1, "unknown", ["no-route"], null, null]);
    expect(report.servers).toMatchObject([{ outcome: { kind: "unresolved", message: `no route to ${STUN}` } }]);
  });

  atOnce("Ctrl-C: 130, at once and without a word", async () => {
    await using world = await openNatWorld(lab, { a: "blocked" });
    const command = [ut, "nat", "check", "--stun", STUN];
    const job = world.namespaceOf("a1").start("ut nat check", command);
    await job.line(/^testing/);
    const ended = job.line(/never/).catch(String);
    expect(await job.stop("SIGINT")).toEqual([]);
    expect(await ended).toContain("ended (exit 130)");
  });
});
