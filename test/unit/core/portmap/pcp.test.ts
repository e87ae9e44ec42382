import { describe, expect, test } from "bun:test";
import { PcpClient } from "../../../../src/core/portmap/pcp.ts";
import { PCP_RESULTS } from "../../../../src/core/portmap/pcp-results.ts";
import type { PortMapClientEvent } from "../../../../src/core/portmap/protocol.ts";
import { ClientBench, GATEWAY, OPTIONS } from "./client-bench.ts";

const NONCE = "000102030405060708090a0b";
const MAPPED = "00000000000000000000ffff";

/** What leaves: `lifetime`, and the external port and address that are wished for. */
function request(lifetime: number, externalPort = 40_000, external = "00000000"): string {
  return `02010000${u32(lifetime)}${MAPPED}0a01000b${NONCE}11000000ca6c${u16(externalPort)}${MAPPED}${external}`;
}

interface Answer {
  version?: string;
  result?: number;
  lifetime?: number;
  epoch?: number;
  nonce?: string;
  protocol?: string;
  internalPort?: number;
  externalPort?: number;
  external?: string;
}

function answer({
  version = "02",
  result = 0,
  lifetime = 3_600,
  epoch = 100,
  nonce = NONCE,
  protocol = "11",
  internalPort = 51_820,
  // A refusal repeats what was wished for.
  externalPort = result === 0 ? 40_001 : 40_000,
  external = `${MAPPED}cb007107`,
}: Answer = {}): string {
  const header = `${version}8100${u16(result).slice(2)}${u32(lifetime)}${u32(epoch)}${"00".repeat(12)}`;
  return `${header}${nonce}${protocol}000000${u16(internalPort)}${u16(externalPort)}${external}`;
}

function announcement(epoch: number): string {
  return `0280000000000000${u32(epoch)}${"00".repeat(12)}`;
}

function u16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function u32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function bench(): ClientBench<PcpClient> {
  return new ClientBench(new PcpClient(OPTIONS));
}

/** With its mapping, epoch 100. */
function held(): ClientBench<PcpClient> {
  const held = bench().map().answer(answer());
  held.told();
  held.sent.length = 0;
  return held;
}

const GIVEN = { address: "203.0.113.7", port: 40_001 };
const NOTHING_IGNORED = { foreign: 0, malformed: 0, unasked: 0 };

describe("mapping", () => {
  test("a request and its answer", () => {
    const { client, sent, events } = bench().map().answer(answer());
    expect(sent).toEqual([`0: ${request(7_200)}`]);
    expect(events).toEqual([{ type: "mapped", external: GIVEN, leaseSeconds: 3_600 }]);
    expect([client.mayHold, client.nextTimeout(), client.ignored]).toEqual([true, Infinity, NOTHING_IGNORED]);
  });

  test("silence: three requests, doubling from 3 s, then no answer; the gateway may hold it all the same", () => {
    const { client, sent, events } = bench().map().pass(60_000);
    expect(sent).toEqual([0, 3_000, 9_000].map((at) => `${at}: ${request(7_200)}`));
    expect(events).toEqual([{ type: "failed", kind: "no-answer", message: "no answer from 10.1.0.1 port 5351" }]);
    expect([client.mayHold, client.nextTimeout()]).toEqual([true, Infinity]);
  });

  test("the waits are spread by a tenth, each by its own", () => {
    let next = 0;
    const random = () => new Uint8Array(4).fill([0x00, 0xff, 0x80][next++ % 3] ?? 0);
    const { sent } = new ClientBench(new PcpClient({ ...OPTIONS, random })).map().pass(60_000);
    expect(sent.map((line) => line.split(":")[0])).toEqual(["0", "2700", "8640"]);
  });

  test("an answer to a repeated request ends the repetition", () => {
    const { sent, events } = bench().map().pass(4_000).answer(answer()).pass(60_000);
    expect([sent.length, events.length]).toEqual([2, 1]);
  });

  test("a renewal wishes for what was given, and another address is told as it is", () => {
    const again = held();
    again
      .pass(1_800_000)
      .map()
      .answer(answer({ epoch: 1_900, external: `${MAPPED}c6336402`, externalPort: 5 }));
    expect(again.sent).toEqual([`1800000: ${request(7_200, 40_001, "cb007107")}`]);
    expect(again.events).toEqual([
      { type: "mapped", external: { address: "198.51.100.2", port: 5 }, leaseSeconds: 3_600 },
    ]);
  });

  test("a lifetime of a century is believed for a day", () => {
    const { events } = bench()
      .map()
      .answer(answer({ lifetime: 2 ** 32 - 1 }));
    expect(events).toEqual([{ type: "mapped", external: GIVEN, leaseSeconds: 86_400 }]);
  });

  test.each([
    ["none", `${MAPPED}00000000`, 40_001, "0.0.0.0:40001"],
    ["multicast", `${MAPPED}e0000001`, 40_001, "224.0.0.1:40001"],
    ["loopback", `${MAPPED}7f000001`, 40_001, "127.0.0.1:40001"],
    ["port 0", `${MAPPED}cb007107`, 0, "203.0.113.7:0"],
  ])("an external address of no use: %s", (_name, external, externalPort, text) => {
    const { client, events } = bench().map().answer(answer({ external, externalPort }));
    const message = `gave the external address ${text}`;
    expect(events).toEqual([{ type: "failed", kind: "no-external-address", message }]);
    expect(client.mayHold).toBe(true);
  });

  test("abandoned: nothing is sent or told any more, and what comes late counts for nothing", () => {
    const { client, sent, events } = bench().map();
    client.abandon();
    const late = new ClientBench(client).pass(60_000).answer(answer());
    expect([sent.length, late.sent, events, late.events]).toEqual([1, [], [], []]);
    expect([client.mayHold, client.ignored]).toEqual([true, { ...NOTHING_IGNORED, unasked: 1 }]);
  });
});

