import { describe, expect, test } from "bun:test";
import { MapperBench, TARGET } from "./mapper-bench.ts";

const EXTERNAL = "203.0.113.7:40000";
const HOUR = 3_600_000;

/** With PCP's mapping, at 0.002 s. */
function installed(options: ConstructorParameters<typeof MapperBench>[0] = {}): MapperBench {
  const bench = new MapperBench(options).start().pass(1_000);
  bench.told();
  return bench;
}

describe("behind another NAT", () => {
  test("a private address is kept, told and not advertised; a public one later is", () => {
    const bench = new MapperBench();
    bench.gateway.address = "100.64.0.2";
    bench.start().pass(HOUR / 2);
    expect(bench.told()).toEqual([
      "0: asking pcp",
      "0.25: asking nat-pmp",
      "0.254: behind-nat pcp 100.64.0.2:40000 7200",
    ]);
    bench.gateway.address = "203.0.113.7";
    bench.pass(HOUR);
    expect(bench.told()).toEqual([`3600.002: installed pcp ${EXTERNAL} 7200`]);
  });

  test("a public address that turns private is advertised no more", () => {
    const bench = installed();
    bench.gateway.address = "10.0.0.5";
    expect(bench.pass(HOUR).told()).toEqual([
      `3600.002: revoked ${EXTERNAL} behind-nat`,
      "3600.002: behind-nat pcp 10.0.0.5:40000 7200",
    ]);
  });
});

describe("holding", () => {
  test("renewed at half time, again and again", () => {
    const bench = installed();
    bench.pass(3 * HOUR);
    expect(bench.told()).toEqual([3600.002, 7200.002, 10_800.002].map((at) => `${at}: renewed pcp ${EXTERNAL} 7200`));
  });

  test("another external address is told", () => {
    const bench = installed();
    bench.gateway.address = "198.51.100.9";
    expect(bench.pass(HOUR).told()).toEqual(["3600.002: replaced pcp 198.51.100.9:40000 7200"]);
  });

  test("three failures, each halfway to the lease's end: revoked; and a race after 30 s", () => {
    const bench = installed({ protocols: ["pcp"] });
    bench.gateway.speaks = { pcp: false, natPmp: false };
    bench.pass(2 * HOUR);
    expect(bench.told().slice(0, 6)).toEqual([
      "3606: renewal-failed 1 pcp: no-answer",
      "5409: renewal-failed 2 pcp: no-answer",
      "6310.5: renewal-failed 3 pcp: no-answer",
      `6310.5: revoked ${EXTERNAL} renewal-failed`,
      "6310.5: unavailable pcp: no-answer; 30",
      "6340.5: asking pcp",
    ]);
  });

  test("a failure in between is forgotten with the next renewal", () => {
    const bench = installed({ protocols: ["pcp"] });
    bench.gateway.refuses = 8;
    bench.pass(1.25 * HOUR);
    bench.gateway.refuses = 0;
    bench.pass(HOUR);
    expect(bench.told()).toEqual([
      "3600.002: renewal-failed 1 pcp: no-resources",
      `5400.003: renewed pcp ${EXTERNAL} 7200`,
    ]);
  });

  test("a short lease ends before three failures do: revoked by its end", () => {
    const bench = new MapperBench({ protocols: ["pcp"], leaseSeconds: 10 }).start().pass(1_000);
    bench.gateway.speaks = { pcp: false, natPmp: false };
    bench.told();
    bench.pass(20_000);
    expect(bench.told()).toEqual([
      "10: renewal-failed 1 pcp: no-answer",
      `10: revoked ${EXTERNAL} renewal-failed`,
      "10: unavailable pcp: no-answer; 30",
    ]);
  });

  test("a lease that cannot be held is none", () => {
    const bench = new MapperBench({ protocols: ["pcp"] });
    bench.gateway.maxLeaseSeconds = 7;
    expect(bench.start().pass(1_000).told().slice(1)).toEqual([
      "0.002: refused pcp: bad-answer",
      "0.002: unavailable pcp: bad-answer; 30",
    ]);
  });
});

