import type { SocksStatus } from "../core/socks/socks-status.ts";
import type { StatusReport } from "../io/http/status-report.ts";
import { byId } from "./dom.ts";
import { type Fact, FactList } from "./facts.ts";
import { formatBytes, formatCount, formatThings } from "./format.ts";

/** What goes through the SOCKS proxy of this node, or leaves it as somebody else's; hidden where it has neither. */
export class Socks {
  readonly #section = byId("socks");
  readonly #facts = new FactList();

  constructor() {
    this.#section.append(this.#facts.root);
  }

  update({ roles }: StatusReport): void {
    const ends = roles.flatMap(({ role, socks }) => (socks == null ? [] : [{ isProxy: role === "socks", socks }]));
    this.#section.hidden = ends.length === 0;
    this.#facts.update(ends.flatMap(({ isProxy, socks }) => factsOf(isProxy ? "Proxy" : "Exit", socks)));
  }
}

function factsOf(end: string, { open, opened, bytes, refused, link }: SocksStatus): Fact[] {
  const counts = Object.entries(open).map(([kind, count]) => `${formatCount(count)} ${kind}`);
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  const reasons = Object.entries(refused).filter(([, count]) => count > 0);
  const { connections, streams, problem } = link;
  return [
    { name: `${end}: open now`, text: counts.join(", ") },
    { name: `${end}: since the start`, text: formatCount(sum(Object.values(opened))) },
    { name: `${end}: carried`, text: `${formatBytes(bytes.up)} up, ${formatBytes(bytes.down)} down` },
    {
      name: `${end}: refused`,
      text: reasons.map(([reason, count]) => `${formatCount(count)} ${reason}`).join(", ") || "none",
    },
    {
      name: `${end}: link`,
      text: problem ?? `${formatThings(connections, "QUIC connection")}, ${formatThings(streams, "stream")}`,
    },
  ];
}
