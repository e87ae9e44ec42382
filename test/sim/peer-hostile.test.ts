import { describe, expect, test } from "bun:test";
import type { Datagram, Machine, Transmit } from "../../src/core/machine.ts";
import type { NatKind } from "../../src/core/nat/direct-way.ts";
import type { Endpoint } from "../../src/core/net/endpoint.ts";
import type { HardNatMode } from "../../src/core/peer/peer-options.ts";
import { answerOffer } from "../../src/core/pipe/handshake.ts";
import { tokenCodec } from "../../src/core/punch/probe.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import { NEVER } from "../../src/core/time.ts";
import { decodeOfferBody, type SignedOffer } from "../../src/core/wire/offer.ts";
import type { SignalInput } from "../../src/core/wire/signal.ts";
import type { NatName } from "../contract/nat-spec.ts";
import { ADDRESSES, type Running } from "../contract/world.ts";
import { Random } from "../random.ts";
import { endpointOf, type LabPeer, PeerLab, testIdentity } from "./peer-lab.ts";
import { openSimWorld, type SimWorld } from "./sim-world.ts";

const PORT: NatKind = { type: "cone", filtering: "address-and-port-dependent" };
const SYMMETRIC: NatKind = { type: "symmetric", filtering: "address-and-port-dependent" };
const VICTIM: Endpoint = { address: ADDRESSES.peer, port: 4_000 };

interface Stage {
  readonly world: SimWorld;
  readonly lab: PeerLab;
  readonly home: LabPeer;
  readonly office: LabPeer;
  readonly pipe: () => number;
  readonly open: () => void;
}

async function stage(mode: HardNatMode = "off", b: NatName = "port-restricted"): Promise<Stage> {
  const world = openSimWorld({ a: "port-restricted", b }, { seed: 1 });
  const lab = await PeerLab.open(world, { seed: 1 });
  const options = { hardNat: { mode, role: "auto" as const, assistDelayMs: 300, settings: PUNCH_DEFAULTS } };
  const authorise = (cn: string, service: string) => cn === "home" && service === "wireguard";
  const nat = b === "symmetric" ? SYMMETRIC : PORT;
  const office = await lab.start({ host: "b1", cn: "office", nat, options: { ...options, authorise } });
  const home = await lab.start({ host: "a1", cn: "home", nat: PORT, options });
  let pipe = 0;
  const open = () =>
    home.do((peer, now) => {
      pipe = peer.open(now, "office", "wireguard");
    });
  return { world, lab, home, office, pipe: () => pipe, open };
}

/** Counts what comes to a socket. */
class Bystander implements Machine<never> {
  readonly heard: Datagram[] = [];
  readonly #out: Transmit[] = [];

  say(to: Endpoint, payload: Uint8Array): void {
    this.#out.push({ socket: 0, to, payload });
  }

  handleDatagram(_now: number, datagram: Datagram): void {
    this.heard.push(datagram);
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.#out.shift();
  }

  pollEvent(): undefined {}

  nextTimeout(): number {
    return NEVER;
  }
}

async function bystander(world: SimWorld): Promise<Running<Bystander>> {
  return await world.start("peer", [{ port: VICTIM.port }], () => new Bystander());
}

function kinds({ events }: LabPeer): string[] {
  return events.map(({ type }) => type);
}

const candidate = ({ address, port }: Endpoint, number: number) =>
  `candidate:${number} 1 udp ${2_000_000_000 - number} ${address} ${port} typ srflx`;

