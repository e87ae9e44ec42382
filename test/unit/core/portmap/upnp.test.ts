import { describe, expect, test } from "bun:test";
import type { GatewayResult } from "../../../../src/core/portmap/protocol.ts";
import { MAP_LIMIT_MS, UNMAP_LIMIT_MS } from "../../../../src/core/portmap/upnp.ts";
import { Bench, description, fault, GATEWAY, LOCATION, page, searchAnswer, success } from "./upnp-bench.ts";

const mapped = (port: number, leaseSeconds = 120) => [
  { type: "mapped", external: { address: "203.0.113.7", port }, leaseSeconds },
];
const failed = (kind: string, message: string) => [{ type: "failed", kind, message }] as never;
const version2 = { "/root.xml": () => page(description({ version: 2 })) };
const reserved = (NewReservedPort: number) => () => success("AddAnyPortMapping", { NewReservedPort });

/** Answers of one call, one after the other; the last one again and again. */
function inTurn(...results: (GatewayResult | undefined)[]): () => GatewayResult | undefined {
  let turn = 0;
  return () => results[Math.min(turn++, results.length - 1)];
}

describe("a mapping", () => {
  test("is asked for after the gateway's service and address are known", () => {
    const bench = new Bench();
    expect(bench.client.mayHold).toBe(false);
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests).toEqual([
      "GET 5000 /root.xml",
      "GetExternalIPAddress /ctl",
      "AddPortMapping 7000 for 120 s",
    ]);
    expect(bench.client.mayHold).toBe(true);
    expect(bench.client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });

  test("of a v2 gateway gets the port that it chooses, and is renewed and removed with that", () => {
    const bench = new Bench({ ...version2, AddAnyPortMapping: reserved(7_044) });
    expect(bench.map()).toEqual(mapped(7_044) as never);
    expect(bench.map()).toEqual(mapped(7_044) as never);
    expect(bench.unmap()).toEqual([{ type: "unmapped" }]);
    expect(bench.requests.slice(2)).toEqual([
      "AddAnyPortMapping 7000 for 120 s",
      "GetExternalIPAddress /ctl",
      "AddPortMapping 7044 for 120 s",
      "DeletePortMapping 7044",
    ]);
    expect(bench.client.mayHold).toBe(false);
  });

  test("tells the external address that the gateway has now", () => {
    const bench = new Bench();
    bench.map();
    bench.answers.GetExternalIPAddress = () => success("GetExternalIPAddress", { NewExternalIPAddress: "100.64.0.9" });
    expect(bench.map()).toEqual([
      { type: "mapped", external: { address: "100.64.0.9", port: 7_000 }, leaseSeconds: 120 },
    ]);
  });

  test("is found again when the gateway's service has moved", () => {
    const bench = new Bench();
    bench.map();
    const { GetExternalIPAddress: told = () => undefined } = bench.answers;
    bench.answers.GetExternalIPAddress = inTurn(page("moved", 404), told(new Map()));
    bench.answers["/new.xml"] = () => page(description({ version: 1, controls: ["/new"] }));
    bench.locations = [`http://${GATEWAY}:6000/new.xml`];
    bench.requests.length = 0;
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests).toEqual([
      "GetExternalIPAddress /ctl",
      "GET 6000 /new.xml",
      "GetExternalIPAddress /new",
      "AddPortMapping 7000 for 120 s",
    ]);
  });
});

