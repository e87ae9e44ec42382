import type { StatusReport, TraversalReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { formatCount, formatMs } from "./format.ts";
import { natWords } from "./network.ts";
import { type Cell, Table } from "./table.ts";

type Pipe = TraversalReport["pipes"][number];

/** Peers of this node, and which way their datagrams go. */
export class Pipes {
  readonly #section = byId("peers");
  readonly #none = byId("no-pipes");
  readonly #table = new Table<Pipe>(
    "Pipes to peers",
    [
      { title: "Peer", cell: ({ peer, service }) => ({ text: peer, note: service }) },
      { title: "Path", cell: pathCell },
      { title: "Why", cell: whyCell },
      {
        title: "Direct",
        isNumber: true,
        cell: ({ direct, directRttMs }) => rttCell(directRttMs ?? direct?.rttMs ?? null),
      },
      { title: "Over the server", isNumber: true, cell: ({ relayRttMs }) => rttCell(relayRttMs) },
      {
        title: "NATs",
        cell: ({ ownNat, peerNat }) => ({ text: natWords(ownNat), note: `there: ${natWords(peerNat)}` }),
      },
      { title: "Sent direct", isNumber: true, cell: ({ counters }) => countCell(counters?.sentDirect) },
      { title: "Sent over the server", isNumber: true, cell: ({ counters }) => countCell(counters?.sentRelay) },
    ],
    ({ pipe, peer }) => `${peer} ${pipe}`,
  );

  constructor() {
    byId("pipe-list").append(this.#table.root);
  }

  update({ traversal: { pipes, plane } }: StatusReport): void {
    this.#section.hidden = plane === null;
    this.#table.update(pipes);
    this.#table.root.hidden = pipes.length === 0;
    this.#none.hidden = pipes.length > 0;
  }
}

function pathCell({ state, route, direct }: Pipe): Cell {
  if (state !== "open") return { text: state, tone: "warn" };
  const note = direct?.remote ?? "";
  switch (route) {
    case "direct":
      return { text: "direct", tone: "good", note };
    case "both":
      return { text: "both", tone: "warn", note };
    case "relay":
      return { text: "over the server", note };
    default:
      return route satisfies never;
  }
}

function whyCell({ direct, verdict, attempts, retryInMs }: Pipe): Cell {
  if (direct !== null) {
    const { winner, elapsedMs } = direct.meta;
    return winner === "peer"
      ? { text: "the peer moved there by itself" }
      : { text: `${winner === "ice" ? "ICE" : "hard-NAT"} won`, note: `within ${formatMs(elapsedMs)}` };
  }
  if (attempts.some(({ report }) => report === null)) return { text: "going direct is being tried" };
  const next = retryInMs === null || retryInMs === 0 ? "" : `again in ${formatMs(retryInMs)}`;
  return { text: verdict === "" ? "not tried yet" : verdict.replaceAll("-", " "), note: next };
}

function rttCell(rttMs: number | null): Cell {
  return rttMs === null ? { text: "–", tone: "quiet" } : { text: formatMs(rttMs), value: rttMs };
}

function countCell(count: number | undefined): Cell {
  return count === undefined ? { text: "–", tone: "quiet" } : { text: formatCount(count), value: count };
}
