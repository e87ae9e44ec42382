import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../src/core/stun/attributes.ts";
import { longTermKey } from "../../src/core/stun/integrity.ts";
import { type StunOutcome, StunTransaction, type StunTransactionOptions } from "../../src/core/stun/transaction.ts";
import { ADDRESSES } from "../contract/world.ts";
import { serverIdentity } from "../e2e/support/identities.ts";
import { configFolder } from "../e2e/support/ut-process.ts";
import { startCoturn, withPassword } from "./coturn.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";
import { utBinary } from "./ut-binary.ts";

/**
 * STUN against coturn, both ways: our transactions ask its server, and its clients ask `ut server`, on the map of
 * test/contract/world.ts.
 */
const { stun: A, stunSecond: B } = ADDRESSES;
const at = (address: string, port: number): Endpoint => ({ address, port });
/** Both ports of both addresses. The partner of one with another port has 1 flipped, with another address 2. */
const SQUARE = [at(A, 3478), at(A, 3479), at(B, 3478), at(B, 3479)];
const PEER = at(ADDRESSES.peer, 40_000);
const change = (socket: number, other: number) => ({
  changeRequest: { changeIp: ((socket ^ other) & 2) !== 0, changePort: ((socket ^ other) & 1) !== 0 },
});

describeLab("STUN and coturn", () => {
  let lab: Lab;
  beforeAll(async () => {
    await utBinary();
    lab = await Lab.open();
  }, 150_000);
  afterAll(async () => await lab[Symbol.asyncDispose]());

  describe("our client", () => {
    test("hears from each socket of coturn what RFC 5780 promises", async () => {
      await using world = await openNatWorld(lab, { a: "full-cone" });
      await using _coturn = await startCoturn(lab, world.namespaceOf("stun"), [A, B]);
      for (const [asked, to] of SQUARE.slice(0, 2).entries()) {
        for (const [other, from] of SQUARE.entries()) {
          const options = { to, from, attributes: change(asked, other), encode: { fingerprint: true } };
          const told = { xorMappedAddress: PEER, mappedAddress: PEER, responseOrigin: from };
          expect(await ask(world, options)).toMatchObject({ kind: "success", from, message: { attributes: told } });
        }
      }
      expect(await ask(world, { to: at(A, 3478) })).toMatchObject({
        message: { attributes: { otherAddress: at(B, 3479) } },
      });
      expect(await ask(world, { to: at(A, 3478), attributes: { padding: 1_200 } })).toMatchObject({ kind: "success" });
      expect(await ask(world, { to: at(A, 3478), attributes: { useCandidate: true } })).toMatchObject({
        kind: "error",
        code: 420,
        message: { attributes: { unknownAttributes: [0x0025] } },
      });
    });

    test("proves to coturn that it knows the password, and has coturn prove it", async () => {
      await using world = await openNatWorld(lab, { a: "full-cone" });
      const who = { username: "somebody", realm: "example.org", password: "secret" };
      await using _coturn = await startCoturn(
        lab,
        world.namespaceOf("stun"),
        [A, B],
        withPassword(who.username, who.password, who.realm),
      );
      const to = at(A, 3478);
      const refused = await ask(world, { to });
      expect(refused).toMatchObject({ kind: "error", code: 401, message: { attributes: { realm: who.realm } } });
      const { nonce } = refused.kind === "error" ? refused.message.attributes : {};
      if (nonce === undefined) throw new Error(`coturn gave no nonce: ${JSON.stringify(refused)}`);
      const attributes: StunAttributes = { username: who.username, realm: who.realm, nonce };
      const signed = (password: string) => ({
        attributes,
        encode: { integrity: { key: longTermKey({ ...who, password }), algorithm: "sha1" as const } },
      });
      expect(await ask(world, { to, ...signed("secret") })).toMatchObject({ kind: "success", from: to });
      // Its refusal is not signed, so it is as if nothing had come (RFC 8489 §9.1.4).
      const timing = { rtoMs: 500, sends: 1, lastWait: 1 };
      expect(await ask(world, { to, timing, ...signed("guess") })).toMatchObject({
        kind: "timeout",
        discarded: { badIntegrity: 1 },
      });
    });
  });

  describe("coturn's clients", () => {
    test("find at `ut server` with two addresses what the NAT does", async () => {
      await using world = await openNatWorld(lab, { a: "full-cone" });
      await using _server = await startUt(world, SQUARE.map(formatEndpoint));
      const verdicts: Record<string, string[]> = {};
      for (const [nat, tests] of [
        ["full-cone", "-m -f"],
        ["address-restricted", "-m -f"],
        ["port-restricted", "-m"],
        ["symmetric", "-m"],
      ] as const) {
        await world.setNat("a", nat);
        const said = await coturnSays(world, "turnutils_natdiscovery", ...tests.split(" "), A);
        verdicts[nat] = said.filter((line) => line.startsWith("NAT with"));
      }
      expect(verdicts).toEqual({
        "full-cone": ["NAT with Endpoint Independent Mapping!", "NAT with Endpoint Independent Filtering!"],
        "address-restricted": ["NAT with Endpoint Independent Mapping!", "NAT with Address Dependent Filtering!"],
        "port-restricted": ["NAT with Endpoint Independent Mapping!"],
        symmetric: ["NAT with Address and Port Dependent Mapping!"],
      });
    }, 30_000);

    test("are not led to a wrong verdict by one with a single address, out of the box", async () => {
      await using world = await openNatWorld(lab, { a: "symmetric" });
      await using _server = await startUt(world, undefined);
      const said = await coturnSays(world, "turnutils_natdiscovery", "-m", "-f", A);
      expect(said.filter((line) => line.startsWith("NAT with"))).toEqual([]);
      const plain = await coturnSays(world, "turnutils_stunclient", A);
      expect(plain.filter((line) => line.includes(`UDP reflexive addr: ${ADDRESSES.natA}:`))).not.toEqual([]);
      expect(await coturnSays(world, "turnutils_natdiscovery", "-m", "-P", A)).toContain(
        "The response is an error 420 (Unknown Attribute)",
      );
    });
  });
});