describe("a gateway that wants it otherwise gets it", () => {
  const added = success("AddPortMapping", {});
  const addAfter = (...codes: number[]) => ({ AddPortMapping: inTurn(...codes.map(fault), added) });
  const RANDOM = 49_152 + 0x0101;
  const forever = Number.POSITIVE_INFINITY;

  test.each([
    ["718: the port is taken", [718], ["7000 for 120 s", `${RANDOM} for 120 s`], mapped(RANDOM)],
    ["501: the same, by some", [501], ["7000 for 120 s", `${RANDOM} for 120 s`], mapped(RANDOM)],
    ["725: no leases", [725], ["7000 for 120 s", "7000 for 0 s"], mapped(7_000, forever)],
    ["402: the same, by some", [402], ["7000 for 120 s", "7000 for 0 s"], mapped(7_000, forever)],
    ["724: the port of inside", [724], ["7000 for 120 s", "6000 for 120 s"], mapped(6_000)],
    ["both", [725, 718], ["7000 for 120 s", "7000 for 0 s", `${RANDOM} for 0 s`], mapped(RANDOM, forever)],
  ])("%s", (_, codes, asked, events) => {
    const bench = new Bench(addAfter(...codes));
    expect(bench.map()).toEqual(events as never);
    expect(bench.requests.slice(2)).toEqual(asked.map((one) => `AddPortMapping ${one}`));
  });

  test.each([401, 602])("%d: a v2 gateway without AddAnyPortMapping", (code) => {
    const bench = new Bench({ ...version2, AddAnyPortMapping: () => fault(code) });
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests.slice(2)).toEqual(["AddAnyPortMapping 7000 for 120 s", "AddPortMapping 7000 for 120 s"]);
  });

  test("but not for ever", () => {
    const bench = new Bench({ AddPortMapping: () => fault(718) });
    expect(bench.map()).toEqual(failed("conflict", "AddPortMapping was refused with ConflictInMappingEntry (718)"));
    expect(bench.requests.slice(2)).toHaveLength(6);
    expect(bench.client.mayHold).toBe(false);
  });

  test.each([
    [606, "not-authorized", "ActionNotAuthorized"],
    [728, "no-resources", "NoPortMapsAvailable"],
    [727, "unsupported", "ExternalPortOnlySupportsWildcard"],
    [401, "unsupported", "InvalidAction"],
  ])("%d is a refusal: %s", (code, kind, name) => {
    const bench = new Bench({ AddPortMapping: () => fault(code) });
    expect(bench.map()).toEqual(failed(kind, `AddPortMapping was refused with ${name} (${code})`));
    expect([bench.client.mayHold, bench.requests.length]).toEqual([false, 3]);
  });
});

describe("a gateway that lies about its address is left as it was", () => {
  test.each([
    ["", "no-external-address", "has no external address now"],
    ["0.0.0.0", "no-external-address", "has no external address now"],
    ["127.0.0.1", "bad-answer", 'told an external address that is none: "127.0.0.1"'],
    ["224.0.0.1", "bad-answer", 'told an external address that is none: "224.0.0.1"'],
    ["999.1.1.1", "bad-answer", 'told an external address that is none: "999.1.1.1"'],
    ["x".repeat(99), "bad-answer", `told an external address that is none: "${"x".repeat(40)}"`],
  ])("%j", (NewExternalIPAddress, kind, message) => {
    const bench = new Bench({
      GetExternalIPAddress: () => success("GetExternalIPAddress", { NewExternalIPAddress }),
    });
    expect(bench.map()).toEqual(kind === "bad-answer" ? (failed(kind, message) as never) : failed(kind, message));
    expect(bench.requests).toEqual(["GET 5000 /root.xml", "GetExternalIPAddress /ctl"]);
    expect(bench.client.mayHold).toBe(false);
  });
});

