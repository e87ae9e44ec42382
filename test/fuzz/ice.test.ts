import { describe, expect, test } from "bun:test";
import { formatCandidate, parseCandidate } from "../../src/core/ice/candidate.ts";
import { createIceCredentials, type IceCredentials } from "../../src/core/ice/credentials.ts";
import { gatherCandidates } from "../../src/core/ice/gather.ts";
import { IceAgent, type IceEvent } from "../../src/core/ice/ice-agent.ts";
import type { Datagram } from "../../src/core/machine.ts";
import { type Endpoint, formatEndpoint, sameEndpoint } from "../../src/core/net/endpoint.ts";
import { concat } from "../bytes.ts";
import { fuzzSeeds, Random, SLOW_MACHINE_MS } from "../random.ts";

const ENDS = [
  { address: "10.0.0.1", port: 5_000 },
  { address: "10.0.0.2", port: 5_000 },
] as const;
/** One that can hear everything and send as anybody, but not keep anything from arriving and has no password. */
const ATTACKER = "10.0.0.66";
const LATENCY_MS = 5;
const END_MS = 12_000;

interface End {
  readonly agent: IceAgent;
  readonly events: IceEvent[];
}

interface Flying {
  readonly at: number;
  readonly to: number;
  readonly datagram: Datagram;
}

function makeEnds(random: Random, credentials: readonly IceCredentials[]): End[] {
  return ENDS.map((endpoint, index) => {
    const gathered = { hosts: [{ endpoint, socket: 0 }], reflexive: [] };
    const agent = new IceAgent({
      random: (length) => random.bytes(length),
      controlling: index === 0 || random.oneIn(4),
      local: credentials[index] as IceCredentials,
      candidates: gatherCandidates(gathered, { includeLoopback: false }),
    });
    agent.setRemote(credentials[1 - index] as IceCredentials);
    const remote = { type: "host", foundation: "1", priority: 9, endpoint: ENDS[1 - index] as Endpoint } as const;
    agent.addRemotes([remote], random.oneIn(2));
    return { agent, events: [] };
  });
}

interface Session {
  readonly ends: readonly End[];
  readonly credentials: readonly IceCredentials[];
  /** All that was sent to where nobody is, by address. */
  readonly astray: ReadonlyMap<string, number>;
  readonly heard: readonly Uint8Array[];
}

/** Two agents on one link; `forge` makes what the attacker throws in, `rate` times for each check of theirs. */
function run(random: Random, rate: number, forge: (heard: readonly Uint8Array[]) => Uint8Array): Session {
  const credentials = [0, 1].map(() => createIceCredentials((length) => random.bytes(length)));
  const ends = makeEnds(random, credentials);
  const heard: Uint8Array[] = [];
  const astray = new Map<string, number>();
  let flying: Flying[] = [];
  let now = 0;

  function drain(from: number): void {
    const { agent, events } = ends[from] as End;
    for (let next = agent.pollTransmit(); next !== undefined; next = agent.pollTransmit()) {
      const to = ENDS.findIndex((end) => sameEndpoint(end, next.to));
      const datagram = { socket: 0, from: ENDS[from] as Endpoint, payload: next.payload };
      heard.push(next.payload);
      if (to >= 0) flying.push({ at: now + LATENCY_MS, to, datagram });
      else astray.set(formatEndpoint(next.to), (astray.get(formatEndpoint(next.to)) ?? 0) + 1);
      if (isCheck(next.payload)) for (let i = 0; i < rate; i++) throwIn();
    }
    for (let event = agent.pollEvent(); event !== undefined; event = agent.pollEvent()) events.push(event);
  }

  function throwIn(): void {
    const stranger = { address: ATTACKER, port: random.between(1, 65_535) };
    const datagram = { socket: 0, from: random.pick([stranger, ...ENDS]), payload: forge(heard) };
    flying.push({ at: now + random.below(20), to: random.below(2), datagram });
  }

  for (const [index, { agent }] of ends.entries()) {
    agent.start(now);
    drain(index);
  }
  while (now < END_MS) {
    const next = Math.min(...ends.map(({ agent }) => agent.nextTimeout()), ...flying.map(({ at }) => at));
    if (next > END_MS) break;
    now = Math.max(now, next);
    const due = flying.filter(({ at }) => at <= now);
    flying = flying.filter(({ at }) => at > now);
    for (const { to, datagram } of due) {
      (ends[to] as End).agent.handleDatagram(now, datagram);
      drain(to);
    }
    for (const [index, { agent }] of ends.entries()) {
      agent.handleTimeout(now);
      drain(index);
    }
  }
  return { ends, credentials, astray, heard };
}

function isCheck(payload: Uint8Array): boolean {
  return payload[0] === 0;
}

function mutate(random: Random, payload: Uint8Array): Uint8Array {
  const bytes = payload.slice();
  for (let i = random.between(1, 4); i > 0; i--) {
    const at = random.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  }
  if (random.oneIn(4)) return bytes.subarray(0, random.below(bytes.length));
  return random.oneIn(4) ? concat([bytes, random.bytes(random.below(40))]) : bytes;
}

