import { describe, expect, test } from "bun:test";
import { type StunService, startStunService } from "../../../../src/app/nat/stun-service.ts";
import { type Endpoint, parseEndpoint } from "../../../../src/core/net/endpoint.ts";
import type { StunAttributes } from "../../../../src/core/stun/attributes.ts";
import { BINDING, encodeStun } from "../../../../src/core/stun/message.ts";
import { type StunOutcome, StunTransaction } from "../../../../src/core/stun/transaction.ts";
import { now } from "../../../../src/io/clock.ts";
import { drive } from "../../../../src/io/drive.ts";
import { openFan } from "../../../../src/io/udp/udp-fan.ts";
import { Logbook } from "../../../e2e/support/logbook.ts";
import { until } from "../../../e2e/support/until.ts";

/** Where the sockets of a service are, as one that asks from this machine sees them. */
function endpoints(service: StunService | undefined): Endpoint[] {
  return (service?.status().listen ?? []).map((text) => {
    const { address, port } = parseEndpoint(text) ?? { address: "", port: 0 };
    return { address: address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address, port };
  });
}

/** One transaction from a socket of its own. */
async function ask(
  to: Endpoint | undefined,
  attributes: StunAttributes = {},
): Promise<StunOutcome & { local: Endpoint }> {
  using fan = await openFan([{ address: "127.0.0.1" }]);
  const { promise, resolve } = Promise.withResolvers<StunOutcome>();
  const transaction = new StunTransaction({
    now: now(),
    to: to ?? { address: "127.0.0.1", port: 9 },
    transactionId: crypto.getRandomValues(new Uint8Array(12)).toHex(),
    attributes,
    from: "anywhere",
  });
  using _driven = drive(transaction, fan, resolve);
  return { ...(await promise), local: fan.local[0] as Endpoint };
}

const change = (changeIp: boolean, changePort: boolean) => ({ changeRequest: { changeIp, changePort } });
const listen = (...hosts: string[]) => hosts.map((host) => ({ host, port: 0 }));

describe("STUN of a server", () => {
  test.each([["0.0.0.0"], ["::"], ["127.0.0.1"]])("on two ports of %s, with no setting more", async (host) => {
    using service = await startStunService(
      { listen: listen(host, host), public_addrs: [] },
      new Logbook().log("server"),
    );
    const [first, second] = endpoints(service);
    const plain = await ask(first);
    expect(plain).toMatchObject({
      kind: "success",
      from: first,
      message: { attributes: { xorMappedAddress: plain.local, otherAddress: second, otherPort: second?.port } },
    });
    expect(await ask(first, change(false, true))).toMatchObject({ kind: "success", from: second });
    expect(await ask(first, change(true, true))).toMatchObject({ kind: "error", code: 420, from: first });
    expect(service?.status().counters).toEqual({
      answered: 2,
      rateLimited: 0,
      malformed: 0,
      unknownAttributes: 1,
      unauthorized: 0,
      ignored: 0,
    });
  });

  test("behind a 1:1 NAT with two addresses is RFC 5780's by their public names", async () => {
    const outside = ["203.0.113.1:1", "203.0.113.1:2", "203.0.113.2:1", "203.0.113.2:2"].map(
      (text) => parseEndpoint(text) as Endpoint,
    );
    using service = await startStunService(
      { listen: listen("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.2"), public_addrs: outside },
      new Logbook().log("server"),
    );
    const inside = endpoints(service);
    expect(await ask(inside[1], change(true, true))).toMatchObject({
      kind: "success",
      from: inside[2],
      message: { attributes: { responseOrigin: outside[2], otherAddress: outside[2] } },
    });
  });

  test("goes on where one of its ports is taken, and says which one", async () => {
    using taken = await openFan([{ address: "127.0.0.1" }]);
    const port = taken.local[0]?.port ?? 0;
    const logbook = new Logbook();
    const settings = { listen: [{ host: "127.0.0.1", port }, ...listen("127.0.0.1")], public_addrs: [] };
    using service = await startStunService(settings, logbook.log("server"));
    expect(logbook.find("stun_bind_fail")).toMatchObject([{ level: "warn", listen: `127.0.0.1:${port}` }]);
    const [only] = endpoints(service);
    expect(await ask(only)).toMatchObject({ kind: "success", from: only });
  });

  test("is none where nothing is to be listened to", async () => {
    expect(await startStunService({ listen: [], public_addrs: [] }, new Logbook().log("server"))).toBeUndefined();
  });

  test("names who asks too often, once in a while", async () => {
    const logbook = new Logbook();
    using service = await startStunService({ listen: listen("127.0.0.1"), public_addrs: [] }, logbook.log("server"));
    using fan = await openFan([{ address: "127.0.0.1" }]);
    const to = endpoints(service)[0] as Endpoint;
    const payload = encodeStun({ class: "request", method: BINDING, transactionId: "00".repeat(12), attributes: {} });
    fan.send(Array.from({ length: 50 }, () => ({ socket: 0, to, payload })));
    await until("somebody to be limited", () => logbook.has("stun_limited"));
    expect(logbook.find("stun_limited")).toMatchObject([
      { level: "warn", remote: `127.0.0.1:${fan.local[0]?.port}`, rate_limited: 1 },
    ]);
  });
});
