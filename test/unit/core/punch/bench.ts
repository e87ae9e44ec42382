import type { Machine, Transmit } from "../../../../src/core/machine.ts";
import type { Endpoint } from "../../../../src/core/net/endpoint.ts";
import { type BudgetLimits, PunchBudget } from "../../../../src/core/punch/budget.ts";
import { Nat3, type Nat3Options } from "../../../../src/core/punch/nat3.ts";
import { Nat4, type Nat4Options } from "../../../../src/core/punch/nat4.ts";
import type { PortSource } from "../../../../src/core/punch/ports.ts";
import { type ProbeBody, type ProbeKind, tokenCodec } from "../../../../src/core/punch/probe.ts";
import type { PunchEvent } from "../../../../src/core/punch/punch-event.ts";
import { PUNCH_DEFAULTS, type PunchSettings } from "../../../../src/core/punch/settings.ts";

export const NAT3: Endpoint = { address: "198.51.100.6", port: 4_000 };
export const NAT4_ADDRESS = "198.51.100.2";
/** What the machine under test draws for its run; sockets of nat4 count on from it. */
export const NONCE = 0x1111_1111_1111_1110n;
export const TOKEN = "secret";

const CODECS = { nat3: tokenCodec("nat3", TOKEN), nat4: tokenCodec("nat4", TOKEN) };

/** A packet in short: where it goes, with which TTL, and what it says. */
export type Said = Partial<ProbeBody> & { kind: ProbeKind; socket?: number; to: string; ttl?: number };

/** One machine, driven by hand: what it sends is read with the other role's codec. */
export class Bench<M extends Machine<PunchEvent>> {
  readonly machine: M;
  readonly #role: "nat3" | "nat4";

  constructor(role: "nat3" | "nat4", machine: M) {
    this.#role = role;
    this.machine = machine;
  }

  /** Everything that it wants sent now. */
  sent(): Said[] {
    const all: Said[] = [];
    for (let next = this.machine.pollTransmit(); next !== undefined; next = this.machine.pollTransmit())
      all.push(this.#read(next));
    return all;
  }

  events(): PunchEvent[] {
    const all: PunchEvent[] = [];
    for (let next = this.machine.pollEvent(); next !== undefined; next = this.machine.pollEvent()) all.push(next);
    return all;
  }

  /** Time passes until `until`, with a wake-up whenever the machine wants one. */
  sleep(until: number): Said[] {
    const all = this.sent();
    for (let at = this.machine.nextTimeout(); at <= until; at = this.machine.nextTimeout()) {
      this.machine.handleTimeout(at);
      all.push(...this.sent());
    }
    return all;
  }

  /** The other side says something. */
  hear(now: number, kind: ProbeKind, body: Partial<ProbeBody>, from: Endpoint, socket = 0): void {
    const other = this.#role === "nat3" ? CODECS.nat4 : CODECS.nat3;
    const payload = other.encode(kind, { nonce: 0n, echo: 0n, number: 0, content: "", ...body });
    this.machine.handleDatagram(now, { socket, from, payload });
  }

  #read({ socket, to, payload, ttl }: Transmit): Said {
    const other = this.#role === "nat3" ? CODECS.nat4 : CODECS.nat3;
    const decoded = other.decode(payload);
    if (!decoded.ok) throw new Error(`The machine wrote something ${decoded.kind}`);
    const { nonce, echo, number, content } = decoded.body;
    return {
      ...{ kind: decoded.kind, to: `${to.address}:${to.port}`, nonce, echo, number },
      ...(content !== "" && { content }),
      ...(socket !== 0 && { socket }),
      ...(ttl !== undefined && { ttl }),
    };
  }
}

interface Plan extends Partial<PunchSettings> {
  readonly limits?: Partial<BudgetLimits>;
  readonly portFixed?: boolean;
}

const LIMITS: BudgetLimits = { packets: 10_000, packetsPerSecond: 10_000, mappings: 1_000 };

function common({ limits, portFixed, ...settings }: Plan) {
  return {
    now: 0,
    settings: { ...PUNCH_DEFAULTS, ...settings },
    budget: new PunchBudget({ ...LIMITS, ...limits }),
    random: () => Uint8Array.fromHex(NONCE.toString(16)),
    ...(portFixed === undefined ? {} : { portFixed }),
  };
}

/** Tries the ports 5001, 5002, …, `ports` of them. */
export function nat3Bench(plan: Plan = {}, some: Partial<Nat3Options> = {}, ports = 64_512): Bench<Nat3> {
  const options: Nat3Options = { ...common(plan), target: NAT4_ADDRESS, codec: CODECS.nat3, ports: counting(ports) };
  return new Bench("nat3", new Nat3({ ...options, ...some }));
}

export function nat4Bench(plan: Plan = {}, some: Partial<Nat4Options> = {}): Bench<Nat4> {
  return new Bench("nat4", new Nat4({ ...common(plan), target: NAT3, codec: CODECS.nat4, ...some }));
}

function counting(count: number): PortSource {
  let given = 0;
  return { next: () => (given < count ? 5_000 + ++given : undefined) };
}
