import { describe, expect, test } from "bun:test";
import type { NatKind } from "../../src/core/nat/direct-way.ts";
import type { HardNatOptions, PeerOptions } from "../../src/core/peer/peer-options.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES } from "../contract/world.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { endpointOf, type LabPeer, PeerLab } from "./peer-lab.ts";
import { openSimWorld } from "./sim-world.ts";

const OPEN: NatKind = { type: "cone", filtering: "endpoint-independent" };
const PORT: NatKind = { type: "cone", filtering: "address-and-port-dependent" };
const UNKNOWN: NatKind = { type: "unknown", filtering: null };
const SYMMETRIC: NatKind = { type: "symmetric", filtering: "address-and-port-dependent" };
const OFF: HardNatOptions = { mode: "off", role: "auto", assistDelayMs: 300, settings: PUNCH_DEFAULTS };

interface Setup {
  readonly seed: number;
  readonly a?: NatName;
  readonly b?: NatName;
  /** As reported, which need not be true. */
  readonly natA?: NatKind;
  readonly natB?: NatKind;
  readonly hardNat?: Partial<HardNatOptions>;
  readonly office?: Partial<PeerOptions>;
}

/** Two peers of which `home` has asked `office` for a pipe. */
class Pair {
  readonly lab: PeerLab;
  readonly home: LabPeer;
  readonly office: LabPeer;
  pipe = 0;
  sent = 0;
  #isSending = false;

  private constructor(lab: PeerLab, home: LabPeer, office: LabPeer) {
    this.lab = lab;
    this.home = home;
    this.office = office;
  }

  static async open(setup: Setup): Promise<Pair> {
    const { seed, a = "port-restricted", b = "port-restricted", natA = PORT, natB = PORT } = setup;
    const lab = await PeerLab.open(openSimWorld({ a, b }, { seed }), { seed });
    const options = { hardNat: { ...OFF, ...setup.hardNat } };
    const office = await lab.start({ host: "b1", cn: "office", nat: natB, options: { ...options, ...setup.office } });
    const home = await lab.start({ host: "a1", cn: "home", nat: natA, options });
    const pair = new Pair(lab, home, office);
    home.do((peer, now) => {
      pair.pipe = peer.open(now, "office", "wireguard");
    });
    return pair;
  }

  /** One end has found out what its NAT is. */
  measured(cn: "home" | "office", nat: NatKind): void {
    const gathered = { hosts: [{ endpoint: endpointOf(cn === "home" ? "a1" : "b1"), socket: 0 }], reflexive: [] };
    this[cn].do((peer, now) => peer.setNetwork(now, { nat, reflex: undefined, gathered, isPortMapped: false }));
  }