describe("a server that lies", () => {
  test("lets another peer of the same CA answer: nothing opens, and it is not asked again at once", async () => {
    const { lab, home, open } = await stage();
    const random = new Random(7);
    lab.onSignalToPeer = (to, signal) =>
      to === home && signal.type === "p2p_opened" && signal.answer !== undefined
        ? { ...signal, answer: answerAs("mallory", offers.at(-1), random) }
        : signal;
    const offers: SignedOffer[] = [];
    lab.onSignalFromPeer = (_from, signal) => {
      if (signal.type === "open_p2p") offers.push(signal.offer);
      return signal;
    };
    open();
    await lab.pass(20_000);
    expect(home.events.filter(({ type }) => type !== "route")).toMatchObject([
      { type: "waiting", reason: "wrong-peer" },
    ]);
    expect(offers).toHaveLength(1);
    expect(home.peer.holdings).toEqual({ pipes: 0, sessions: 0, sockets: 0 });
  });

  test("changes a word of the offer or of the answer: nothing opens", async () => {
    for (const which of ["offer", "answer"] as const) {
      const { lab, home, office, open } = await stage();
      const changed = (offer: SignedOffer) => ({ ...offer, body: offer.body.replace('"version":1', '"version": 1') });
      lab.onSignalToPeer = (_to, signal) => {
        if (which === "offer" && signal.type === "p2p_incoming") return { ...signal, offer: changed(signal.offer) };
        if (which === "answer" && signal.type === "p2p_opened" && signal.answer !== undefined)
          return { ...signal, answer: changed(signal.answer) };
        return signal;
      };
      open();
      await lab.pass(3_000);
      expect([...kinds(home), ...kinds(office)]).not.toContain("opened");
      const who = which === "offer" ? office : home;
      expect(who.events[0]).toMatchObject({ reason: "bad-signature" });
    }
  });

  test("says that somebody else asks: whoever signed the offer counts, and nobody else", async () => {
    const { lab, office } = await stage();
    const stranger = await lab.start({ host: "peer", cn: "stranger", nat: PORT });
    lab.onSignalToPeer = (_to, signal) => (signal.type === "p2p_incoming" ? { ...signal, from: "home" } : signal);
    stranger.do((peer, now) => peer.open(now, "office", "wireguard"));
    await lab.pass(2_000);
    expect(office.events).toEqual([
      { type: "refused", from: "stranger", service: "wireguard", reason: "not-authorised" },
    ]);
  });

  test("replays an offer: nothing opens, nobody is checked, and it is forgotten", async () => {
    const { lab, world, office, home, open, pipe } = await stage();
    let recorded: SignalInput | undefined;
    lab.onSignalToPeer = (to, signal) => {
      if (to === office && signal.type === "p2p_incoming") recorded = signal;
      return signal;
    };
    open();
    await lab.pass(3_000);
    home.do((peer, now) => peer.close(now, pipe(), "done"));
    await lab.pass(2_000);
    const victim = await bystander(world);
    const before = office.events.length;
    if (recorded?.type !== "p2p_incoming") throw new Error("no offer was recorded");
    const { peer } = recorded;
    lab.inject(office, { ...recorded, channel: 4_711 });
    await lab.pass(100);
    const common = { channel: 4_711, attempt: 0 };
    lab.inject(office, { type: "p2p_opened", channel: 4_711, peer, rtt_ms: 1, peer_rtt_ms: 1 });
    lab.inject(office, { type: "candidates", ...common, candidates: [candidate(VICTIM, 1)], last: true, peer });
    lab.inject(office, { type: "start_punching", ...common, delay_ms: 0 }, 50);
    await lab.pass(20_000);
    expect(office.events.slice(before)).toEqual([
      { type: "refused", from: "home", service: "wireguard", reason: "unproven" },
    ]);
    expect(victim.machine.heard).toEqual([]);
    expect(office.peer.holdings).toEqual({ pipes: 0, sessions: 0, sockets: 0 });
  });

  test("swaps candidates: nobody becomes the direct path, and a bystander hears seven checks a candidate at most", async () => {
    const { lab, world, home, office, open } = await stage();
    const victim = await bystander(world);
    lab.onSignalToPeer = (_to, signal) =>
      signal.type === "candidates" ? { ...signal, candidates: [candidate(VICTIM, 1)] } : signal;
    open();
    await lab.pass(9_000);
    expect([...kinds(home), ...kinds(office)]).not.toContain("direct-up");
    expect(home.reports).toMatchObject([{ winner: null, verdict: "punch-failed" }]);
    const bySender = Map.groupBy(victim.machine.heard, ({ from }) => from.address);
    expect(Math.max(...[...bySender.values()].map(({ length }) => length))).toBeLessThanOrEqual(7);
  });

  test("mirrors what it relays: each datagram comes once", async () => {
    const { lab, home, office, open, pipe } = await stage();
    const seen: { channel: number; packet: Uint8Array }[] = [];
    const handle = office.peer.handleChannel.bind(office.peer);
    office.peer.handleChannel = (now, datagram) => {
      seen.push({ ...datagram, packet: datagram.packet.slice() });
      handle(now, datagram);
    };
    open();
    for (let number = 0; number < 20; number++) {
      home.do((peer, now) => peer.send(now, pipe(), 2, new TextEncoder().encode(String(number))));
      await lab.pass(20);
    }
    await lab.pass(500);
    for (const datagram of [...seen])
      office.do((_peer, now) => handle(now, { ...datagram, packet: datagram.packet.slice() }));
    expect(office.received.map(({ text }) => text)).toEqual(Array.from({ length: 20 }, (_, i) => String(i)));
  });

  test("sends packets of one pipe into another: they open nothing", async () => {
    const { lab, home, office, open, pipe } = await stage();
    const channels: number[] = [];
    lab.onSignalToPeer = (to, signal) => {
      if (to === office && signal.type === "p2p_incoming") channels.push(signal.channel);
      return signal;
    };
    open();
    const first = pipe();
    await lab.pass(200);
    open();
    await lab.pass(200);
    const [, other = 0] = channels;
    lab.onChannel = (from, packet) => {
      if (from === home) office.do((peer, now) => peer.handleChannel(now, { channel: other, packet: packet.slice() }));
      return undefined;
    };
    home.do((peer, now) => peer.send(now, first, 2, new TextEncoder().encode("astray")));
    await lab.pass(200);
    expect(channels).toHaveLength(2);
    expect(office.received).toEqual([]);
    expect(office.peer.explain(lab.now)[1]?.counters?.refused["wrong-session"]).toBeGreaterThan(0);
  });
});

