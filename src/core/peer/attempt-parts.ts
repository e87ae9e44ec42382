import type { LocalCandidate } from "../ice/candidate.ts";
import type { IceCredentials } from "../ice/credentials.ts";
import type { RandomBytes } from "../machine.ts";
import type { NatKind } from "../nat/direct-way.ts";
import type { Endpoint } from "../net/endpoint.ts";
import type { DirectAddress } from "../pipe/pipe.ts";
import type { PunchBudget } from "../punch/budget.ts";
import type { PunchRole } from "../punch/probe.ts";
import type { Instant } from "../time.ts";
import type { HardNatTerms } from "./hard-nat-plan.ts";
import type { Remembered } from "./memory.ts";
import type { Outbox } from "./outbox.ts";
import type { ServerReflex } from "./server-reflex.ts";
import type { Trace } from "./trace.ts";

/** What an attempt to go direct is made with, by the pipe that it is for. */
export interface AttemptParts {
  readonly random: RandomBytes;
  readonly out: Outbox;
  readonly trace: Trace;
  readonly reflex: ServerReflex;
  readonly overall: PunchBudget;
  /** The shared socket that nat3 punches from. */
  readonly socket: number;
  /** Its side opened the pipe: it controls ICE, and chooses between two addresses that work. */
  readonly isInitiator: boolean;
  readonly attempt: number;
  readonly terms: HardNatTerms;
  readonly probeKey: Uint8Array;
  /** What is known of our network, once the server has been asked for our address. */
  readonly gather: () => OwnNetwork;
  readonly sendCandidates: (candidates: readonly LocalCandidate[]) => void;
  readonly ice: { readonly local: IceCredentials; readonly remote: IceCredentials };
  readonly remembered: Remembered | undefined;
  readonly requestPunch: (now: Instant, role: PunchRole, reflex: Endpoint) => void;
  readonly acknowledgePunch: () => void;
  /** Has the pipe send sealed challenges there. */
  readonly prove: (now: Instant, address: DirectAddress) => void;
}

/** What the other end is told. */
export interface OwnNetwork {
  readonly nat: NatKind;
  readonly isPortMapped: boolean;
  readonly candidates: readonly LocalCandidate[];
}
