import { describe, expect, test } from "bun:test";
import { type GatewayOffer, GatewayProbe } from "../../../../src/core/portmap/gateway-probe.ts";
import { hex, utf8 } from "../../../bytes.ts";
import { type Answers, description, LOCATION, page, searchAnswer, success } from "./upnp-bench.ts";

const GATEWAY = "10.1.0.1";
const SOCKETS = { pcp: 0, natPmp: 1, upnp: 2 } as const;
const REQUESTS = {
  pcp: hex("02 00 0000 00000000 00000000000000000000ffff 0a01000b"),
  natPmp: hex("00 00"),
};
const FROM = { address: GATEWAY, port: 5351 };
const ANNOUNCE = "02 80 00 00 00000000 00012345 000000000000000000000000";
const ADDRESS = "00 80 0000 00012345 cb007107";
const UPNP: Answers = {
  "/root.xml": () => page(description({ version: 1 })),
  GetExternalIPAddress: () => success("GetExternalIPAddress", { NewExternalIPAddress: "203.0.113.9" }),
};

/** What the gateway says to PCP, to NAT-PMP and to UPnP; what is left out it does not answer. */
interface Gateway {
  readonly pcp?: string;
  readonly natPmp?: string;
  readonly upnp?: Answers;
}

/** Runs a probe to its end on a virtual clock. */
function probe(gateway: Gateway, limitMs?: number) {
  let now = 0;
  const machine = new GatewayProbe({
    now,
    gateway: GATEWAY,
    localAddress: "10.1.0.11",
    ...(limitMs !== undefined && { limitMs }),
  });
  /** When each of them was asked. */
  const sent = { pcp: [] as number[], natPmp: [] as number[], upnp: new Set<number>() };
  let offer: GatewayOffer | undefined;
  const pump = () => {
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
      const { socket, payload } = next;
      if (socket === SOCKETS.upnp) sent.upnp.add(now);
      else {
        const name = socket === SOCKETS.pcp ? "pcp" : "natPmp";
        expect([next.to, payload]).toEqual([FROM, REQUESTS[name]]);
        sent[name].push(now);
      }
    }
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      if (event.type === "offer") offer = event.offer;
      else {
        const { id, headers, path } = event.request;
        const answer = gateway.upnp?.[/#(\w+)"/.exec(headers.SOAPAction ?? "")?.[1] ?? path];
        const result = answer?.(new Map());
        if (result !== undefined) machine.handleHttp(now, id, result);
      }
    }
  };
  pump();
  for (const name of ["pcp", "natPmp"] as const) {
    const bytes = gateway[name];
    if (bytes !== undefined) machine.handleDatagram(now, { socket: SOCKETS[name], from: FROM, payload: hex(bytes) });
  }
  if (gateway.upnp !== undefined)
    machine.handleDatagram(now, {
      socket: SOCKETS.upnp,
      from: { address: GATEWAY, port: 1900 },
      payload: utf8(searchAnswer(LOCATION)),
    });
  pump();
  while (Number.isFinite(machine.nextTimeout())) {
    now = machine.nextTimeout();
    machine.handleTimeout(now);
    pump();
  }
  return { offer, sent: { ...sent, upnp: [...sent.upnp] }, now };
}

describe("an offer", () => {
  test("is told at once when the gateway has answered everything, and NAT-PMP's address comes first", () => {
    const { offer, now, sent } = probe({ pcp: ANNOUNCE, natPmp: ADDRESS, upnp: UPNP });
    expect(offer).toEqual({ protocols: ["pcp", "nat-pmp", "upnp"], externalAddress: "203.0.113.7" });
    expect({ ...sent, now }).toEqual({ pcp: [0], natPmp: [0], upnp: [0], now: 0 });
  });

  test("of a gateway that answers nothing is nothing, after two seconds and three requests each", () => {
    const { offer, now, sent } = probe({});
    expect(offer).toEqual({ protocols: [], externalAddress: undefined });
    expect({ ...sent, now }).toEqual({ pcp: [0, 250, 750], natPmp: [0, 250, 750], upnp: [0, 1_000], now: 2_000 });
  });

  test("is told when there is no more time, with what is known", () => {
    const { offer, now } = probe({ natPmp: ADDRESS }, 600);
    expect([offer, now]).toEqual([{ protocols: ["nat-pmp"], externalAddress: "203.0.113.7" }, 600]);
  });

  const natPmpOnly = { protocols: ["nat-pmp"] };
  test.each([
    ["UPnP alone", { upnp: UPNP }, { protocols: ["upnp"], externalAddress: "203.0.113.9" }],
    ["UPnP without a line", { upnp: { ...UPNP, GetExternalIPAddress: () => page("", 500) } }, { protocols: ["upnp"] }],
    ["UPnP that maps nothing", { upnp: { "/root.xml": () => page("<root/>") } }, {}],
    ["UPnP that hangs", { upnp: {} }, {}],
    ["PCP that knows no ANNOUNCE", { pcp: ANNOUNCE.replace("00 00", "00 04") }, { protocols: ["pcp"] }],
    [
      "NAT-PMP behind another NAT",
      { natPmp: ADDRESS.replace("cb007107", "64400002") },
      { ...natPmpOnly, externalAddress: "100.64.0.2" },
    ],
    ["NAT-PMP without a line", { natPmp: "00 80 0003 00012345" }, natPmpOnly],
    ["NAT-PMP with an address that is none", { natPmp: ADDRESS.replace("cb007107", "00000000") }, natPmpOnly],
    [
      "each refusing the other's version",
      { pcp: "00 80 0001 00012345", natPmp: "00 80 0001 00012345" },
      { protocols: [] },
    ],
    ["nonsense", { pcp: "ff", natPmp: "00 81 0000 00012345 0000 0000 00000000" }, {}],
  ] as [string, Gateway, Partial<GatewayOffer>][])("%s", (_name, gateway, offer) => {
    expect(probe(gateway).offer).toEqual({ protocols: [], externalAddress: undefined, ...offer });
  });

  test("is nobody else's to make: what others say is counted, and what comes late changes nothing", () => {
    const machine = new GatewayProbe({ now: 0, gateway: GATEWAY, localAddress: "10.1.0.11" });
    const stranger = { address: "10.1.0.66", port: 5351 };
    machine.handleDatagram(1, { socket: SOCKETS.pcp, from: stranger, payload: hex(ANNOUNCE) });
    machine.handleDatagram(1, { socket: SOCKETS.natPmp, from: stranger, payload: hex(ADDRESS) });
    machine.handleDatagram(1, { socket: SOCKETS.pcp, from: FROM, payload: hex("ff") });
    machine.handleDatagram(1, { socket: SOCKETS.natPmp, from: FROM, payload: hex(`00 81${"00".repeat(14)}`) });
    expect(machine.ignored).toEqual({ foreign: 2, malformed: 1, unasked: 1 });
    machine.handleTimeout(2_000);
    machine.handleDatagram(2_001, { socket: SOCKETS.natPmp, from: FROM, payload: hex(ADDRESS) });
    expect([machine.pollEvent(), machine.pollEvent(), machine.pollTransmit(), machine.nextTimeout()]).toEqual([
      { type: "offer", offer: { protocols: [], externalAddress: undefined } },
      undefined,
      undefined,
      Number.POSITIVE_INFINITY,
    ]);
  });
});
