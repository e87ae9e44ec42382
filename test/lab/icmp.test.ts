import { expect, test } from "bun:test";
import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import { PunchBudget } from "../../src/core/punch/budget.ts";
import { Nat3 } from "../../src/core/punch/nat3.ts";
import { portSource } from "../../src/core/punch/ports.ts";
import { plainCodec } from "../../src/core/punch/probe.ts";
import type { PunchEvent } from "../../src/core/punch/punch-event.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import { NEVER } from "../../src/core/time.ts";
import { numbered, numberOf } from "../bytes.ts";
import { ADDRESSES } from "../contract/world.ts";
import { Random } from "../random.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { type NatWorld, openNatWorld } from "./nat-world.ts";

const HEALTHY = 10_000;
const PORT = 5_000;
const LIMIT_MS = 30_000;
const SETTINGS = { ...PUNCH_DEFAULTS, scanCount: 4_096, intervalMs: 100, batchIntervalMs: 100, windowMs: LIMIT_MS };
const LIMITS = { packets: 200_000, packetsPerSecond: 20_000, mappings: 64_512 };

/** A scan, and behind each of its probes a numbered datagram to somebody else, out of the same socket. */
class ScanAndTalk implements Machine<PunchEvent> {
  readonly scan: Nat3;
  readonly #to: Endpoint;
  #said = 0;
  #myTurn = false;

  constructor(scan: Nat3, to: Endpoint) {
    this.scan = scan;
    this.#to = to;
  }

  handleDatagram(now: number, datagram: Datagram): void {
    this.scan.handleDatagram(now, datagram);
  }

  handleTimeout(now: number): void {
    if (this.#said < HEALTHY) this.scan.handleTimeout(now);
  }

  pollTransmit(): Transmit | undefined {
    if (this.#myTurn && this.#said < HEALTHY) {
      this.#myTurn = false;
      return { socket: 0, to: this.#to, payload: numbered(this.#said++) };
    }
    const probe = this.scan.pollTransmit();
    this.#myTurn = probe !== undefined;
    return probe;
  }

  pollEvent(): PunchEvent | undefined {
    return this.scan.pollEvent();
  }

  nextTimeout(): number {
    return this.#said < HEALTHY ? this.scan.nextTimeout() : NEVER;
  }
}

/** Counts how often each number came. */
class Ledger implements Machine<never> {
  readonly times = new Map<number, number>();

  handleDatagram(_now: number, { payload }: Datagram): void {
    const number = numberOf(payload);
    this.times.set(number, (this.times.get(number) ?? 0) + 1);
  }

  handleTimeout(): void {}
  pollTransmit(): undefined {}
  pollEvent(): undefined {}
  nextTimeout(): number {
    return NEVER;
  }
}

/** ICMP "destination unreachable" that a host has received. */
async function unreachables(world: NatWorld): Promise<number> {
  const lines = (await world.namespaceOf("a1").run(["cat", "/proc/net/snmp"])).split("\n");
  const [names = "", values = ""] = lines.filter((line) => line.startsWith("Icmp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("InDestUnreachs")]);
}

describeLab("ICMP errors", () => {
  test(
    "a scan under full speed, each probe of which is answered with one, loses no other datagram of its socket",
    async () => {
      await using lab = await Lab.open();
      await using world = await openNatWorld(lab, { a: "full-cone" });
      const ledger = await world.start("stun", [{ port: PORT }], () => new Ledger());
      const random = new Random(1);
      const talk = await world.start("a1", [{}], (_, now) => {
        const common = { settings: SETTINGS, codec: plainCodec("nat3"), budget: new PunchBudget(LIMITS) };
        const bytes = (length: number) => random.bytes(length);
        const ports = portSource("permuted", bytes);
        const scan = new Nat3({ ...common, now, target: ADDRESSES.peer, random: bytes, ports });
        return new ScanAndTalk(scan, { address: ADDRESSES.stun, port: PORT });
      });
      await world.until(() => ledger.machine.times.size === HEALTHY, LIMIT_MS);
      const times = [...ledger.machine.times.values()];
      expect({ healthy: times.length, repeated: times.filter((count) => count > 1).length }).toEqual({
        healthy: HEALTHY,
        repeated: 0,
      });
      // Nobody listens at the peer's ports: there was an error for every probe, some still on their way.
      expect(await unreachables(world)).toBeGreaterThan(0.9 * talk.machine.scan.packets);
      expect(talk.machine.scan.packets).toBeGreaterThanOrEqual(HEALTHY);
    },
    LIMIT_MS + 10_000,
  );
});