  /** A datagram every `everyMs` from home, until `stop`. */
  send(everyMs = 50): void {
    this.#isSending = true;
    const tick = () => {
      if (!this.#isSending) return;
      const datagram = new TextEncoder().encode(String(this.sent++));
      this.home.do((peer, now) => peer.send(now, this.pipe, 2, datagram));
      this.lab.later(everyMs, tick);
    };
    tick();
  }

  async stop(): Promise<void> {
    this.#isSending = false;
    await this.lab.pass(500);
  }

  async untilDirect(limitMs = 20_000): Promise<boolean> {
    return await this.lab.world.until(() => [this.home, this.office].every(isDirect), limitMs);
  }

  get arrived(): { readonly lost: number; readonly doubled: number } {
    const texts = this.office.received.map(({ text }) => text);
    return { lost: this.sent - new Set(texts).size, doubled: texts.length - new Set(texts).size };
  }

  async close(): Promise<void> {
    this.home.do((peer, now) => peer.close(now, this.pipe, "done"));
    await this.lab.pass(1_000);
  }

  get held(): unknown {
    return [this.home, this.office].map(({ peer, fan }) => ({ ...peer.holdings, fan: fan.size }));
  }
}

function isDirect({ events }: LabPeer): boolean {
  const last = events.findLast(({ type }) => type === "direct-up" || type === "direct-down");
  return last?.type === "direct-up";
}

function winner({ events }: LabPeer): string | undefined {
  const up = events.findLast((event) => event.type === "direct-up");
  return up?.path.meta.winner;
}

function kinds({ events }: LabPeer): string[] {
  return events.map(({ type }) => type);
}

const NOTHING = { pipes: 0, sessions: 0, sockets: 0, fan: 0 };
const NOTHING_HELD = [NOTHING, NOTHING];
const HARD = { a: "port-restricted", b: "symmetric", natA: PORT, natB: SYMMETRIC } as const;

describe("ICE and hard-NAT", () => {
  test(
    "both succeed at about the same time: both ends choose the same, and the other one leaves nothing",
    async () => {
      for (const seed of fuzzSeeds("peer race", 12)) {
        const assistDelayMs = (seed % 6) * 20;
        const pair = await Pair.open({
          ...{ seed, a: "full-cone", b: "full-cone-random-port", natA: PORT, natB: SYMMETRIC },
          hardNat: { mode: "assist", assistDelayMs },
        });
        pair.send();
        expect(await pair.untilDirect()).toBe(true);
        await pair.lab.pass(7_000);
        await pair.stop();
        const fans = [pair.home, pair.office].map(({ fan }) => fan.size);
        const winners = [pair.home, pair.office].map(winner);
        expect({ seed, winners, fans, ...pair.arrived }).toEqual({
          ...{ seed, winners: [winners[0], winners[0]], lost: 0, doubled: 0 },
          fans: [0, winners[0] === "hardnat" ? 1 : 0],
        });
        await pair.close();
        expect({ seed, held: pair.held }).toEqual({ seed, held: NOTHING_HELD });
      }
    },
    SLOW_MACHINE_MS,
  );

  test("both fail: each says why, the relay carries on, no socket stays", async () => {
    const hardNat = { mode: "assist", settings: { ...PUNCH_DEFAULTS, windowMs: 3_000 } } as const;
    const pair = await Pair.open({ seed: 1, a: "symmetric", b: "symmetric", natA: PORT, natB: SYMMETRIC, hardNat });
    pair.send();
    await pair.lab.world.until(() => [pair.home, pair.office].every(({ reports }) => reports.length === 1), 20_000);
    await pair.stop();
    expect(pair.home.reports).toMatchObject([
      {
        ...{ mode: "assist", way: "hard-nat", role: "nat3", winner: null, verdict: "punch-failed" },
        ...{ iceCause: "timeout", hardNatCause: "by-chance", wasMediated: true, enteredHardNat: true },
      },
    ]);
    expect(pair.office.reports).toMatchObject([{ role: "nat4", iceCause: "timeout", winner: null }]);
    expect([pair.home.fan.size, pair.office.fan.size]).toEqual([0, 0]);
    expect(pair.arrived).toEqual({ lost: 0, doubled: 0 });
  });

  test("one end is never introduced: both give it up, and the second try works", async () => {
    const pair = await Pair.open({ seed: 1, ...HARD, hardNat: { mode: "fallback" } });
    let dropped = 0;
    pair.lab.onSignalToPeer = (to, signal) =>
      signal.type === "punch_introduce" && to.cn === "home" && dropped++ === 0 ? undefined : signal;
    pair.send();
    await pair.lab.world.until(() => pair.home.reports.length === 1 && pair.office.reports.length === 1, 40_000);
    expect(pair.home.reports).toMatchObject([{ iceCause: "timeout", hardNatCause: "not-introduced" }]);
    expect([pair.home.fan.size, pair.office.fan.size]).toEqual([0, 0]);
  });

  test("the server declines to introduce them: both say that, and why", async () => {
    const pair = await Pair.open({ seed: 1, ...HARD, hardNat: { mode: "assist" } });
    pair.lab.onSignalFromPeer = (from, signal) =>
      signal.type === "punch_request" && from.cn === "office"
        ? { ...signal, reflex: { ...signal.reflex, address: ADDRESSES.stunSecond } }
        : signal;
    pair.send();
    await pair.lab.world.until(() => pair.home.reports.length === 1 && pair.office.reports.length === 1, 40_000);
    for (const [{ reports }, hardNatCause] of [
      [pair.home, "unknown-target"],
      [pair.office, "reflex-mismatch"],
    ] as const)
      expect(reports).toMatchObject([{ verdict: "rendezvous-rejected", iceCause: "timeout", hardNatCause }]);
  });

  test("both ends insist on the same role: both say so, and nobody is asked to introduce them", async () => {
    for (const [mode, iceCause] of [
      ["assist", "timeout"],
      ["force", null],
    ] as const) {
      const pair = await Pair.open({ seed: 1, ...HARD, hardNat: { mode, role: "nat4" } });
      pair.send();
      await pair.lab.world.until(() => pair.home.reports.length === 1 && pair.office.reports.length === 1, 20_000);
      for (const { reports, fan } of [pair.home, pair.office])
        expect([reports, fan.size]).toMatchObject([[{ verdict: "same-role", iceCause, enteredHardNat: false }], 0]);
    }
  });

  test("the second try has the roles the other way round, the third one as measured", async () => {
    const hardNat = { mode: "assist", settings: { ...PUNCH_DEFAULTS, windowMs: 500 } } as const;
    const pair = await Pair.open({ seed: 1, a: "symmetric", b: "symmetric", natA: PORT, natB: SYMMETRIC, hardNat });
    pair.send(1_000);
    await pair.lab.world.until(() => pair.home.reports.length === 3 && pair.office.reports.length === 3, 120_000);
    expect(pair.home.reports.map(({ role }) => role)).toEqual(["nat3", "nat4", "nat3"]);
    expect(pair.office.reports.map(({ role }) => role)).toEqual(["nat4", "nat3", "nat4"]);
  });

  test("assist is as fast as its delay, fallback waits for ICE to fail", async () => {
    const times: Record<string, number> = {};
    for (const mode of ["assist", "fallback"] as const) {
      const pair = await Pair.open({ seed: 3, ...HARD, hardNat: { mode } });
      expect(await pair.untilDirect()).toBe(true);
      times[mode] = pair.home.reports[0]?.elapsedMs ?? 0;
    }
    expect(times.assist).toBeLessThan(2_000);
    expect(times.fallback).toBeGreaterThan(5_000);
  });

  test("plain punching: a router that takes early packets to itself gets none, though its end begins later", async () => {
    for (const late of ["home", "office"]) {
      const pair = await Pair.open({ seed: 1, a: "port-restricted-accept", b: "port-restricted-accept" });
      pair.lab.onSignalToPeer = (to, signal) => {
        if (signal.type !== "start_punching" || to.cn !== late) return signal;
        pair.lab.inject(to, signal, 15 + 70);
      };
      expect(await pair.untilDirect(5_000)).toBe(true);
    }
  });

  test("who does not go direct tells nobody where it is", async () => {
    const lab = await PeerLab.open(openSimWorld({ a: "full-cone", b: "full-cone" }, { seed: 1 }), { seed: 1 });
    const told: unknown[] = [];
    lab.onSignalFromPeer = (_from, signal) => {
      if (signal.type === "peer_info") told.push(signal.info);
      return signal;
    };
    const reflex = { address: ADDRESSES.natA, port: 5_000 };
    const [network, options] = [{ reflex }, { direct: false }];
    await lab.start({ host: "a1", cn: "home", nat: OPEN, network, options });
    await lab.pass(5_000);
    expect(told).toEqual([{ nat: "cone", filtering: "endpoint-independent", reflex: null, caps: [] }]);
  });

  test("force leaves ICE out; what the other end has off stays off", async () => {
    const forced = await Pair.open({ seed: 1, ...HARD, hardNat: { mode: "force" } });
    expect(await forced.untilDirect()).toBe(true);
    expect(forced.home.reports).toMatchObject([{ mode: "force", winner: "hardnat", iceCause: null }]);
    const declined = await Pair.open({ seed: 1, ...HARD, hardNat: { mode: "assist" }, office: { hardNat: OFF } });
    declined.send();
    await declined.lab.world.until(() => declined.home.reports.length === 1, 20_000);
    expect(declined.home.reports).toMatchObject([{ mode: "off", role: null, verdict: "punch-failed" }]);
    expect(declined.home.fan.size + declined.office.fan.size).toBe(0);
  });
});

describe("an attempt that is cancelled half-way leaves nothing", () => {
  const ends: Record<string, (pair: Pair) => void> = {
    "closed by the one who opened it": ({ home, pipe }) => home.do((peer, now) => peer.close(now, pipe, "done")),
    "closed by the other end": ({ office }) =>
      office.do((peer, now) => {
        for (const { pipe } of peer.explain(now)) peer.close(now, pipe, "done");
      }),
    "the other end is gone": ({ office }) => {
      office.disconnect();
      office.running.stop();
    },
    "the server is gone": ({ lab }) => lab.stopServer(),
  };
  for (const [name, end] of Object.entries(ends))
    test(
      name,
      async () => {
        for (const mode of ["fallback", "assist"] as const)
          for (const atMs of [60, 130, 190, 250, 330, 520, 560, 600, 700, 3_000, 5_170, 5_230, 5_290, 6_500]) {
            const pair = await Pair.open({ seed: atMs, ...HARD, hardNat: { mode } });
            pair.send();
            await pair.lab.pass(atMs);
            end(pair);
            await pair.stop();
            // Without a server, a pipe on the relay is given up after 90 s: it might have come back.
            await pair.lab.pass(name === "the server is gone" ? 120_000 : 40_000);
            const gone = name === "the other end is gone";
            await pair.close();
            const held = (gone ? [pair.home] : [pair.home, pair.office]).map(({ peer, fan }) => ({
              ...peer.holdings,
              fan: fan.size,
            }));
            expect({ mode, atMs, held }).toEqual({ mode, atMs, held: held.map(() => NOTHING) });
          }
      },
      SLOW_MACHINE_MS,
    );

  test(
    "a thousand opens and closes",
    async () => {
      const pair = await Pair.open({ seed: 1, a: "full-cone", b: "full-cone", natA: OPEN, natB: OPEN });
      await pair.lab.pass(200);
      await pair.close();
      for (let round = 0; round < 1_000; round++) {
        pair.home.do((peer, now) => {
          pair.pipe = peer.open(now, "office", "wireguard");
        });
        await pair.lab.pass(100 + (round % 7) * 100);
        pair.home.do((peer, now) => peer.close(now, pair.pipe, "done"));
        await pair.lab.pass(1_500);
      }
      expect(pair.held).toEqual(NOTHING_HELD);
      expect([pair.home, pair.office].map(({ peer }) => peer.explain(0))).toEqual([[], []]);
    },
    SLOW_MACHINE_MS,
  );
});

describe("an error of this program", () => {
  test("inside of a pipe costs that pipe, which is opened again, and no other one", async () => {
    const broken = { session: false };
    const random = new Random(7);
    const office: Partial<PeerOptions> = {
      random: (length) => {
        if (length === 12 && broken.session) throw new Error("no randomness");
        return random.bytes(length);
      },
    };
    const pair = await Pair.open({ seed: 1, office });
    pair.office.running.machine.mayFail = true;
    let other = 0;
    pair.home.do((peer, now) => {
      other = peer.open(now, "office", "other");
    });
    expect(await pair.untilDirect()).toBe(true);
    const pipes = pair.office.peer.explain(pair.lab.now).map(({ pipe }) => pipe);
    broken.session = true;
    pair.home.do((peer, now) => peer.close(now, pair.pipe, "done"));
    pair.home.do((peer, now) => {
      pair.pipe = peer.open(now, "office", "wireguard");
    });
    await pair.lab.pass(2_000);
    broken.session = false;
    const faults = pair.office.events.filter(({ type }) => type === "fault");
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) expect(fault).toMatchObject({ error: new Error("no randomness") });
    expect(faults.some((fault) => "pipe" in fault && pipes.includes(fault.pipe))).toBe(false);
    expect(pair.office.events.findLast((event) => event.type === "closed")).toMatchObject({ reason: "fault" });
    pair.send();
    pair.home.do((peer, now) => peer.send(now, other, 2, new TextEncoder().encode("other")));
    await pair.lab.pass(5_000);
    await pair.stop();
    expect(pair.office.received.filter(({ text }) => text === "other")).toHaveLength(1);
    expect(pair.office.received.length).toBeGreaterThan(50);
  });
});

