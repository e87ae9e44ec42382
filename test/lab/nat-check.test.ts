import { afterAll, beforeAll, expect, test } from "bun:test";
import { StunServer } from "../../src/core/stun/server.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { expectedVerdict, type Servers, verdictOf } from "../contract/verdicts.ts";
import { ADDRESSES } from "../contract/world.ts";
import { serverIdentity } from "../e2e/support/identities.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { Random } from "../random.ts";
import { LyingServer } from "../sim/lying-server.ts";
import { startCoturn } from "./coturn.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { utBinary } from "./ut-binary.ts";

const ROW_LIMIT_MS = 120_000;
const { stun: STUN, stunSecond: SECOND } = ADDRESSES;
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
});
