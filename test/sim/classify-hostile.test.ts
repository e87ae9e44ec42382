import { describe, expect, test } from "bun:test";
import type { StunServer } from "../../src/core/nat/classifier-options.ts";
import type { NatReport } from "../../src/core/nat/nat-report.ts";
import { StunServer as StunServerMachine } from "../../src/core/stun/server.ts";
import { classify, configured, startServers } from "../contract/classify.ts";
import { NATS, type NatName } from "../contract/nat-spec.ts";
import { expectedVerdict, verdictOf } from "../contract/verdicts.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { LIES, type Lie, LyingServer, VICTIM } from "./lying-server.ts";
import { openSimWorld, type SimOptions, type SimWorld } from "./sim-world.ts";

const NAT_NAMES = Object.keys(NATS) as NatName[];
const PORT = 3_478;
/** Not the classifier's: with the same one they would guess its transactions. */
const LIARS_SEED = 1_000;

/** Three honest servers, one of which can do everything, and a fourth on demand. */
async function honest(world: SimWorld): Promise<StunServer[]> {
  const { list } = await startServers(world, "rfc5780");
  return [...list, ...(await plain(world, ["203.0.113.31", "203.0.113.32", "203.0.113.33"]))];
}

async function plain(world: SimWorld, addresses: readonly string[]): Promise<StunServer[]> {
  for (const address of addresses) {
    world.addPublicHost(address, [address]);
    await world.start(address, [{ address, port: PORT }], (local) => new StunServerMachine({ sockets: local }));
  }
  return addresses.map((address) => configured({ address, port: PORT }));
}

/** Two liars of one kind, each at two ports of its own address. */
async function liars(world: SimWorld, lie: Lie): Promise<StunServer[]> {
  const addresses = ["203.0.113.41", "203.0.113.42"];
  for (const [index, address] of addresses.entries()) {
    world.addPublicHost(address, [address]);
    const sockets = [PORT, PORT + 1].map((port) => ({ address, port }));
    await world.start(address, sockets, () => new LyingServer(lie, new Random(LIARS_SEED + index)));
  }
  return addresses.map((address) => configured({ address, port: PORT }));
}

function outcomes(report: NatReport): string[] {
  return report.servers.map(({ outcome }) => outcome.kind);
}

/** What the liars come to: those that lie about something else than the outside address are not found out. */
function expectedOutcome(lie: Lie, nat: NatName): string {
  switch (lie) {
    case "random-address":
    case "constant":
      return "contradicts";
    case "somebody-else":
      return "contradicts";
    case "random-port":
      return NATS[nat].mapping === "endpoint-independent" ? "contradicts" : "answered";
    case "nobody":
    case "garbage":
    case "error":
    case "wrong-transaction":
    case "no-address":
      return "error";
    case "another-source":
      return "timeout";
    default:
      return "answered";
  }
}

describe("a third of the servers", () => {
  test.each(NAT_NAMES)("dead: %s", async (nat) => {
    await using world = openSimWorld({ a: nat }, { seed: 1 });
    const dead = ["203.0.113.51", "203.0.113.52"].map((address) => configured({ address, port: PORT }));
    const report = await classify(world, "a1", { servers: [...dead, ...(await honest(world))] });
    expect(verdictOf(report)).toEqual(expectedVerdict(nat, undefined, "rfc5780"));
    expect(report.elapsedMs).toBeLessThanOrEqual(nat === "blocked" ? 5_000 : 1_000);
    if (nat !== "blocked")
      expect(outcomes(report)).toEqual(["timeout", "timeout", "answered", "answered", "answered", "answered"]);
  });

  for (const lie of LIES)
    test.each(NAT_NAMES)(`lying (${lie}): %s`, async (nat) => {
      for (const place of ["first", "last"] as const) {
        await using world = openSimWorld({ a: nat }, { seed: 1 });
        const [truth, lies] = [await honest(world), await liars(world, lie)];
        const report = await classify(world, "a1", {
          servers: place === "first" ? [...lies, ...truth] : [...truth, ...lies],
        });
        expect(verdictOf(report)).toEqual(expectedVerdict(nat, undefined, "rfc5780"));
        if (nat === "blocked") continue;
        const ofLiars = outcomes(report).slice(...(place === "first" ? [0, 2] : [4]));
        expect(ofLiars).toEqual(Array(2).fill(expectedOutcome(lie, nat)));
      }
    });
});