describe("a pipe lives on", () => {
  test("while the server restarts: on its direct path, from which nothing is lost", async () => {
    const pair = await Pair.open({ seed: 1, ...HARD, hardNat: { mode: "assist" } });
    pair.send();
    expect(await pair.untilDirect()).toBe(true);
    await pair.lab.pass(2_000);
    pair.lab.stopServer();
    await pair.lab.pass(3_000);
    pair.lab.startServer();
    await pair.lab.pass(8_000);
    await pair.stop();
    expect(pair.arrived).toEqual({ lost: 0, doubled: 0 });
    expect([pair.home, pair.office].map(({ fan }) => fan.size)).toEqual([0, 1]);
    expect(isDirect(pair.home)).toBe(true);
    expect(kinds(pair.home).filter((kind) => kind === "opened")).toEqual(["opened", "opened"]);
    await pair.close();
    expect(pair.held).toEqual(NOTHING_HELD);
  });

  test("on the relay: within a moment of the server's return", async () => {
    const pair = await Pair.open({ seed: 1, a: "symmetric", b: "symmetric", natA: SYMMETRIC, natB: SYMMETRIC });
    pair.send();
    await pair.lab.pass(3_000);
    pair.lab.stopServer();
    await pair.lab.pass(3_000);
    pair.lab.startServer();
    const since = pair.lab.now;
    await pair.lab.pass(5_000);
    await pair.stop();
    const first = pair.office.received.find(({ at }) => at >= since)?.at ?? Number.POSITIVE_INFINITY;
    expect(first - since).toBeLessThan(1_000);
  });

  test("when its direct path is cut: over the relay, and straight again", async () => {
    const pair = await Pair.open({ seed: 1 });
    pair.send();
    expect(await pair.untilDirect()).toBe(true);
    await pair.lab.pass(2_000);
    pair.lab.isUdpCut = true;
    const cutAt = pair.lab.now;
    await pair.lab.pass(6_000);
    expect(isDirect(pair.home)).toBe(false);
    const after = pair.office.received.filter(({ at }) => at > cutAt).map(({ at }) => at);
    expect((after[0] ?? Number.POSITIVE_INFINITY) - cutAt).toBeLessThan(3_000);
    pair.lab.isUdpCut = false;
    expect(await pair.untilDirect(60_000)).toBe(true);
  });

  test("when the network changes: another attempt, and both ends go on with what it comes to", async () => {
    for (const hard of [false, true]) {
      const pair = await Pair.open(hard ? { seed: 1, ...HARD, hardNat: { mode: "assist" } } : { seed: 1 });
      pair.send();
      expect(await pair.untilDirect()).toBe(true);
      await pair.lab.pass(3_000);
      pair.home.do((peer, now) => {
        const hosts = [endpointOf("a1"), { address: "10.1.0.99", port: 5_000 }].map((endpoint) => ({
          endpoint,
          socket: 0,
        }));
        const gathered = { hosts, reflexive: [] };
        peer.setNetwork(now, { nat: PORT, reflex: undefined, gathered, isPortMapped: false });
      });
      await pair.lab.pass(20_000);
      await pair.stop();
      expect(pair.home.reports.map((report) => report.winner)).toEqual(hard ? ["hardnat", "hardnat"] : ["ice", "ice"]);
      expect(pair.office.reports.map((report) => report.winner)).toEqual(
        pair.home.reports.map((report) => report.winner),
      );
      expect([pair.home, pair.office].map(({ fan }) => fan.size)).toEqual([0, hard ? 1 : 0]);
      expect(pair.arrived).toEqual({ lost: 0, doubled: 0 });
    }
  });

  test("when the NAT has taken another port than the one that is remembered: at the first try", async () => {
    const pair = await Pair.open({ seed: 1 });
    pair.home.do((peer, now) => {
      const stale = { endpoint: { address: ADDRESSES.natA, port: 9 }, socket: 0, via: "server" };
      const gathered = { hosts: [{ endpoint: endpointOf("a1"), socket: 0 }], reflexive: [stale] };
      peer.setNetwork(now, { nat: PORT, reflex: stale.endpoint, gathered, isPortMapped: false });
    });
    pair.send();
    expect(await pair.untilDirect()).toBe(true);
    await pair.stop();
    expect(pair.home.reports.map((report) => report.winner)).toEqual(["ice"]);
  });

  for (const mode of ["assist", "fallback"] as const)
    for (const late of [["home"], ["office"], ["home", "office"], ["office", "home"]] as const)
      test(`when ${late.join(", then ")} has its NAT measured in the middle of an attempt: hard-NAT joins it, ${mode}`, async () => {
        const natA = late.includes("home" as never) ? UNKNOWN : PORT;
        const natB = late.includes("office" as never) ? UNKNOWN : SYMMETRIC;
        const pair = await Pair.open({ seed: 1, ...HARD, natA, natB, hardNat: { mode } });
        pair.send();
        for (const cn of late) {
          await pair.lab.pass(700);
          pair.measured(cn, cn === "home" ? PORT : SYMMETRIC);
        }
        expect(await pair.untilDirect(8_000)).toBe(true);
        await pair.stop();
        expect([pair.home, pair.office].map(({ reports }) => reports)).toMatchObject([
          [{ attempt: 0, winner: "hardnat", role: "nat3" }],
          [{ attempt: 0, winner: "hardnat", role: "nat4" }],
        ]);
        const [report] = pair.home.reports;
        if (mode === "assist") expect(report?.elapsedMs).toBeLessThan(700 * late.length + 1_500);
        else expect(report?.iceCause).toBe("timeout");
        expect(pair.arrived).toEqual({ lost: 0, doubled: 0 });
      });

  test("when both NATs turn out to be symmetric in the middle of an attempt: it ends, and says so", async () => {
    const both = { a: "symmetric", b: "symmetric", natA: UNKNOWN, natB: UNKNOWN } as const;
    const pair = await Pair.open({ seed: 1, ...both, hardNat: { mode: "assist" } });
    await pair.lab.pass(700);
    pair.measured("home", SYMMETRIC);
    pair.measured("office", SYMMETRIC);
    await pair.lab.pass(500);
    for (const { reports } of [pair.home, pair.office])
      expect(reports).toMatchObject([{ attempt: 0, way: "relay", verdict: "both-symmetric" }]);
  });

  test("when the other end's network changes after an attempt has failed: another one at once, and not for every word", async () => {
    const pair = await Pair.open({ seed: 1, a: "symmetric", b: "symmetric", natA: SYMMETRIC, natB: SYMMETRIC });
    pair.send();
    await pair.lab.pass(1_000);
    expect(pair.home.reports).toMatchObject([{ verdict: "both-symmetric" }]);
    const begun = () => pair.home.events.filter(({ type }) => type === "attempt-started").length;
    pair.measured("office", { type: "symmetric", filtering: null });
    await pair.lab.pass(500);
    expect(begun()).toBe(2);
    for (let i = 0; i < 30; i++) {
      pair.measured("office", i % 2 === 0 ? SYMMETRIC : { type: "symmetric", filtering: null });
      await pair.lab.pass(200);
    }
    expect(begun()).toBe(1 + 8);
  });

  test("datagrams before it is open wait, the last 64 of them", async () => {
    const pair = await Pair.open({ seed: 1 });
    for (let number = 0; number < 100; number++)
      pair.home.do((peer, now) => peer.send(now, pair.pipe, 2, new TextEncoder().encode(String(number))));
    await pair.lab.pass(1_000);
    expect(pair.office.received.map(({ text }) => text)).toEqual(Array.from({ length: 64 }, (_, i) => String(36 + i)));
  });

  test("an attempt that failed is repeated later and later, only while datagrams flow", async () => {
    const pair = await Pair.open({ seed: 1, a: "symmetric", b: "symmetric", natA: SYMMETRIC, natB: SYMMETRIC });
    await pair.lab.pass(60_000);
    const quiet = pair.home.reports.length;
    pair.send(1_000);
    await pair.lab.pass(900_000);
    await pair.stop();
    expect(quiet).toBe(2);
    expect(pair.home.reports.length).toBe(8);
  });
});
