import type { LoadSample } from "../core/tunnel/load-history.ts";
import { Certificates } from "./certificates.ts";
import { byId } from "./dom.ts";
import { Drops } from "./drops.ts";
import { Feed } from "./feed.ts";
import { Figures } from "./figures.ts";
import { rateScale } from "./format.ts";
import { Header } from "./header.ts";
import { Members } from "./members.ts";
import { NetworkVerdict } from "./network.ts";
import { Pipes } from "./pipes.ts";
import { Plot } from "./plot.ts";
import { Sessions } from "./sessions.ts";
import { Socks } from "./socks.ts";

/** The status page: what the node tells each second, shown. It changes nothing at the node, and asks nobody else. */

const HISTORY_MS = 900_000;

const header = new Header();
const figures = new Figures();
const plots = [
  new Plot({
    title: "Throughput over the lanes",
    series: [
      { key: "upBitsPerSecond", name: "up", style: "first" },
      { key: "downBitsPerSecond", name: "down", style: "second" },
    ],
    scaleOf: rateScale,
    minTop: 10_000,
    marksDrops: true,
  }),
  new Plot({
    title: "Latency of the lanes",
    series: [
      { key: "rttMs", name: "round trip", style: "first" },
      { key: "slowestRttMs", name: "slowest lane", style: "second" },
      { key: "waitMs", name: "wait in the queue", style: "third" },
    ],
    scaleOf: () => ({ unit: "ms", factor: 1 }),
    minTop: 1,
    marksDrops: false,
  }),
];
byId("plots").append(...plots.map(({ root }) => root));
const sections = [
  new Sessions(),
  new Pipes(),
  new Socks(),
  new Members(),
  new Drops(),
  new NetworkVerdict(),
  new Certificates(),
];

let samples: LoadSample[] = [];

new Feed({
  history: (past) => {
    samples = past;
  },
  status(status, sample) {
    if (sample !== null) samples.push(sample);
    const since = (samples.at(-1)?.at ?? 0) - HISTORY_MS;
    samples = samples.filter(({ at }) => at >= since);
    header.update(status);
    figures.update(status, samples);
    for (const plot of plots) plot.update(samples);
    for (const section of sections) section.update(status);
    byId("content").hidden = false;
  },
  state: (state, heardAt) => header.show(state, heardAt),
});