describe("refusals", () => {
  test.each(Object.entries(PCP_RESULTS).map(([code, { name, kind }]) => [Number(code), name, kind] as const))(
    "result %d: %s",
    (result, name, kind) => {
      const { client, events } = bench()
        .map()
        .answer(answer({ result, lifetime: 30 }));
      const message = `refused with ${name} (${result})`;
      expect(events).toEqual([{ type: "failed", kind, message, retryAfterSeconds: 30 }]);
      expect([client.mayHold, client.nextTimeout()]).toEqual([false, Infinity]);
    },
  );

  test("a result that came after RFC 6887, to be believed for half an hour at most", () => {
    const { events } = bench()
      .map()
      .answer(answer({ result: 99, lifetime: 86_400 }));
    const message = "refused with a code without a name (99)";
    expect(events).toEqual([{ type: "failed", kind: "bad-answer", message, retryAfterSeconds: 1_800 }]);
  });

  test.each([
    ["NAT-PMP", "0081000100012345", "answered with version 0 instead of 2"],
    ["a draft", "01810001000000000000000a", "answered with version 1 instead of 2"],
  ])("a gateway that speaks %s", (_name, bytes, message) => {
    const { client, events } = bench().map().answer(bytes);
    expect(events).toEqual([{ type: "failed", kind: "unsupported", message }]);
    expect(client.mayHold).toBe(false);
  });

  test("a refusal says nothing about the requests before it that were never answered", () => {
    const refusal = answer({ result: 8, lifetime: 30 });
    const repeated = bench().map().pass(4_000).answer(refusal);
    const anew = bench().map().pass(60_000).map().answer(refusal);
    expect([repeated.client.mayHold, anew.client.mayHold]).toEqual([true, true]);
    expect(anew.unmap().answer(answer({ lifetime: 0 })).client.mayHold).toBe(false);
  });

  test("a refused renewal leaves the mapping", () => {
    const refused = held()
      .map()
      .answer(answer({ result: 8, lifetime: 30, externalPort: 40_001 }));
    expect(refused.told().map(({ type }) => type)).toEqual(["failed"]);
    expect(refused.client.mayHold).toBe(true);
  });

  test("a port that cannot be had is not wished for again", () => {
    const conflict = bench()
      .map()
      .answer(answer({ result: 11, lifetime: 30 }))
      .map();
    expect(conflict.sent).toEqual([`0: ${request(7_200)}`, `0: ${request(7_200, 0)}`]);
  });
});

describe("unmapping", () => {
  test("lifetime 0 and the same nonce; the answer ends it", () => {
    const gone = held()
      .unmap()
      .answer(answer({ lifetime: 0 }));
    expect(gone.sent).toEqual([`0: ${request(0, 0)}`]);
    expect([gone.events, gone.client.mayHold]).toEqual([[{ type: "unmapped" }], false]);
  });

  test("silence: three requests within a second", () => {
    const { client, sent, events } = held().unmap().pass(60_000);
    expect(sent.map((line) => line.split(":")[0])).toEqual(["0", "250", "750"]);
    expect([events.map(({ type }) => type), client.mayHold]).toEqual([["failed"], true]);
  });

  test("a refusal of it: the gateway goes on holding the mapping", () => {
    const { events, client } = held()
      .unmap()
      .answer(answer({ result: 2, externalPort: 0, lifetime: 0 }));
    expect(events).toEqual([{ type: "failed", kind: "not-authorized", message: "refused with NOT_AUTHORIZED (2)" }]);
    expect(client.mayHold).toBe(true);
  });

  test.each([
    ["answer to", answer()],
    ["refusal of", answer({ result: 8, externalPort: 40_001 })],
  ])("a late %s the renewal before is not taken for it", (_name, bytes) => {
    const { events, client } = held().map().unmap().answer(bytes);
    expect([events, client.ignored]).toEqual([[], { ...NOTHING_IGNORED, unasked: 1 }]);
  });
});

