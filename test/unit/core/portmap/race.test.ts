import { describe, expect, test } from "bun:test";
import { MapperBench } from "./mapper-bench.ts";

const EXTERNAL = "203.0.113.7:40000";
const HOUR = 3_600_000;

describe("the race", () => {
  test("PCP is asked first and alone wins on a gateway that speaks both", () => {
    const bench = new MapperBench().start().pass(HOUR / 2);
    expect(bench.log).toEqual(["0: asking pcp", `0.002: installed pcp ${EXTERNAL} 7200`]);
    expect([bench.sent, bench.gateway.mappings(bench.now).length]).toEqual([1, 1]);
  });

  test("a gateway of NAT-PMP says so to PCP, and NAT-PMP is asked at once", () => {
    const bench = new MapperBench();
    bench.gateway.speaks.pcp = false;
    expect(bench.start().pass(1_000).log).toEqual([
      "0: asking pcp",
      "0.002: refused pcp: unsupported",
      "0.002: asking nat-pmp",
      `0.006: installed nat-pmp ${EXTERNAL} 7200`,
    ]);
  });

  test("nobody answers: all are asked, a quarter of a second apart, and again after 30 s, 60 s, … half an hour", () => {
    const bench = new MapperBench({ protocols: ["pcp", "nat-pmp", "upnp"] });
    bench.gateway.speaks = { pcp: false, natPmp: false };
    bench.start().pass(60_000);
    expect(bench.told()).toEqual([
      "0: asking pcp",
      "0.25: asking nat-pmp",
      "0.5: asking upnp",
      "3.5: refused upnp: no-answer",
      "6: refused pcp: no-answer",
      "6.25: refused nat-pmp: no-answer",
      "6.25: unavailable pcp: no-answer, nat-pmp: no-answer, upnp: no-answer; 30",
      "36.25: asking pcp",
      "36.5: asking nat-pmp",
      "36.75: asking upnp",
      "39.75: refused upnp: no-answer",
      "42.25: refused pcp: no-answer",
      "42.5: refused nat-pmp: no-answer",
      "42.5: unavailable pcp: no-answer, nat-pmp: no-answer, upnp: no-answer; 60",
    ]);
    bench.pass(24 * HOUR);
    const waits = bench.events.flatMap((event) => (event.type === "unavailable" ? [event.retryMs / 1_000] : []));
    expect(waits.slice(0, 8)).toEqual([30, 60, 120, 240, 480, 960, 1_800, 1_800]);
  });

  test("who asks to be left alone is: PCP's error lasts as long as the gateway says", () => {
    const bench = new MapperBench({ protocols: ["pcp"] });
    bench.gateway.refuses = 8;
    bench.gateway.refusalSeconds = 60;
    bench.start().pass(95_000);
    expect(bench.log).toEqual([
      "0: asking pcp",
      "0.002: refused pcp: no-resources",
      "0.002: unavailable pcp: no-resources; 30",
      "30.002: unavailable pcp: no-resources; 60",
      "90.002: asking pcp",
      "90.004: refused pcp: no-resources",
      "90.004: unavailable pcp: no-resources; 120",
    ]);
  });

  test("a mapping of another nonce is not PCP's to take; it is left as it is", () => {
    const bench = new MapperBench({ protocols: ["pcp"], nonce: new Uint8Array(12) }).start().pass(1_000);
    const other = new MapperBench({ protocols: ["pcp"], gateway: bench.gateway }).start().pass(1_000);
    expect(other.log.slice(0, 2)).toEqual(["0: asking pcp", "0.002: refused pcp: not-authorized"]);
    other.stop().pass(1_000);
    expect(bench.gateway.mappings(bench.now).length).toBe(1);
  });

  test("a late loser with the same port is the same mapping: it stays, and goes with the winner", () => {
    const bench = new MapperBench();
    const answer = bench.gateway.answer.bind(bench.gateway);
    // PCP's first request is lost on the way.
    bench.gateway.answer = (now, request) => (request[0] === 2 ? undefined : answer(now, request));
    bench.start().pass(1_000);
    expect(bench.told()).toEqual([
      "0: asking pcp",
      "0.25: asking nat-pmp",
      `0.254: installed nat-pmp ${EXTERNAL} 7200`,
    ]);
    bench.gateway.answer = answer;
    bench.pass(10_000);
    expect([bench.told(), bench.gateway.mappings(bench.now).length]).toEqual([[], 1]);
    expect(bench.stop().pass(1_000).told()).toEqual([`11: revoked ${EXTERNAL} stopped`, "11.002: stopped"]);
    expect(bench.gateway.mappings(bench.now)).toEqual([]);
  });
});

