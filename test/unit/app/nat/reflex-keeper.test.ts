import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { ReflexKeeper } from "../../../../src/app/nat/reflex-keeper.ts";
import type { NatReport, ServerReport } from "../../../../src/core/nat/nat-report.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import { StunServer } from "../../../../src/core/stun/server.ts";
import type { Log, LogFields } from "../../../../src/io/log/log.ts";
import type { Share } from "../../../../src/io/udp/shared-fan.ts";
import { networkStatus } from "../../io/node-status.ts";

const MINUTE = 60_000;
const OWN = { name: "vpn.example.com:3478", endpoint: { address: "203.0.113.10", port: 3478 } };
const OTHER = { name: "b.example:1", endpoint: { address: "203.0.113.20", port: 3478 } };
const HOME = { address: "198.51.100.2", port: 40_000 };
const MOVED = { address: "198.51.100.9", port: 40_000 };

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A keeper before a network that shows `outside` to every STUN server, or lets nothing through. */
class Bench {
  outside: Endpoint | undefined = HOME;
  moves = 0;
  shares = 0;
  asked = 0;
  readonly lines: (LogFields | undefined)[] = [];
  readonly keeper: ReflexKeeper;

  constructor(override: Endpoint | null = null) {
    this.keeper = new ReflexKeeper({
      log: { info: (event: string, fields?: LogFields) => void this.lines.push({ event, ...fields }) } as Log,
      override,
      ownServer: OWN.name,
      share: () => this.#share(),
      onMoved: () => void this.moves++,
      onTold: () => {},
    });
  }

  said(): (LogFields | undefined)[] {
    return this.lines.splice(0);
  }

  #share(): Share {
    this.shares++;
    const share: Share = {
      onDatagram: () => {},
      send: (transmits) => {
        for (const { to, payload } of transmits) {
          this.asked++;
          if (this.outside === undefined) continue;
          const server = new StunServer({ sockets: [to] });
          server.handleDatagram(performance.now(), { socket: 0, from: this.outside, payload });
          const answer = server.pollTransmit();
          if (answer !== undefined)
            queueMicrotask(() => share.onDatagram({ socket: 0, from: to, payload: answer.payload }));
        }
      },
      [Symbol.dispose]: () => void this.shares--,
    };
    return share;
  }
}

function report(type: NatReport["type"], ...servers: readonly (typeof OWN & { mapped?: Endpoint })[]): NatReport {
  const base = networkStatus().nat as NatReport;
  return {
    ...base,
    type,
    servers: servers.map(
      ({ name, endpoint, mapped = HOME }): ServerReport => ({
        name,
        endpoint,
        outcome: { kind: "answered", mapped, rttMs: 1 },
        otherAddress: null,
      }),
    ),
  };
}

async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await Promise.resolve();
  await Promise.resolve();
}

const reflex = (address: string | undefined, source: string | undefined) => ({ event: "reflex", address, source });

test("the override wins, then the port mapping, then what servers see; each is told once", () => {
  const bench = new Bench();
  expect([bench.keeper.current(), bench.said()]).toEqual([null, []]);
  bench.keeper.learn(report("cone", OWN, OTHER));
  bench.keeper.learn(report("cone", OWN, OTHER));
  bench.keeper.setPortMapping({ ...HOME, port: 7 });
  bench.keeper.setOverride(MOVED);
  bench.keeper.setPortMapping(undefined);
  bench.keeper.setOverride(null);
  expect(bench.said()).toEqual([
    reflex("198.51.100.2:40000", "server"),
    reflex("198.51.100.2:7", "port-mapping"),
    reflex("198.51.100.9:40000", "override"),
    reflex("198.51.100.2:40000", "server"),
  ]);
});

test("the config's override is there from the start", () => {
  const bench = new Bench(MOVED);
  expect(bench.said()).toEqual([reflex("198.51.100.9:40000", "override")]);
});

test("behind a symmetric NAT, and where servers disagree, there is none", () => {
  const bench = new Bench();
  bench.keeper.learn(report("symmetric", OWN));
  bench.keeper.learn(report("unknown", OWN, { ...OTHER, mapped: MOVED }));
  expect([bench.keeper.current(), bench.said()]).toEqual([null, []]);
});

test("asked again every four minutes it stays, without a word", async () => {
  const bench = new Bench();
  bench.keeper.learn(report("cone", OWN, OTHER));
  bench.said();
  for (let i = 0; i < 5; i++) await pass(4 * MINUTE);
  expect([bench.asked, bench.shares, bench.moves, bench.said()]).toEqual([10, 0, 0, []]);
  expect(bench.keeper.current()).toEqual({ endpoint: HOME, source: "server", agreeing: 2, dissenting: 0 });
});

test("another address outside is told, and that the last check is void; another port is only told", async () => {
  const bench = new Bench();
  bench.keeper.learn(report("cone", OWN, OTHER));
  bench.said();
  bench.outside = { ...HOME, port: 50_000 };
  await pass(4 * MINUTE);
  expect([bench.moves, bench.said()]).toEqual([0, [reflex("198.51.100.2:50000", "server")]]);
  bench.outside = MOVED;
  await pass(4 * MINUTE);
  expect([bench.moves, bench.said()]).toEqual([1, [reflex("198.51.100.9:40000", "server")]]);
});

test("nobody answers: after two rounds a check is due, after ten minutes no address is claimed", async () => {
  const bench = new Bench();
  bench.keeper.learn(report("cone", OWN, OTHER));
  bench.said();
  bench.outside = undefined;
  for (let i = 0; i < 4; i++) await pass(MINUTE);
  for (let i = 0; i < 8; i++) await pass(1_000);
  expect(bench.moves).toBe(0);
  for (let i = 0; i < 4; i++) await pass(MINUTE);
  for (let i = 0; i < 8; i++) await pass(1_000);
  expect([bench.moves, bench.said()]).toEqual([1, []]);
  for (let i = 0; i < 5; i++) await pass(MINUTE);
  expect([bench.moves, bench.said()]).toEqual([1, [reflex(undefined, undefined)]]);
});

test("after disposal, and on another network, nobody is asked", async () => {
  const bench = new Bench();
  bench.keeper.learn(report("cone", OWN));
  bench.keeper.forget();
  await pass(10 * MINUTE);
  bench.keeper.learn(report("cone", OWN));
  bench.keeper[Symbol.dispose]();
  await pass(10 * MINUTE);
  expect([bench.asked, bench.shares]).toEqual([0, 0]);
});
