import { describe, expect, test } from "bun:test";
import { NatPmpClient } from "../../../../src/core/portmap/nat-pmp.ts";
import { NAT_PMP_RESULTS } from "../../../../src/core/portmap/nat-pmp-codec.ts";
import { ClientBench, GATEWAY, OPTIONS } from "./client-bench.ts";

const ASK_ADDRESS = "0000";
const ADDRESS = "cb007107";
const GIVEN = { type: "mapped", external: { address: "203.0.113.7", port: 40_001 }, leaseSeconds: 3_600 } as const;
const NOTHING_IGNORED = { foreign: 0, malformed: 0, unasked: 0 };

function request(externalPort: number, lifetime: number): string {
  return `00010000ca6c${u16(externalPort)}${u32(lifetime)}`;
}

function address({ result = 0, epoch = 100, address = ADDRESS } = {}): string {
  return `0080${u16(result)}${u32(epoch)}${address}`;
}

function mapping({
  opcode = "81",
  result = 0,
  epoch = 100,
  internalPort = 51_820,
  externalPort = 40_001,
  lifetime = 3_600,
} = {}): string {
  return `00${opcode}${u16(result)}${u32(epoch)}${u16(internalPort)}${u16(externalPort)}${u32(lifetime)}`;
}

function u16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

function u32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

function bench(): ClientBench<NatPmpClient> {
  return new ClientBench(new NatPmpClient(OPTIONS));
}

/** With its mapping, epoch 100. */
function held(): ClientBench<NatPmpClient> {
  const held = bench().map().answer(address()).answer(mapping());
  held.told();
  held.sent.length = 0;
  return held;
}

describe("mapping", () => {
  test("first the address, then the port", () => {
    const asking = bench().map();
    expect([asking.sent, asking.client.mayHold]).toEqual([[`0: ${ASK_ADDRESS}`], false]);
    asking.answer(address());
    expect([asking.sent.slice(1), asking.client.mayHold]).toEqual([[`0: ${request(40_000, 7_200)}`], true]);
    asking.answer(mapping());
    expect([asking.events, asking.client.nextTimeout(), asking.client.ignored]).toEqual([
      [GIVEN],
      Infinity,
      NOTHING_IGNORED,
    ]);
  });

  test("silence: nine requests, doubling from 250 ms, then no answer", () => {
    const { client, sent, events } = bench().map().pass(200_000);
    expect(sent).toEqual(
      [0, 250, 750, 1_750, 3_750, 7_750, 15_750, 31_750, 63_750].map((at) => `${at}: ${ASK_ADDRESS}`),
    );
    expect(events).toEqual([{ type: "failed", kind: "no-answer", message: "no answer from 10.1.0.1 port 5351" }]);
    expect([client.mayHold, client.nextTimeout()]).toEqual([false, Infinity]);
  });

  test("an address and then silence: the gateway may hold the mapping", () => {
    const { client, sent, events } = bench().map().pass(300).answer(address()).pass(200_000);
    expect([sent.length, events.map(({ type }) => type), client.mayHold]).toEqual([2 + 9, ["failed"], true]);
  });

  test("TCP has its own opcode", () => {
    const tcp = new ClientBench(new NatPmpClient({ ...OPTIONS, transport: "tcp" })).map().answer(address());
    expect(tcp.sent[1]).toBe(`0: 00020000ca6c9c4000001c20`);
    expect(tcp.answer(mapping()).answer(mapping({ opcode: "82" })).events).toEqual([GIVEN]);
    expect(tcp.client.ignored).toEqual({ ...NOTHING_IGNORED, unasked: 1 });
  });

  test("a renewal asks for the address again and wishes for the port that was given", () => {
    const again = held().pass(1_800_000).map();
    again.answer(address({ epoch: 1_900, address: "c6336402" })).answer(mapping({ epoch: 1_900 }));
    expect(again.sent).toEqual([`1800000: ${ASK_ADDRESS}`, `1800000: ${request(40_001, 7_200)}`]);
    expect(again.events).toEqual([{ ...GIVEN, external: { address: "198.51.100.2", port: 40_001 } }]);
  });

  test("a lifetime of a century is believed for a day", () => {
    const { events } = bench()
      .map()
      .answer(address())
      .answer(mapping({ lifetime: 2 ** 32 - 1 }));
    expect(events).toEqual([{ ...GIVEN, leaseSeconds: 86_400 }]);
  });

  test.each([
    ["none", "00000000", "0.0.0.0"],
    ["multicast", "e0000001", "224.0.0.1"],
    ["loopback", "7f000001", "127.0.0.1"],
  ])("an external address of no use, %s: no port is asked for", (_name, bytes, text) => {
    const { sent, events } = bench()
      .map()
      .answer(address({ address: bytes }));
    const message = `gave the external address ${text}`;
    expect([sent.length, events]).toEqual([1, [{ type: "failed", kind: "no-external-address", message }]]);
  });

  test("port 0 is none", () => {
    const { events, client } = bench()
      .map()
      .answer(address())
      .answer(mapping({ externalPort: 0 }));
    expect(events).toEqual([{ type: "failed", kind: "bad-answer", message: "gave the external port 0" }]);
    expect(client.mayHold).toBe(true);
  });
});