describe("the search", () => {
  test("asks the group and the gateway for each target, three times, and gives up", () => {
    const bench = new Bench();
    bench.client.map(0);
    const sent: string[] = [];
    for (let round = 0; round < 3; round++) {
      for (let next = bench.client.pollTransmit(); next !== undefined; next = bench.client.pollTransmit())
        sent.push(`${next.socket} ${next.to.address}:${next.to.port} at ${bench.now}`);
      bench.now = bench.client.nextTimeout();
      bench.client.handleTimeout(bench.now);
    }
    const round = (at: number) => [
      ...Array(6).fill(`2 239.255.255.250:1900 at ${at}`),
      ...Array(6).fill(`2 10.1.0.1:1900 at ${at}`),
    ];
    expect(sent).toEqual([...round(0), ...round(1_000), ...round(2_000)]);
    expect([bench.now, bench.settle()]).toEqual([3_000, failed("no-answer", "no UPnP gateway answered from 10.1.0.1")]);
  });

  test("hears nobody but the gateway", () => {
    const bench = new Bench();
    bench.locations = [];
    expect(bench.map()).toEqual([]);
    expect(bench.receive(searchAnswer(LOCATION), { address: "10.1.0.66", port: 1900 })).toEqual([]);
    expect(bench.receive("NOTIFY * HTTP/1.1\r\n\r\n")).toEqual([]);
    expect(bench.requests).toEqual([]);
    expect(bench.client.ignored).toEqual({ foreign: 1, malformed: 1, unasked: 0 });
    // Any port of the gateway: many answer from another one than 1900.
    expect(bench.receive(searchAnswer(LOCATION), { address: GATEWAY, port: 40_000 })).toEqual(mapped(7_000) as never);
  });

  test("goes nowhere else, and says where it was led", () => {
    const bench = new Bench();
    bench.locations = ["http://192.0.2.9/root.xml"];
    expect([...bench.map(), ...bench.wait()]).toEqual(
      failed("bad-answer", 'its answer leads away from 10.1.0.1: "http://192.0.2.9/root.xml"'),
    );
    expect([bench.requests, bench.client.ignored.malformed]).toEqual([[], 3]);
  });

  test("looks at one place after the other, each once", () => {
    const bench = new Bench({ "/media.xml": () => page("<root><device/></root>"), "/bad.xml": () => page("<root>") });
    bench.locations = ["media.xml", "media.xml", "bad.xml", "root.xml"].map((name) => `http://${GATEWAY}:5000/${name}`);
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests.slice(0, 3)).toEqual(["GET 5000 /media.xml", "GET 5000 /bad.xml", "GET 5000 /root.xml"]);
  });

  test("takes of several connections the one that is up", () => {
    const status = (values: string) => success("GetStatusInfo", { NewConnectionStatus: values });
    const bench = new Bench({
      "/root.xml": () => page(description({ version: 1, controls: ["/down", "/up", "/other"] })),
      GetStatusInfo: inTurn(status("Disconnected"), status("Connected")),
    });
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests.slice(1, 4)).toEqual([
      "GetStatusInfo /down",
      "GetStatusInfo /up",
      "GetExternalIPAddress /up",
    ]);
  });

  test("takes the first when none says that it is up", () => {
    const two = () => page(description({ version: 1, controls: ["/one", "/two"] }));
    const bench = new Bench({ "/root.xml": two, GetStatusInfo: () => fault(401) });
    expect(bench.map()).toEqual(mapped(7_000) as never);
    expect(bench.requests.at(-2)).toBe("GetExternalIPAddress /one");
  });
});

describe("a description that is none is told", () => {
  test.each([
    [page("", 302), "bad-answer", "was answered with HTTP status 302, a redirection, which is not followed"],
    [page("", 500), "bad-answer", "was answered with HTTP status 500"],
    [page("", 403), "not-authorized", "was answered with HTTP status 403"],
    [page("<!DOCTYPE html><html>"), "bad-answer", "cannot be read as XML (doctype)"],
    [page("<root/>"), "unsupported", "names no service that maps ports"],
    [page(description({ version: 1, controls: ["http://192.0.2.9/"] })), "bad-answer", "leads away from the gateway"],
    [
      { ok: false as const, kind: "too-large" as const, message: "an answer of more than 64 KiB" },
      "bad-answer",
      undefined,
    ],
    [{ ok: false as const, kind: "unreachable" as const, message: "connect ECONNREFUSED" }, "no-answer", undefined],
  ])("%j: %s", (result, kind, message) => {
    const bench = new Bench({ "/root.xml": () => result });
    const events = [...bench.map(), ...bench.wait()];
    const what = "The description at port 5000";
    expect(events).toEqual(
      failed(kind, `${what}${message === undefined ? `: ${"message" in result && result.message}` : ` ${message}`}`),
    );
    expect(bench.requests).toEqual(["GET 5000 /root.xml"]);
  });
});

