import { expect, test } from "bun:test";
import { type Endpoint, formatEndpoint } from "../../src/core/net/endpoint.ts";
import type { PortMapperEvent } from "../../src/core/portmap/mapper-event.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";
import { MapperBench } from "../unit/core/portmap/mapper-bench.ts";

/**
 * The mapper against a gateway that loses datagrams, restarts, changes its address, refuses, shortens leases and changes
 * what it speaks, for a virtual day each.
 */
const LEASE_SECONDS = 3_600;
/** What a change of the gateway may cost: until the lease ends, a renewal under way included. */
const STALE_MS = (LEASE_SECONDS + 11) * 1_000;
const HOUR = 3_600_000;

/** What the events say, checked for their order; and what an application would advertise. */
class Advertised {
  external: Endpoint | undefined;
  readonly #wrong: string[] = [];

  take(event: PortMapperEvent): void {
    switch (event.type) {
      case "installed":
        this.#check(event, this.external === undefined);
        this.external = event.external;
        break;
      case "replaced":
        this.#check(event, this.external !== undefined);
        this.external = event.external;
        break;
      case "renewed":
        this.#check(
          event,
          this.external !== undefined && formatEndpoint(this.external) === formatEndpoint(event.external),
        );
        break;
      case "revoked":
        this.#check(event, this.external !== undefined);
        this.external = undefined;
        break;
      case "behind-nat":
      case "unavailable":
      case "stopped":
        this.#check(event, this.external === undefined);
        break;
    }
  }

  get wrong(): readonly string[] {
    return this.#wrong;
  }

  #check(event: PortMapperEvent, ok: boolean): void {
    if (!ok) this.#wrong.push(`${JSON.stringify(event)} while ${JSON.stringify(this.external)}`);
  }
}

function run(seed: number, isCalm: boolean): void {
  const random = new Random(seed);
  const advertised = new Advertised();
  /** A gateway that is left is told nothing, so until then it may hold what nobody answers for any more: as it said. */
  let abandonedUntil = 0;
  const bench: MapperBench = new MapperBench({
    random,
    lossPercent: random.pick([0, 0, 10, 30]),
    leaseSeconds: LEASE_SECONDS,
    onEvent: (event) => {
      advertised.take(event);
      if (event.type === "abandoned") abandonedUntil = bench.now + LEASE_SECONDS * 1_000;
    },
  });
  let staleSince: number | undefined;

  function check(): void {
    const held = bench.gateway
      .mappings(bench.now)
      .map(({ externalPort: port }) => ({ address: bench.gateway.address, port }));
    const isTrue =
      advertised.external === undefined ||
      held.some(({ address, port }) => address === advertised.external?.address && port === advertised.external.port);
    staleSince = isTrue ? undefined : (staleSince ?? bench.now);
    expect([seed, advertised.wrong]).toEqual([seed, []]);
    if (staleSince !== undefined && (isCalm || bench.now - staleSince > STALE_MS))
      throw new Error(
        `seed ${seed}: ${JSON.stringify(advertised.external)} is not held; ${bench.log.slice(-8).join("\n")}`,
      );
  }

  bench.start();
  while (bench.now < 1_000_000 + 24 * HOUR) {
    const steps = random.between(1, 40);
    for (let step = 0; step < steps; step++) {
      bench.pass(random.between(1, 90_000));
      check();
    }
    if (!isCalm) disturb(bench, random);
    else bench.gateway.refuses = random.pick([0, 0, 8]);
  }
  finish(bench, random, seed, bench.now >= abandonedUntil);
}

function disturb(bench: MapperBench, random: Random): void {
  const { gateway } = bench;
  switch (random.below(6)) {
    case 0:
      gateway.reboot(bench.now);
      if (random.oneIn(2)) bench.announce();
      break;
    case 1:
      gateway.address = random.pick(["203.0.113.7", "198.51.100.9", "100.64.0.2", "10.0.0.5"]);
      break;
    case 2:
      gateway.refuses = random.pick([0, 0, 2, 7, 8, 11]);
      break;
    case 3:
      gateway.speaks = { pcp: random.oneIn(2), natPmp: random.oneIn(2) };
      break;
    case 4:
      gateway.maxLeaseSeconds = random.pick([5, 30, 600, 7_200]);
      break;
    default:
      bench.do((mapper, now) => mapper.handleGatewayChange(now, undefined));
      if (random.oneIn(2)) bench.pass(random.between(1, 60_000));
      bench.start();
  }
}

/**
 * On a network that works again, everything is asked away; and whatever it says is left is all that is left, but for
 * what a gateway still holds that was left within the lease.
 */
function finish(bench: MapperBench, random: Random, seed: number, answersForAll: boolean): void {
  bench.lossPercent = random.pick([0, 0, 50]);
  const works = bench.lossPercent === 0 && bench.gateway.speaks.pcp && bench.gateway.speaks.natPmp;
  bench.stop().pass(900);
  const last = bench.events.at(-1);
  expect([seed, last?.type]).toEqual([seed, "stopped"]);
  const left = last?.type === "stopped" ? last.left : [];
  const held = bench.gateway.mappings(bench.now);
  if (works && answersForAll) expect([seed, left, held]).toEqual([seed, [], []]);
  if (left.length === 0 && answersForAll) expect([seed, held]).toEqual([seed, []]);
  bench.pass(STALE_MS);
  expect([seed, bench.gateway.mappings(bench.now), bench.mapper.nextTimeout()]).toEqual([seed, [], Infinity]);
  // A day of renewals at half time, in the worst case of a lease of five seconds, and of what is repeated: no flood.
  expect(bench.sent).toBeLessThan(50_000);
}

test(
  "on a calm gateway nothing is ever advertised that it does not hold",
  () => {
    for (const seed of fuzzSeeds("port mapper, calm", 40)) run(seed, true);
  },
  SLOW_MACHINE_MS,
);

test(
  "on a wild one, for no longer than a lease; and at the end nothing is left",
  () => {
    for (const seed of fuzzSeeds("port mapper, wild", 120)) run(seed, false);
  },
  SLOW_MACHINE_MS,
);
