import { OVERALL_LIMITS, PunchBudget, TARGET_LIMITS } from "../../src/core/punch/budget.ts";
import { Nat3, type Nat3Options } from "../../src/core/punch/nat3.ts";
import { Nat4, type Nat4Options } from "../../src/core/punch/nat4.ts";
import { type PortOrder, portSource } from "../../src/core/punch/ports.ts";
import { tokenCodec } from "../../src/core/punch/probe.ts";
import type { PunchEvent, PunchHit } from "../../src/core/punch/punch-event.ts";
import { PUNCH_DEFAULTS, type PunchSettings } from "../../src/core/punch/settings.ts";
import { ADDRESSES, type HostName, type Running, type World } from "../contract/world.ts";
import { Random } from "../random.ts";

export interface PunchPlan {
  readonly seed: number;
  readonly settings?: Partial<PunchSettings>;
  readonly order?: PortOrder;
  readonly nat3?: { readonly host: HostName; readonly address: string; readonly port: number };
  readonly nat4?: { readonly host: HostName; readonly address: string };
  readonly tokens?: { readonly nat3: string; readonly nat4: string };
  /** How long after the nat4 side the nat3 side starts. */
  readonly nat3DelayMs?: number;
}

/** Both ends of a punch in a world, started at the same time unless told. */
export interface PunchPair {
  readonly nat3: Running<Nat3>;
  readonly nat4: Running<Nat4>;
  /** Nothing is left to be done at either end. */
  over(): boolean;
}

export const NAT3_PORT = 4_000;
const SHARED = { nat3: "a shared secret", nat4: "a shared secret" };

/** The nat3 side at home b, whose router keeps ports; the nat4 side at home a, behind the carrier if there is one. */
export async function startPunch(world: World, plan: PunchPlan): Promise<PunchPair> {
  const random = new Random(plan.seed);
  const settings = { ...PUNCH_DEFAULTS, ...plan.settings };
  const { nat3: fixed = { host: "b1", address: ADDRESSES.natB, port: NAT3_PORT } } = plan;
  const { nat4: many = { host: "a1", address: ADDRESSES.natA }, tokens = SHARED } = plan;
  const common = () => ({
    settings,
    budget: new PunchBudget(TARGET_LIMITS, new PunchBudget(OVERALL_LIMITS)),
    random: (length: number) => random.bytes(length),
  });
  const nat4 = await world.start(
    many.host,
    Array.from({ length: settings.socketCount }, () => ({})),
    (_, now) => {
      const options: Nat4Options = { ...common(), now, target: fixed, codec: tokenCodec("nat4", tokens.nat4) };
      return new Nat4(options);
    },
  );
  if (plan.nat3DelayMs !== undefined) await world.until(() => false, plan.nat3DelayMs);
  const nat3 = await world.start(fixed.host, [{ port: fixed.port }], (_, now) => {
    const ports = portSource(plan.order ?? "permuted", (length) => random.bytes(length));
    const options: Nat3Options = {
      ...common(),
      now,
      target: many.address,
      codec: tokenCodec("nat3", tokens.nat3),
      ports,
    };
    return new Nat3(options);
  });
  return { nat3, nat4, over: () => [nat3, nat4].every(({ events }) => events.some(isLast)) };
}

function isLast({ type }: PunchEvent): boolean {
  return type === "done" || type === "failed";
}

/** The pairs that a machine has confirmed: one at the most. */
export function confirmed({ events }: Running<Nat3> | Running<Nat4>): PunchHit[] {
  return events.flatMap((event) => (event.type === "confirmed" ? [event.hit] : []));
}