describe("time", () => {
  test("of a gateway that hangs is limited", () => {
    const bench = new Bench({ AddPortMapping: () => undefined });
    bench.map();
    expect(bench.wait()).toEqual(failed("no-answer", "AddPortMapping: no whole answer within 3000 ms"));
    expect(bench.now).toBe(3_000);
    expect(bench.client.mayHold).toBe(true);
  });

  test("of one that lets every call hang, too", () => {
    const bench = new Bench();
    bench.map();
    bench.locations = Array.from({ length: 9 }, (_, i) => `http://${GATEWAY}:5000/${i}`);
    for (const name of ["GetExternalIPAddress", ...Array.from({ length: 9 }, (_, i) => `/${i}`)])
      bench.answers[name] = () => undefined;
    const started = bench.now;
    bench.map();
    expect(bench.wait()).toMatchObject([{ type: "failed", kind: "no-answer" }]);
    expect(bench.now - started).toBe(MAP_LIMIT_MS);
    expect(bench.client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("unmap", () => {
  test("without a gateway that was found is done", () => {
    const bench = new Bench();
    expect([bench.unmap(), bench.requests]).toEqual([[{ type: "unmapped" }], []]);
  });

  test("of what the gateway has forgotten is done, too", () => {
    const bench = new Bench({ DeletePortMapping: () => fault(714) });
    bench.map();
    expect(bench.unmap()).toEqual([{ type: "unmapped" }]);
    expect(bench.client.mayHold).toBe(false);
  });

  test("that is refused leaves it there", () => {
    const bench = new Bench({ DeletePortMapping: () => fault(606) });
    bench.map();
    expect(bench.unmap()).toEqual(
      failed("not-authorized", "DeletePortMapping was refused with ActionNotAuthorized (606)"),
    );
    expect(bench.client.mayHold).toBe(true);
  });

  test("of a gateway that hangs ends soon", () => {
    const bench = new Bench({ DeletePortMapping: () => undefined });
    bench.map();
    expect([...bench.unmap(), ...bench.wait()]).toMatchObject([{ type: "failed", kind: "no-answer" }]);
    expect(bench.now).toBe(UNMAP_LIMIT_MS);
  });

  const hanging = { ...version2, AddAnyPortMapping: () => undefined };

  test.each([
    ["unmap", (bench: Bench) => bench.unmap()],
    [
      "abandon and unmap",
      (bench: Bench) => {
        bench.client.abandon();
        return bench.unmap();
      },
    ],
  ])("while a request for it is under way waits for the port that was given: %s", (_, undo) => {
    const bench = new Bench(hanging);
    expect([...bench.map(), ...undo(bench)]).toEqual([]);
    expect(bench.answerLate(reserved(7_044)())).toEqual([{ type: "unmapped" }]);
    expect(bench.requests.at(-1)).toBe("DeletePortMapping 7044");
    expect(bench.client.mayHold).toBe(false);
  });

  const entry = (NewInternalClient: string) => () =>
    success("GetSpecificPortMappingEntry", { NewInternalClient, NewInternalPort: 6_000 });

  test.each([
    ["ours", entry("10.1.0.11"), ["GetSpecificPortMappingEntry 7000", "DeletePortMapping 7000"]],
    ["somebody else's", entry("10.1.0.12"), ["GetSpecificPortMappingEntry 7000"]],
    ["nobody's", () => fault(714), ["GetSpecificPortMappingEntry 7000"]],
    ["not told", () => fault(401), ["GetSpecificPortMappingEntry 7000", "DeletePortMapping 7000"]],
  ])("when that is never answered looks whose the port is: %s", (_, whose, requests) => {
    const bench = new Bench({ ...hanging, GetSpecificPortMappingEntry: whose });
    bench.map();
    bench.unmap();
    expect(bench.wait()).toEqual([{ type: "unmapped" }]);
    expect(bench.now).toBe(1_000);
    expect(bench.requests.slice(3)).toEqual(requests);
    expect(bench.client.mayHold).toBe(false);
  });

  test("asks for no further port", () => {
    const bench = new Bench(hanging);
    bench.map();
    bench.unmap();
    expect(bench.answerLate(fault(401))).toEqual([{ type: "unmapped" }]);
    expect(bench.requests.slice(2)).toEqual(["AddAnyPortMapping 7000 for 120 s"]);
  });
});

describe("abandon", () => {
  test("tells nothing any more, and knows what came of it", () => {
    const bench = new Bench({ AddPortMapping: () => undefined });
    bench.map();
    bench.client.abandon();
    expect(bench.client.mayHold).toBe(true);
    expect(bench.answerLate(fault(606))).toEqual([]);
    expect([bench.client.mayHold, bench.wait()]).toEqual([false, []]);
  });

  test("of a search ends it", () => {
    const bench = new Bench();
    bench.locations = [];
    bench.map();
    bench.client.abandon();
    expect(bench.client.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    expect([bench.receive(searchAnswer(LOCATION)), bench.requests]).toEqual([[], []]);
  });

  test("and results that nobody waits for are counted", () => {
    const bench = new Bench();
    bench.client.handleHttp(0, 1, page(""));
    expect(bench.client.ignored).toEqual({ foreign: 0, malformed: 0, unasked: 1 });
  });
});
