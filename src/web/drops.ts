import type { ChannelDropReason, DropReason } from "../core/tunnel/counters.ts";
import type { StatusReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { formatCount } from "./format.ts";
import { Table } from "./table.ts";

interface Row {
  readonly reason: string;
  readonly kind: "tunnel" | "pipes";
  readonly up: number;
  readonly down: number;
}

/** Of all clients together: how many datagrams were not delivered, and why. */
export class Drops {
  readonly #none = byId("no-drops");
  readonly #table = new Table<Row>(
    "Datagrams dropped since the node started",
    [
      { title: "Reason", cell: ({ reason, kind }) => ({ text: reason, note: kind === "pipes" ? "of pipes" : "" }) },
      { title: "Up", isNumber: true, cell: ({ up }) => ({ text: formatCount(up), value: up }) },
      { title: "Down", isNumber: true, cell: ({ down }) => ({ text: formatCount(down), value: down }) },
      { title: "Means", cell: ({ reason, kind }) => ({ text: meaningOf(reason, kind) }) },
    ],
    ({ reason, kind }) => `${kind} ${reason}`,
  );

  constructor() {
    byId("drop-list").append(this.#table.root);
  }

  update(status: StatusReport): void {
    const rows = dropsOf(status).filter(({ up, down }) => up + down > 0);
    this.#table.update(rows);
    this.#table.root.hidden = rows.length === 0;
    this.#none.hidden = rows.length > 0;
  }
}

function dropsOf({ roles }: StatusReport): Row[] {
  const clients = roles.flatMap((role) => Object.values(role.clients));
  const sum = (pick: (client: (typeof clients)[number]) => number) =>
    clients.reduce((total, client) => total + pick(client), 0);
  const tunnel = Object.keys(MEANINGS.tunnel) as DropReason[];
  const pipes = Object.keys(MEANINGS.pipes) as ChannelDropReason[];
  return [
    ...tunnel.map((reason) => ({
      reason,
      kind: "tunnel" as const,
      up: sum(({ up }) => up.drops[reason]),
      down: sum(({ down }) => down.drops[reason]),
    })),
    ...pipes.map((reason) => ({
      reason,
      kind: "pipes" as const,
      up: sum(({ channels }) => channels.up.drops[reason]),
      down: sum(({ channels }) => channels.down.drops[reason]),
    })),
  ];
}

function meaningOf(reason: string, kind: Row["kind"]): string {
  const meanings: Readonly<Record<string, string>> = MEANINGS[kind];
  return meanings[reason] ?? "";
}

const MEANINGS = {
  tunnel: {
    oldest: "the queue was full",
    delay: "waited longer than queue.max_delay_ms",
    codel: "the queue had been standing: one now and then, so that TCP inside slows down",
    stale: "waited over 5 s for lanes to return",
    too_large: "fits no frame",
    lane_lost: "went down with its lane",
    udp_error: "the system refused to send it, twice",
    udp_blocked: "the local UDP socket could not keep up",
    no_peer: "nothing local has been heard yet, so nobody knows where to send",
    closed: "waited when its session, or the node, ended",
  } satisfies Record<DropReason, string>,
  pipes: {
    oldest: "too many waited already",
    stale: "waited over 5 s for lanes to return",
    too_large: "fits no frame",
    too_many: "of too many pipes at once",
    unsupported: "the other end of the lanes knows no pipes",
    unknown: "its pipe leads nowhere",
    no_session: "the peer may open no further session",
    closed: "waited when its pipe or session ended",
  } satisfies Record<ChannelDropReason, string>,
};