describe("refusals", () => {
  const RESULTS = Object.entries(NAT_PMP_RESULTS).map(([code, { name, kind }]) => [Number(code), name, kind] as const);

  test.each(RESULTS)("result %d: %s", (result, name, kind) => {
    const failed = { type: "failed", kind, message: `refused with ${name} (${result})` } as const;
    const noAddress = bench().map().answer(address({ result }));
    const noPort = bench().map().answer(address()).answer(mapping({ result }).slice(0, 16));
    expect([noAddress.events, noPort.events]).toEqual([[failed], [failed]]);
    expect([noAddress.client.mayHold, noPort.client.mayHold]).toEqual([false, false]);
  });

  test("a refusal says nothing about the requests before it that were never answered", () => {
    const refusal = mapping({ result: 4 });
    const repeated = bench().map().answer(address()).pass(300).answer(refusal);
    const anew = bench().map().answer(address()).pass(200_000).map().answer(address()).answer(refusal);
    expect([repeated.client.mayHold, anew.client.mayHold]).toEqual([true, true]);
    expect(anew.unmap().answer(mapping({ lifetime: 0 })).client.mayHold).toBe(false);
  });

  test("a refused renewal leaves the mapping", () =>
    expect(
      held()
        .map()
        .answer(address())
        .answer(mapping({ result: 4 })).client.mayHold,
    ).toBe(true));
});

describe("unmapping", () => {
  test("lifetime 0 and external port 0; the answer ends it", () => {
    const gone = held()
      .unmap()
      .answer(mapping({ lifetime: 0, externalPort: 0 }));
    expect([gone.sent, gone.events, gone.client.mayHold]).toEqual([
      [`0: ${request(0, 0)}`],
      [{ type: "unmapped" }],
      false,
    ]);
  });

  test("silence: three requests within a second", () => {
    const { client, sent, events } = held().unmap().pass(60_000);
    expect(sent.map((line) => line.split(":")[0])).toEqual(["0", "250", "750"]);
    expect([events.map(({ type }) => type), client.mayHold]).toEqual([["failed"], true]);
  });

  test("a refusal may be that of the renewal before, so it goes on asking", () => {
    const refused = mapping({ result: 2 }).slice(0, 16);
    const gone = held()
      .unmap()
      .answer(refused)
      .answer(mapping({ lifetime: 0 }));
    const stays = held().unmap().answer(refused).pass(60_000);
    expect(gone.events).toEqual([{ type: "unmapped" }]);
    expect(stays.events).toEqual([
      { type: "failed", kind: "not-authorized", message: "refused with not authorized (2)" },
    ]);
    expect([gone.client.mayHold, stays.client.mayHold, stays.sent.length]).toEqual([false, true, 3]);
  });

  test("a late answer to the renewal before is not taken for it", () => {
    const { events, client } = held().map().answer(address()).unmap().answer(mapping());
    expect([events, client.ignored]).toEqual([[], { ...NOTHING_IGNORED, unasked: 1 }]);
  });
});

