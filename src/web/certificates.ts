import type { StatusReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { formatDay, formatDistance } from "./format.ts";
import { Table, type Tone } from "./table.ts";

interface Row {
  readonly whose: string;
  readonly note: string;
  readonly notAfter: string;
  readonly nowMs: number;
}

const DAY_MS = 86_400_000;
/** As the alert on `ut_certificate_not_after_seconds` has it. */
const SOON_MS = 30 * DAY_MS;

/** This node's certificate, its CA, and those of others that have been seen: what ends first stands first. */
export class Certificates {
  readonly #table = new Table<Row>(
    "Certificates and when they end",
    [
      { title: "Certificate", cell: ({ whose, note }) => ({ text: whose, note }) },
      { title: "Ends", cell: ({ notAfter, nowMs }) => ({ text: formatDay(notAfter), tone: toneOf(notAfter, nowMs) }) },
      { title: "That is", cell: ({ notAfter, nowMs }) => ({ text: formatDistance(notAfter, nowMs) }) },
    ],
    ({ whose, note }) => `${whose} ${note}`,
  );

  constructor() {
    byId("certificate-list").append(this.#table.root);
  }

  update({ certificates: { own, authority, peers }, startedAt, uptimeSeconds }: StatusReport): void {
    // By the node's clock, which is the one that counts.
    const nowMs = Date.parse(startedAt) + uptimeSeconds * 1_000;
    const rows = [
      { whose: own.cn, note: "this node", notAfter: own.notAfter, nowMs },
      { whose: "CA", note: "of all nodes", notAfter: authority.notAfter, nowMs },
      ...peers.map(({ cn, notAfter }) => ({ whose: cn, note: "seen", notAfter, nowMs })),
    ];
    this.#table.update(rows.toSorted((one, other) => Date.parse(one.notAfter) - Date.parse(other.notAfter)));
  }
}

function toneOf(notAfter: string, nowMs: number): Tone {
  const leftMs = Date.parse(notAfter) - nowMs;
  return leftMs < 0 ? "bad" : leftMs < SOON_MS ? "warn" : "plain";
}