describe("forged datagrams", () => {
  test("probes without the key, or of another attempt, settle nothing", async () => {
    const { lab, world, home, office, open } = await stage("assist", "symmetric");
    const victim = await bystander(world);
    const codec = tokenCodec("nat4", "0 guessed");
    lab.onSignalToPeer = (_to, signal) =>
      signal.type === "punch_introduce" ? { ...signal, peer_reflex: `${VICTIM.address}:${VICTIM.port}` } : signal;
    open();
    for (let at = 0; at < 100; at++)
      lab.later(450 + at * 20, () => {
        victim.machine.say(
          { address: ADDRESSES.natA, port: endpointOf("a1").port },
          codec.encode("hit", { nonce: 1n, echo: 2n, number: 1, content: "" }),
        );
        victim.poke();
      });
    await lab.world.until(() => home.reports.length > 0 && office.reports.length > 0, 30_000);
    expect(home.reports).toMatchObject([{ winner: null }]);
    expect([...kinds(home), ...kinds(office)]).not.toContain("direct-up");
    expect([home.fan.size, office.fan.size]).toEqual([0, 0]);
  });

  test("sealed packets with a session number that was overheard, repeated ones, and noise", async () => {
    const { lab, home, office, open } = await stage();
    const random = new Random(3);
    const heard: Uint8Array[] = [];
    lab.onChannel = (from, packet) => {
      if (from === home) heard.push(packet.slice());
      return packet;
    };
    open();
    await lab.pass(3_000);
    const before = kinds(office);
    const [sample = new Uint8Array(64)] = heard;
    const forged = Array.from({ length: 200 }, () => {
      const packet = random.bytes(80);
      packet.set(sample.subarray(0, 5));
      return packet;
    });
    const noise = Array.from({ length: 500 }, () => random.bytes(random.below(120)));
    for (const payload of [...forged, ...heard, ...noise])
      office.do((peer, now) => peer.handleDatagram(now, { socket: 0, from: VICTIM, payload: payload.slice() }));
    await lab.pass(2_000);
    const refused = office.peer.explain(lab.now)[0]?.counters?.refused;
    expect(kinds(office)).toEqual(before);
    expect(office.received).toEqual([]);
    expect(refused).toMatchObject({ forged: 200, replayed: heard.length });
  });
});

describe("what is told", () => {
  test("with hard-NAT off the offer has no such field; a peer without it counts as off", async () => {
    const offers: SignedOffer[] = [];
    const off = await stage("off");
    off.lab.onSignalFromPeer = (_from, signal) => {
      if (signal.type === "open_p2p") offers.push(signal.offer);
      if (signal.type === "p2p_accept") offers.push(signal.answer);
      return signal;
    };
    off.open();
    await off.lab.pass(2_000);
    const bodies = offers.map(({ body }) => decodeOfferBody(body));
    expect(bodies.map((body) => Object.keys(body ?? {}))).toEqual([FIELDS, FIELDS]);
  });
});

const FIELDS = ["version", "kind", "from", "to", "key", "nonce", "session", "ice", "service"];

/** A proper answer to the offer, signed by somebody else whose certificate is as good. */
function answerAs(cn: string, offer: SignedOffer | undefined, random: Random): SignedOffer {
  const body = offer && decodeOfferBody(offer.body);
  if (offer === undefined || body === undefined) throw new Error("there was no offer");
  const bytes = (length: number) => random.bytes(length);
  const ice = { ufrag: "abcd", pwd: "abcdefghijklmnopqrstuv" };
  const answered = answerOffer(testIdentity(cn), offer, body, 1, { ice }, bytes);
  if (!answered.ok) throw new Error(answered.detail);
  return answered.value.answer;
}
