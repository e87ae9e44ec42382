import type { SignalInput } from "../wire/signal.ts";
import type { Alarm } from "./alarm.ts";
import type { CnRates } from "./cn-rates.ts";
import type { HubCounters } from "./hub-counters.ts";
import type { HubEvent } from "./hub-event.ts";
import type { HubPipes } from "./hub-pipe.ts";
import type { Member } from "./member.ts";
import type { Roster } from "./roster.ts";

/** What the desks of the hub share. */
export interface HubOffice {
  readonly roster: Roster;
  readonly pipes: HubPipes;
  readonly rates: CnRates;
  readonly counters: HubCounters;
  readonly alarm: Alarm;
  /** Lost if the member has no connection. */
  readonly send: (member: Member, signal: SignalInput) => void;
  /** False: it does not read, or is not there; what others want it to hear is not for it now. */
  readonly hasRoom: (member: Member) => boolean;
  readonly tell: (event: HubEvent) => void;
}
