import { describe, expect, test } from "bun:test";
import type { GatewayMapping, PortMapFailed } from "../../../../src/core/portmap/protocol.ts";
import { UpnpErrand } from "../../../../src/core/portmap/upnp-errand.ts";
import { type Listing, listMappings, MAX_LISTED, removeListed } from "../../../../src/core/portmap/upnp-listing.ts";
import type { Removed } from "../../../../src/core/portmap/upnp-mapping.ts";
import type { Talk } from "../../../../src/core/portmap/upnp-talk.ts";
import { utf8 } from "../../../bytes.ts";
import { type Answers, description, fault, GATEWAY, LOCATION, page, searchAnswer, success } from "./upnp-bench.ts";

/** Runs a talk with a gateway that answers as told, on a clock that goes on by `perRequestMs` with each request. */
function run<Result>(
  talk: Talk<Result>,
  answers: Answers,
  perRequestMs = 0,
): { result: Result | undefined; asked: string[] } {
  const asked: string[] = [];
  let now = 0;
  const errand = new UpnpErrand({ now, gateway: GATEWAY, talk, limitMs: 10_000 });
  errand.handleDatagram(now, {
    socket: 0,
    from: { address: GATEWAY, port: 1900 },
    payload: utf8(searchAnswer(LOCATION)),
  });
  for (let event = errand.pollEvent(); event !== undefined; event = errand.pollEvent()) {
    if (event.type === "done") return { result: event.result, asked };
    const { id, headers, path, body } = event.request;
    const action = /#(\w+)"/.exec(headers.SOAPAction ?? "")?.[1] ?? path;
    const values = new Map([...body.matchAll(/<(New\w+)>([^<]*)</g)].map(([, name = "", text = ""]) => [name, text]));
    asked.push([action, ...values.values()].join(" ").trim());
    now += perRequestMs;
    if (now >= errand.nextTimeout()) errand.handleTimeout(now);
    else errand.handleHttp(now, id, answers[action]?.(values) ?? fault(401));
  }
  return { result: undefined, asked };
}

const GATEWAY_ANSWERS: Answers = {
  "/root.xml": () => page(description({ version: 1 })),
  GetExternalIPAddress: () => success("GetExternalIPAddress", { NewExternalIPAddress: "203.0.113.7" }),
  DeletePortMapping: () => success("DeletePortMapping", {}),
};

const ENTRY = {
  NewRemoteHost: "",
  NewExternalPort: 7_000,
  NewProtocol: "UDP",
  NewInternalPort: 6_000,
  NewInternalClient: "10.1.0.11",
  NewEnabled: 1,
  NewPortMappingDescription: "ut",
  NewLeaseDuration: 120,
};
const MAPPING: GatewayMapping = {
  transport: "udp",
  externalPort: 7_000,
  internalAddress: "10.1.0.11",
  internalPort: 6_000,
  enabled: true,
  description: "ut",
  leaseSeconds: 120,
};

/** A gateway with these rows, and `end` behind them. */
function list(
  rows: readonly Record<string, string | number>[],
  end = 713,
  perRequestMs = 0,
): Listing | PortMapFailed | undefined {
  const GetGenericPortMappingEntry = (values: ReadonlyMap<string, string>) => {
    const row = rows[Number(values.get("NewPortMappingIndex"))];
    return row === undefined ? fault(end) : success("GetGenericPortMappingEntry", row);
  };
  return run(listMappings(GATEWAY), { ...GATEWAY_ANSWERS, GetGenericPortMappingEntry }, perRequestMs).result;
}

const listed = (mappings: GatewayMapping[], isComplete = true) => ({
  type: "listed" as const,
  externalAddress: "203.0.113.7",
  mappings,
  isComplete,
});

describe("a list", () => {
  test.each([713, 714, 402, 501])("ends where the gateway says %d", (end) => {
    const tcp = { ...ENTRY, NewProtocol: "tcp", NewExternalPort: 80, NewEnabled: "false", NewLeaseDuration: 0 };
    expect(list([ENTRY, tcp], end)).toEqual(
      listed([MAPPING, { ...MAPPING, transport: "tcp", externalPort: 80, enabled: false, leaseSeconds: 0 }]),
    );
  });

  test("of nothing", () => expect(list([])).toEqual(listed([])));

  test("leaves out rows that cannot be", () => {
    const wrong = [
      { ...ENTRY, NewProtocol: "SCTP" },
      { ...ENTRY, NewInternalClient: "nas.lan" },
      { ...ENTRY, NewExternalPort: 70_000 },
      { ...ENTRY, NewInternalPort: "x" },
      {},
    ];
    expect(list([...wrong, ENTRY])).toEqual(listed([MAPPING]));
  });

  test("shows what others wrote as one line of bounded length", () => {
    const row = { ...ENTRY, NewPortMappingDescription: `\u001b[2J\n${"a".repeat(999)}`, NewLeaseDuration: "soon" };
    expect(list([row])).toEqual(listed([{ ...MAPPING, description: ` [2J ${"a".repeat(59)}`, leaseSeconds: 0 }]));
  });

  test("without end is cut", () => {
    const endless = Array.from({ length: MAX_LISTED + 9 }, () => ENTRY);
    expect(list(endless)).toEqual(
      listed(
        Array.from({ length: MAX_LISTED }, () => MAPPING),
        false,
      ),
    );
  });

  test("that takes too long is what came in time", () => {
    expect(list([ENTRY, ENTRY, ENTRY], 713, 2_500)).toEqual(listed([MAPPING], false));
  });

  test("that the gateway refuses is told", () => {
    expect(list([], 606)).toEqual({
      type: "failed",
      kind: "not-authorized",
      message: "GetGenericPortMappingEntry was refused with ActionNotAuthorized (606)",
    });
  });
});

test("a mapping is removed by its port and protocol", () => {
  const removed: Removed = { type: "removed" };
  expect(run(removeListed(GATEWAY, "tcp", 7_000), GATEWAY_ANSWERS)).toEqual({
    result: removed,
    asked: ["/root.xml", "DeletePortMapping  7000 TCP"],
  });
});
