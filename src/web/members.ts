import type { SignalStatus } from "../core/signal/signal-status.ts";
import type { StatusReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { formatCount, formatMs } from "./format.ts";
import { Table } from "./table.ts";

type Member = SignalStatus["members"][number];

/** At a server: the peers that hold a control connection, or did until a moment ago. */
export class Members {
  readonly #section = byId("members");
  readonly #table = new Table<Member>(
    "Peers that this server brings together",
    [
      { title: "Peer", cell: ({ cn, isRegistered }) => ({ text: cn, note: isRegistered ? "can be called" : "" }) },
      {
        title: "Control connection",
        cell: ({ isConnected }) => (isConnected ? { text: "open", tone: "good" } : { text: "lost", tone: "warn" }),
      },
      { title: "Round trip", isNumber: true, cell: ({ rttMs }) => ({ text: formatMs(rttMs), value: rttMs ?? -1 }) },
      { title: "NAT", cell: ({ nat }) => ({ text: nat === "" ? "not told" : nat }) },
      { title: "Pipes", isNumber: true, cell: ({ pipes }) => ({ text: formatCount(pipes), value: pipes }) },
    ],
    ({ cn, sessionId }) => `${cn} ${sessionId}`,
  );

  constructor() {
    byId("member-list").append(this.#table.root);
  }

  update({ roles }: StatusReport): void {
    const members = roles.flatMap(({ signals }) => signals?.members ?? []);
    this.#table.update(members);
    this.#section.hidden = members.length === 0;
  }
}