describe("verification", () => {
  const external = { address: "203.0.113.7", port: 40_000 };

  test.each(["reached", "unknown"] as const)("%s: installed", (verdict) => {
    const bench = new MapperBench({ verify: true }).start().pass(100);
    expect(bench.told()).toEqual(["0: asking pcp", `0.002: verify ${EXTERNAL}`]);
    bench.do((mapper, now) => mapper.handleVerified(now, external, verdict));
    expect(bench.told()).toEqual([`0.1: installed pcp ${EXTERNAL} 7200`]);
  });

  test("no verdict within three seconds counts as none", () =>
    expect(new MapperBench({ verify: true, protocols: ["pcp"] }).start().pass(5_000).told().slice(1)).toEqual([
      `0.002: verify ${EXTERNAL}`,
      `3.002: installed pcp ${EXTERNAL} 7200`,
    ]));

  // Found with miniupnpd: NAT-PMP took PCP's mapping over, and PCP could not remove it any more.
  test("as long as somebody looks nobody else asks the gateway", () => {
    const bench = new MapperBench({ verify: true, protocols: ["pcp", "nat-pmp", "upnp"] }).start().pass(2_900);
    bench.do((mapper, now) => mapper.handleVerified(now, external, "reached")).pass(5_000);
    expect(bench.log).toEqual(["0: asking pcp", `0.002: verify ${EXTERNAL}`, `2.9: installed pcp ${EXTERNAL} 7200`]);
  });

  test("not reached: asked away, and the next one's turn", () => {
    const bench = new MapperBench({ verify: true }).start().pass(100);
    bench.do((mapper, now) => mapper.handleVerified(now, external, "not-reached")).pass(100);
    bench.do((mapper, now) => mapper.handleVerified(now, external, "reached"));
    expect(bench.log).toEqual([
      "0: asking pcp",
      `0.002: verify ${EXTERNAL}`,
      "0.1: refused pcp: not-reached",
      "0.1: asking nat-pmp",
      `0.104: verify ${EXTERNAL}`,
      `0.2: installed nat-pmp ${EXTERNAL} 7200`,
    ]);
  });

  test("a gateway that restarts meanwhile is asked again, and looked at again", () => {
    const bench = new MapperBench({ verify: true, protocols: ["pcp"] }).start().pass(100);
    // Its clock jumps: as good as an epoch that begins anew.
    bench.gateway.reboot(bench.now - 60_000);
    bench.announce().pass(100);
    expect(bench.told()).toEqual([
      "0: asking pcp",
      `0.002: verify ${EXTERNAL}`,
      "0.101: asking pcp",
      `0.103: verify ${EXTERNAL}`,
    ]);
    bench.do((mapper, now) => mapper.handleVerified(now, external, "reached"));
    expect([bench.told(), bench.gateway.mappings(bench.now).length]).toEqual([
      [`0.2: installed pcp ${EXTERNAL} 7200`],
      1,
    ]);
  });

  test("of something else it changes nothing", () => {
    const bench = new MapperBench({ verify: true }).start().pass(100);
    bench.told();
    bench.do((mapper, now) => mapper.handleVerified(now, { ...external, port: 1 }, "not-reached"));
    expect(bench.told()).toEqual([]);
  });
});