describe("a gateway that restarts", () => {
  test("and says so: revoked at once, there again after a while of at most five seconds", () => {
    const bench = installed();
    bench.gateway.reboot(bench.now + 60_000);
    bench.pass(60_000).announce().pass(10_000);
    expect(bench.told()).toEqual([
      `61.001: revoked ${EXTERNAL} gateway-restarted`,
      `63.503: installed pcp ${EXTERNAL} 7200`,
    ]);
  });

  test("in silence: noticed with the renewal", () => {
    const bench = installed();
    bench.pass(600_000).gateway.reboot(bench.now);
    expect(bench.pass(HOUR).told()).toEqual([
      `3600.002: revoked ${EXTERNAL} gateway-restarted`,
      `3600.002: installed pcp ${EXTERNAL} 7200`,
    ]);
  });

  test("as another one, without PCP: a new race finds what it speaks now", () => {
    const bench = installed();
    bench.pass(60_000).gateway.reboot(bench.now);
    bench.announce();
    bench.pass(100).gateway.speaks.pcp = false;
    bench.pass(60_000);
    expect(bench.told()).toEqual([
      `61.001: revoked ${EXTERNAL} gateway-restarted`,
      "63.503: renewal-failed 1 pcp: unsupported",
      "63.503: unavailable pcp: unsupported; 30",
      "93.503: asking pcp",
      "93.505: refused pcp: unsupported",
      "93.505: asking nat-pmp",
      `93.509: installed nat-pmp ${EXTERNAL} 7200`,
    ]);
  });
});

describe("another network", () => {
  test("the old mapping is revoked, the new gateway asked", () => {
    const bench = installed();
    bench.do((mapper, now) => mapper.handleGatewayChange(now, undefined)).pass(60_000);
    const left = [`1: revoked ${EXTERNAL} gateway-changed`, `1: abandoned ${TARGET.gateway} pcp`];
    expect([bench.told(), bench.mapper.nextTimeout()]).toEqual([left, Infinity]);
    expect(bench.start().pass(1_000).told()).toEqual(["61: asking pcp", `61.002: installed pcp ${EXTERNAL} 7200`]);
  });

  test("the same one is no change", () => {
    const bench = installed();
    bench.do((mapper, now) => mapper.handleGatewayChange(now, { ...TARGET }));
    expect(bench.told()).toEqual([]);
  });
});

describe("the end", () => {
  test("revoked at once, asked away, stopped: nothing is left, and nothing happens any more", () => {
    const bench = installed();
    expect(bench.stop().pass(HOUR).told()).toEqual([`1: revoked ${EXTERNAL} stopped`, "1.002: stopped"]);
    expect([bench.gateway.mappings(bench.now), bench.mapper.nextTimeout()]).toEqual([[], Infinity]);
    expect(bench.start().stop().pass(HOUR).told()).toEqual([]);
  });

  test("a gateway that does not answer is asked three times; its lease ends what is left", () => {
    const bench = installed();
    bench.gateway.speaks = { pcp: false, natPmp: false };
    const before = bench.sent;
    expect(bench.stop().pass(HOUR).told()).toEqual([`1: revoked ${EXTERNAL} stopped`, "1.9: stopped pcp"]);
    expect(bench.sent - before).toBe(3);
  });

  test("in the middle of the race: what is on its way is asked away, too", () => {
    const bench = new MapperBench().start().stop().pass(HOUR);
    expect(bench.log).toEqual(["0: asking pcp", "0.002: stopped"]);
    expect(bench.gateway.mappings(1_000_500)).toEqual([]);
  });

  test("before there was a gateway", () => expect(new MapperBench().stop().log).toEqual(["0: stopped"]));
});