describe("the gateway's epoch", () => {
  const LOST: PortMapClientEvent = { type: "lost" };

  test("an announcement of a new one: lost, and told once", () => {
    const lost = held().pass(60_000).announce(announcement(2)).announce(announcement(2));
    expect([lost.events, lost.client.mayHold]).toEqual([[LOST], false]);
  });

  test("an announcement of the old one says nothing", () =>
    expect(held().pass(60_000).announce(announcement(160)).events).toEqual([]));

  test("a renewal's answer with a new one: lost and there again", () => {
    const again = held()
      .pass(60_000)
      .map()
      .answer(answer({ epoch: 3 }));
    expect(again.events).toEqual([LOST, { type: "mapped", external: GIVEN, leaseSeconds: 3_600 }]);
  });

  test("a refusal's new one counts as well", () => {
    const refused = held()
      .pass(60_000)
      .map()
      .answer(answer({ epoch: 3, result: 2, lifetime: 0, externalPort: 40_001 }));
    expect(refused.events).toEqual([
      LOST,
      { type: "failed", kind: "not-authorized", message: "refused with NOT_AUTHORIZED (2)" },
    ]);
    expect(refused.client.mayHold).toBe(false);
  });

  test("without a mapping there is nothing to lose", () =>
    expect(bench().announce(announcement(100)).pass(60_000).announce(announcement(1)).events).toEqual([]));
});

describe("what changes nothing", () => {
  const CASES: [string, string, typeof GATEWAY, Partial<typeof NOTHING_IGNORED>][] = [
    ["another address", answer(), { ...GATEWAY, address: "10.1.0.66" }, { foreign: 1 }],
    ["another port of the gateway", answer(), { ...GATEWAY, port: 5350 }, { foreign: 1 }],
    ["another nonce", answer({ nonce: NONCE.replace("0b", "0c") }), GATEWAY, { unasked: 1 }],
    ["another protocol", answer({ protocol: "06" }), GATEWAY, { unasked: 1 }],
    ["another internal port", answer({ internalPort: 51_821 }), GATEWAY, { unasked: 1 }],
    ["the end of the mapping, which nobody asked for", answer({ lifetime: 0 }), GATEWAY, { unasked: 1 }],
    ["another opcode", answer().replace("0281", "0282"), GATEWAY, { malformed: 1 }],
    ["a request", answer().replace("0281", "0201"), GATEWAY, { malformed: 1 }],
    ["a refusal without its mapping", answer({ result: 2 }).slice(0, 48), GATEWAY, { unasked: 1 }],
    ["an answer to somebody's NAT-PMP", "008000000000000acb007107", GATEWAY, { unasked: 1 }],
    ["nothing at all", "", GATEWAY, { malformed: 1 }],
  ];

  test.each(CASES)("while asking: %s", (_name, bytes, from, ignored) => {
    const asking = bench().map().answer(bytes, from);
    expect([asking.events, asking.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, ...ignored }]);
    expect(asking.answer(answer()).events).toEqual([{ type: "mapped", external: GIVEN, leaseSeconds: 3_600 }]);
  });

  test("while nothing is asked: even the right answer", () => {
    const idle = held().answer(answer({ external: `${MAPPED}0a000001`, lifetime: 9 }));
    expect([idle.events, idle.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, unasked: 1 }]);
  });

  test("an announcement from anybody but the gateway", () => {
    const spoofed = held().pass(60_000).announce(announcement(2), { address: "10.1.0.66", port: 5351 });
    expect([spoofed.events, spoofed.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, foreign: 1 }]);
  });

  test("a mapping's answer on the socket for announcements", () => {
    const asking = bench().map().announce(answer());
    expect([asking.events, asking.client.ignored]).toEqual([[], NOTHING_IGNORED]);
  });

  test("what comes in on the sockets of the others", () =>
    expect(bench().map().answer(answer(), GATEWAY, 1).events).toEqual([]));
});
