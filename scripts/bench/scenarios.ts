import type { WanOptions } from "../../test/lab/wan-link.ts";

export type Direction = "up" | "down";

interface Common {
  name: string;
  link: WanOptions;
}

/** Evenly paced datagrams, one way, measured one by one. */
export interface DatagramScenario extends Common {
  kind: "datagrams";
  perSecond: number;
  bytes: number;
}

/** TCP inside WireGuard inside the tunnel, as iperf3 drives it. */
export interface TcpScenario extends Common {
  kind: "tcp";
  congestion: "cubic" | "bbr";
  flows: number;
}

export type Scenario = DatagramScenario | TcpScenario;

/** The rows of the table in FINDINGS.md "Lanes on a real-looking WAN". */
export function allScenarios(link: WanOptions): Scenario[] {
  const datagrams = [
    { name: "d2k-loss1", perSecond: 2_000, lossPercent: 1 },
    { name: "d8k-loss0.1", perSecond: 8_000, lossPercent: 0.1 },
    // 1,200 B × 9,300/s are 89 of the default link's 100 Mbit/s.
    { name: "d9.3k-clean", perSecond: 9_300, lossPercent: 0 },
  ].map(
    ({ name, perSecond, lossPercent }): Scenario => ({
      kind: "datagrams",
      name,
      perSecond,
      bytes: 1_200,
      link: { ...link, lossPercent },
    }),
  );
  const tcp: Scenario[] = [];
  for (const congestion of ["cubic", "bbr"] as const)
    for (const lossPercent of [0, 0.5])
      for (const flows of [1, 8])
        tcp.push({
          kind: "tcp",
          name: `${congestion}-${flows}-${lossPercent === 0 ? "clean" : "loss"}`,
          congestion,
          flows,
          link: { ...link, lossPercent },
        });
  return [...datagrams, ...tcp];
}

/** Those whose name contains one of the words, and whose kind is wanted. No words: all. */
export function chooseScenarios(
  all: readonly Scenario[],
  kinds: readonly string[],
  words: readonly string[],
): Scenario[] {
  return all.filter(
    (scenario) =>
      (kinds.length === 0 || kinds.includes(scenario.kind)) &&
      (words.length === 0 || words.some((word) => scenario.name.includes(word))),
  );
}
