import type { NatKind } from "../../src/core/nat/direct-way.ts";
import { PUNCH_DEFAULTS } from "../../src/core/punch/settings.ts";
import { expectedWay, type GridCell, type GridMode, type GridNat } from "../contract/grid.ts";
import { NATS } from "../contract/nat-spec.ts";
import { type LabPeer, PeerLab } from "./peer-lab.ts";
import { openSimWorld } from "./sim-world.ts";

/** With what the two ends still hold after the pipe was closed. */
export interface SimCell extends GridCell {
  readonly held: readonly unknown[];
}

const FLOW = 2;
const EVERY_MS = 100;
/** Two attempts with ICE, hard-NAT and the pause between them. */
const LIMIT_MS = 60_000;
const AFTER_MS = 2_000;
const SETTLE_MS = 500;
const CLOSE_MS = 1_000;

/** One pair of NATs in memory, with whole peers that have measured theirs, and a stream that flows from the start. */
export async function simCell(a: GridNat, b: GridNat, mode: GridMode, seed: number): Promise<SimCell> {
  const expected = expectedWay(a, b, mode);
  await using world = openSimWorld({ a, b }, { seed });
  const lab = await PeerLab.open(world, { seed });
  const options = { hardNat: { mode, role: "auto" as const, assistDelayMs: 300, settings: PUNCH_DEFAULTS } };
  const office = await lab.start({ host: "b1", cn: "office", nat: measured(b), options });
  const home = await lab.start({ host: "a1", cn: "home", nat: measured(a), options });
  const begunAt = lab.now;
  const stream = new Stream(lab, home, office);
  const attempts = expected === "relay" ? 1 : 2;
  let directAt: number | undefined;
  await world.until(() => {
    if (isDirect(home)) directAt ??= lab.now;
    return [home, office].every((peer) => isDirect(peer) || peer.reports.length >= attempts);
  }, LIMIT_MS);
  await lab.pass(AFTER_MS);
  const flowed = await stream.finish();
  const [one, other] = [home, office].map(wayOf);
  const result = {
    ...{ a, b, mode, expected, ...flowed },
    way: one === other ? (one ?? "none") : `${one} | ${other}`,
    attempts: home.reports.length,
    directMs: directAt === undefined ? null : directAt - begunAt,
    probes: [...home.reports, ...office.reports].reduce((sum, { packets }) => sum + packets, 0),
    firstBackMs: (office.received[0]?.at ?? Number.POSITIVE_INFINITY) - begunAt,
  };
  stream.close();
  await lab.pass(CLOSE_MS);
  return { ...result, held: [home, office].map(({ peer, fan }) => ({ ...peer.holdings, fan: fan.size })) };
}

/** Numbered datagrams there, and others back once the far end knows where to. */
class Stream {
  readonly #lab: PeerLab;
  readonly #home: LabPeer;
  readonly #office: LabPeer;
  #pipe = 0;
  #sent = 0;
  #isSending = true;

  constructor(lab: PeerLab, home: LabPeer, office: LabPeer) {
    this.#lab = lab;
    this.#home = home;
    this.#office = office;
    home.do((peer, now) => {
      this.#pipe = peer.open(now, "office", "wireguard");
    });
    this.#tick();
  }

  async finish(): Promise<{ sent: number; lost: number; doubled: number }> {
    this.#isSending = false;
    await this.#lab.pass(SETTLE_MS);
    const [there, back] = [this.#office.received, this.#home.received];
    const distinct = (received: LabPeer["received"]) => new Set(received.map(({ text }) => text)).size;
    const doubled = there.length - distinct(there) + back.length - distinct(back);
    return { sent: this.#sent, lost: this.#sent - distinct(there), doubled };
  }

  close(): void {
    this.#home.do((peer, now) => peer.close(now, this.#pipe, "done"));
  }

  #tick(): void {
    if (!this.#isSending) return;
    const datagram = new TextEncoder().encode(String(this.#sent++));
    this.#home.do((peer, now) => peer.send(now, this.#pipe, FLOW, datagram));
    const answering = this.#office.received.at(-1)?.pipe;
    if (answering !== undefined) this.#office.do((peer, now) => peer.send(now, answering, FLOW, datagram));
    this.#lab.later(EVERY_MS, () => this.#tick());
  }
}

function measured(name: GridNat): NatKind {
  const { mapping, filtering, udp } = NATS[name];
  if (!udp) return { type: "blocked", filtering: null };
  return { type: mapping === "endpoint-independent" ? "cone" : "symmetric", filtering };
}

function isDirect({ events }: LabPeer): boolean {
  return events.some(({ type }) => type === "direct-up");
}

function wayOf({ events, peer }: LabPeer): string {
  const up = events.findLast((event) => event.type === "direct-up");
  const [explained] = peer.explain(0);
  return explained?.route === "direct" && up?.type === "direct-up" ? up.path.meta.winner : (explained?.route ?? "none");
}