test("an address that a server names gets a handful of packets at most, and none that is no unicast address", async () => {
  for (const lie of ["victim-as-other", "multicast-as-other"] as const) {
    const hops: string[] = [];
    await using world = openSimWorld({ a: "full-cone" }, { seed: 1, onHop: (line) => hops.push(line) });
    world.addPublicHost("victim", [VICTIM.address]);
    await classify(world, "a1", { servers: await liars(world, lie) });
    const received = hops.filter((line) => /nat a: .*translated/.test(line) && / > (203\.0\.113\.99|239\.)/.test(line));
    // Two servers name the same victim, and only one of them is tested: seven packets to each of two ports.
    expect(received.length).toBe(lie === "victim-as-other" ? 14 : 0);
  }
});

test.each(NAT_NAMES)("two at once behind one NAT share the server's patience: %s", async (nat) => {
  await using world = openSimWorld({ a: nat }, { seed: 1 });
  const { list } = await startServers(world, "rfc5780");
  const reports = await Promise.all(
    (["a1", "a2"] as const).map((host, i) => classify(world, host, { servers: list }, i)),
  );
  const expected = expectedVerdict(nat, undefined, "rfc5780");
  expect(reports.map(verdictOf)).toEqual([expected, expected]);
});

describe("silence", () => {
  test("the report comes at the deadline", async () => {
    await using world = openSimWorld({ a: "blocked" }, { seed: 1 });
    const servers = await honest(world);
    const report = await classify(world, "a1", { servers, deadlineMs: 3_000 });
    expect([report.type, report.reasons, report.elapsedMs]).toEqual(["blocked", ["nothing-answered"], 3_000]);
  });

  test("names that could not be resolved are no sign of a blocked network", async () => {
    await using world = openSimWorld({ a: "blocked" }, { seed: 1 });
    const problem = "Cannot resolve stun.example: NXDOMAIN";
    const report = await classify(world, "a1", { servers: [{ name: "stun.example:3478", problem }] });
    expect(report).toMatchObject({
      type: "unknown",
      reasons: ["nothing-resolved"],
      servers: [{ name: "stun.example:3478", endpoint: null, outcome: { kind: "unresolved", message: problem } }],
      elapsedMs: 0,
    });
  });
});

/** How many of the runs came out right, over all NATs and many seeds. */
async function rightOf(seeds: readonly number[], quality: Omit<SimOptions, "seed">) {
  const count = { runs: 0, type: 0, whole: 0, late: 0 };
  for (const seed of seeds) {
    for (const nat of NAT_NAMES) {
      await using world = openSimWorld({ a: nat }, { seed, ...quality });
      const { list } = await startServers(world, "rfc5780");
      const verdict = await classify(world, "a1", { servers: list }, seed);
      const expected = expectedVerdict(nat, undefined, "rfc5780");
      count.runs++;
      if (verdict.type === expected.type) count.type++;
      if (Bun.deepEquals(verdictOf(verdict), expected)) count.whole++;
      if (verdict.elapsedMs > 5_000) count.late++;
    }
  }
  return count;
}

describe("a bad network, one server", () => {
  const seeds = fuzzSeeds("classify", 40);
  test.each([
    { loss: 0.05, duplication: 0.05, reordering: 0.05, type: 1, whole: 0.99 },
    { loss: 0.2, duplication: 0.05, reordering: 0.05, type: 0.98, whole: 0.95 },
  ])(
    "$loss lost, some twice, some late: right in $whole",
    async ({ type, whole, ...quality }) => {
      const count = await rightOf(seeds, quality);
      console.log(JSON.stringify({ ...quality, ...count }));
      expect(count.type / count.runs).toBeGreaterThanOrEqual(type);
      expect(count.whole / count.runs).toBeGreaterThanOrEqual(whole);
      expect(count.late).toBe(0);
    },
    SLOW_MACHINE_MS,
  );
});