describe("the gateway's epoch", () => {
  test("an announcement of a new one: lost, and told once", () => {
    const lost = held()
      .pass(60_000)
      .announce(address({ epoch: 2 }))
      .announce(address({ epoch: 2 }));
    expect([lost.events, lost.client.mayHold]).toEqual([[{ type: "lost" }], false]);
  });

  test("an announcement of another address: what we know is wrong, but the mapping is still there", () => {
    const moved = held()
      .pass(60_000)
      .announce(address({ epoch: 160, address: "c6336402" }));
    expect([moved.events, moved.client.mayHold]).toEqual([[{ type: "lost" }], true]);
  });

  test("an announcement of what is known says nothing", () =>
    expect(
      held()
        .pass(60_000)
        .announce(address({ epoch: 160 })).events,
    ).toEqual([]));

  test("a renewal's answer with a new one: lost and there again", () => {
    const again = held()
      .pass(60_000)
      .map()
      .answer(address({ epoch: 3 }))
      .answer(mapping({ epoch: 3 }));
    expect(again.events).toEqual([{ type: "lost" }, GIVEN]);
  });
});

describe("what changes nothing", () => {
  const CASES: [string, string, typeof GATEWAY, Partial<typeof NOTHING_IGNORED>][] = [
    ["another address", mapping(), { ...GATEWAY, address: "10.1.0.66" }, { foreign: 1 }],
    ["another port of the gateway", mapping(), { ...GATEWAY, port: 5350 }, { foreign: 1 }],
    ["another transport", mapping({ opcode: "82" }), GATEWAY, { unasked: 1 }],
    ["another internal port", mapping({ internalPort: 51_821 }), GATEWAY, { unasked: 1 }],
    ["the end of the mapping, which nobody asked for", mapping({ lifetime: 0 }), GATEWAY, { unasked: 1 }],
    ["the address once more", address({ address: "0a000001" }), GATEWAY, { unasked: 1 }],
    ["PCP", `02${mapping().slice(2)}`, GATEWAY, { malformed: 1 }],
    ["a request", request(40_000, 7_200), GATEWAY, { malformed: 1 }],
    ["nothing at all", "", GATEWAY, { malformed: 1 }],
  ];

  test.each(CASES)("while asking for the port: %s", (_name, bytes, from, ignored) => {
    const asking = bench().map().answer(address()).answer(bytes, from);
    expect([asking.events, asking.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, ...ignored }]);
    expect(asking.answer(mapping()).events).toEqual([GIVEN]);
  });

  test("while nothing is asked: even the right answer", () => {
    const idle = held()
      .answer(mapping({ lifetime: 9 }))
      .answer(address({ epoch: 1 }));
    expect([idle.events, idle.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, unasked: 2 }]);
  });

  test("an announcement from anybody but the gateway, or of anything but its address", () => {
    const spoofed = held()
      .pass(60_000)
      .announce(address({ epoch: 2 }), { address: "10.1.0.66", port: 5351 });
    spoofed.announce(mapping({ epoch: 2 })).announce(address({ epoch: 2, result: 3 }));
    expect([spoofed.events, spoofed.client.ignored]).toEqual([[], { ...NOTHING_IGNORED, foreign: 1, unasked: 2 }]);
  });

  test("PCP's announcement on the common socket", () => {
    const other = held().announce(`0280000000000000${"00".repeat(16)}`);
    expect([other.events, other.client.ignored]).toEqual([[], NOTHING_IGNORED]);
  });
});