/** One transaction from the public host without a NAT. */
async function ask(
  world: NatWorld,
  options: Omit<StunTransactionOptions, "now" | "transactionId">,
): Promise<StunOutcome> {
  const transactionId = crypto.getRandomValues(new Uint8Array(12)).toHex();
  const running = await world.start(
    "peer",
    // One port for all: coturn's nonce is good for the address that it was given to.
    [PEER],
    (_local, now) => new StunTransaction({ now, transactionId, ...options }),
  );
  await world.until(() => running.machine.outcome !== undefined, 10_000);
  running.stop();
  const { outcome } = running.machine;
  if (outcome === undefined) throw new Error("the transaction goes on for more than ten seconds");
  return outcome;
}

/** The server's binary on the STUN host, where it listens to STUN by its default unless told. */
async function startUt(world: NatWorld, listen: readonly string[] | undefined): Promise<AsyncDisposable> {
  const server = listen === undefined ? {} : { stun: { listen } };
  const config = await configFolder(serverIdentity, { role: "server", server, tcp: { listen_addr: "127.0.0.1:0" } });
  const job = world.namespaceOf("stun").start("ut", [await utBinary(), "server", "-c", config.path]);
  await job.line(/"event":"start"/);
  return {
    async [Symbol.asyncDispose]() {
      await job[Symbol.asyncDispose]();
      await config[Symbol.asyncDispose]();
    },
  };
}

/** What a tool of coturn prints behind nat a, line by line. */
async function coturnSays(world: NatWorld, ...command: string[]): Promise<string[]> {
  // It fails where a test gets no answer, and tells the rest all the same.
  const said = await world.namespaceOf("a1").run(["sh", "-c", `${command.join(" ")} 2>&1 || true`]);
  return said.split("\n").map((line) => line.trim());
}