/** A header that looks right, and noise behind it. */
function noise(random: Random): Uint8Array {
  const body = random.bytes(4 * random.below(30));
  const header = Uint8Array.of(0, 1, body.length >> 8, body.length & 0xff, 0x21, 0x12, 0xa4, 0x42);
  return concat([header, random.bytes(12), body]);
}

const FORGERS: Record<string, (random: Random, heard: readonly Uint8Array[]) => Uint8Array> = {
  noise: (random) => (random.oneIn(2) ? noise(random) : random.bytes(random.below(200))),
  "mutated copies": (random, heard) => mutate(random, random.pick(heard)),
  // Only checks: whoever passes on the answers as well is a path between the two, which ICE cannot tell from a NAT.
  "checks again, from anywhere": (random, heard) => random.pick(heard.filter(isCheck)),
};

function selections({ ends }: Session): string[][] {
  return ends.map(({ events }) =>
    events.map((event) => (event.type === "selected" ? formatEndpoint(event.remote.endpoint) : event.type)),
  );
}

describe("two agents and one who hears everything and sends as anybody", () => {
  for (const [name, forge] of Object.entries(FORGERS))
    test(
      `${name}: nothing throws, both select each other, and no bystander gets more than what is allowed`,
      () => {
        for (const seed of fuzzSeeds(`ice, ${name}`, 60)) {
          const random = new Random(seed);
          const session = run(random, random.pick([1, 3, 8]), (heard) => forge(random, heard));
          const expected = [[formatEndpoint(ENDS[1])], [formatEndpoint(ENDS[0])]];
          expect({ seed, selected: selections(session) }).toEqual({ seed, selected: expected });
          for (const sent of session.astray.values())
            expect({ seed, sent }).toEqual({ seed, sent: Math.min(sent, 35) });
          const checks = session.ends.map(({ agent }) => agent.pairs.length);
          expect({ seed, checks: Math.max(...checks) <= 33 }).toEqual({ seed, checks: true });
        }
      },
      SLOW_MACHINE_MS,
    );
});

test("what was said in one session opens nothing in another: no answer, no pair, no event", () => {
  for (const seed of fuzzSeeds("ice, cross-session", 30)) {
    const random = new Random(seed);
    const { heard, credentials } = run(random, 0, () => new Uint8Array());
    const fresh = [0, 1].map(() => createIceCredentials((length) => random.bytes(length)));
    // The worst case: the names are the same, only the passwords are new.
    const [a, b] = [0, 1].map((index) => ({ ...fresh[index], ufrag: credentials[index]?.ufrag }) as IceCredentials);
    const other = run(random, 0, () => new Uint8Array());
    for (const { agent } of makeEnds(random, random.oneIn(2) ? [a as IceCredentials, b as IceCredentials] : fresh)) {
      agent.start(0);
      for (const payload of [...heard, ...other.heard])
        for (const from of [...ENDS, { address: ATTACKER, port: 1 }])
          agent.handleDatagram(random.below(4_000), { socket: 0, from, payload });
      const { answersSent } = agent.counters;
      const open = agent.pairs.map(({ state }) => state);
      expect({ seed, answersSent, open, event: agent.pollEvent() }).toEqual({
        seed,
        answersSent: 0,
        open: ["in-progress"],
        event: undefined,
      });
    }
  }
});

test("a peer gone mad, with the password: nothing throws, and all that can grow is bounded", () => {
  for (const seed of fuzzSeeds("ice, mad peer", 20)) {
    const random = new Random(seed);
    const { ends } = run(random, 0, () => new Uint8Array());
    // Its own requests, from everywhere, at any time and in any order.
    const { heard } = run(random, 8, (said) => random.pick(said));
    for (const { agent } of ends)
      for (const payload of heard)
        agent.handleDatagram(random.below(30_000), {
          socket: random.below(3),
          from: { address: ATTACKER, port: random.between(1, 65_535) },
          payload: random.oneIn(2) ? payload : mutate(random, payload),
        });
    expect({ seed, pairs: ends.every(({ agent }) => agent.pairs.length <= 100) }).toEqual({ seed, pairs: true });
  }
});

test("candidate text: nothing throws, and what is read says the same again", () => {
  const random = new Random(fuzzSeeds("candidate text", 1)[0] ?? 0);
  const letters = "candidate:1 udp typ host srflx raddr rport . : / + % \r\n\0é0123456789abcdef";
  for (let i = 0; i < 5_000; i++) {
    const text = [..."candidate:1 1 udp 2130706431 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 5000"];
    for (let j = random.between(0, 3); j > 0; j--)
      text.splice(random.below(text.length), random.below(3), random.pick([...letters]));
    const read = parseCandidate(text.join(""));
    if (read !== undefined) expect(parseCandidate(formatCandidate(read))).toEqual(read);
  }
});
