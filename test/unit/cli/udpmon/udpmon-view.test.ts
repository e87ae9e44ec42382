import { describe, expect, test } from "bun:test";
import { parseFlags } from "../../../../src/cli/command.ts";
import { durationFlag } from "../../../../src/cli/duration-flag.ts";
import { sparkline } from "../../../../src/cli/sparkline.ts";
import { formatProbes, panelView } from "../../../../src/cli/udpmon/udpmon-view.ts";
import { ProbeStats } from "../../../../src/core/udpmon/probe-stats.ts";
import { fakeTerminal } from "../fake-terminal.ts";

test("a sparkline runs from the smallest to the largest; what is missing is crossed out", () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe("▁▂▃▄▅▆▇█");
  expect(sparkline([5, undefined, 5])).toBe("▁×▁");
  expect(sparkline([])).toBe("");
  expect(sparkline([undefined])).toBe("×");
});

describe("probes as a picture", () => {
  function stats(...rtts: number[]): ProbeStats {
    const made = new ProbeStats();
    made.sent = rtts.length + 1;
    made.dropped = 1;
    for (const rtt of rtts) made.answered(rtt, false);
    return made;
  }

  test("counts, round trips, and where they lie", () => {
    expect(formatProbes(stats(10, 10, 10, 20, 80))).toEqual([
      "sent 6, received 5, lost 1 (16.7 %)",
      "duplicates 0, reordered 0, unexpected 0",
      "round trip in ms: min 10.0, mean 26.0, p50 10.1, p95 80.0, p99 80.0, max 80.0; jitter 4.3",
      "",
      "10.0 ms  ████████████████████████████████████████  3",
      "13.0 ms  ········································  0",
      "16.8 ms  █████████████▍··························  1",
      "21.8 ms  ········································  0",
      "28.3 ms  ········································  0",
      "36.7 ms  ········································  0",
      "47.6 ms  ········································  0",
      "61.7 ms  █████████████▍··························  1",
    ]);
  });

  test("without any answer there is none", () => {
    expect(formatProbes(stats())).toEqual([
      "sent 1, received 0, lost 1 (100.0 %)",
      "duplicates 0, reordered 0, unexpected 0",
      "no answer so far",
    ]);
  });

  test("lives on a terminal", () => {
    const terminal = fakeTerminal({ interactive: true });
    const target = { host: "vpn.example", port: 7007 };
    const more = { listen: undefined, timeoutMs: 3_000, payloadBytes: 32, count: Infinity };
    const view = panelView(terminal, { target, intervalMs: 1_000, ...more });
    view.begin({ address: "0.0.0.0", port: 1 }, "http://127.0.0.1:9");
    view.event({ type: "answered", rttMs: 10 });
    view.event({ type: "dropped" });
    view.event({ type: "answered", rttMs: 20 });
    view.refresh(stats(10, 20));
    expect(terminal.printed).toEqual([
      "Probing vpn.example:7007 every 1,000 ms; Ctrl-C ends it",
      "Metrics at http://127.0.0.1:9/metrics",
      [
        "\x1b[J▁×█",
        "sent 3, received 2, lost 1 (33.3 %)",
        "duplicates 0, reordered 0, unexpected 0",
        "round trip in ms: min 10.0, mean 15.0, p50 10.1, p95 20.0, p99 20.0, max 20.0; jitter 0.63",
      ].join("\n"),
    ]);
  });
});

describe("durations", () => {
  const range = { min: "1ms", max: "1h", default: "3s" };
  const parse = (...argv: string[]) =>
    durationFlag(parseFlags(argv, { interval: { type: "string" } }), "interval", range);

  test("without the flag it is the default", () => expect(parse()).toBe(3_000));

  test.each([
    ["250ms", 250],
    ["1s", 1_000],
    ["1.5s", 1_500],
    ["2m", 120_000],
    ["1h", 3_600_000],
  ])("%s", (text, ms) => expect(parse("-interval", text)).toBe(ms));

  test.each(["", "5", "s", "-1s", "1 s", "2h", "0ms", "1e3ms", "1d"])("%p is none that fits", (text) => {
    expect(() => parse(`-interval=${text}`)).toThrow(
      `Cannot use --interval ${text}: expected a duration from 1ms to 1h, such as 250ms, 1s or 2m`,
    );
  });
});
