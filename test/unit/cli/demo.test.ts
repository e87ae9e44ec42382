import { describe, expect, test } from "bun:test";
import type { DemoOptions, DemoProgress, DemoReport, DemoWatcher } from "../../../src/app/demo/demo.ts";
import { demo, demoCommand } from "../../../src/cli/demo.ts";
import { DEMO_TITLE, formatStep, progressLine, progressPanel } from "../../../src/cli/demo-view.ts";
import { fakeTerminal } from "./fake-terminal.ts";

const GOOD: DemoReport = {
  ok: true,
  interrupted: false,
  seconds: 2,
  sent: 10_000,
  back: 10_000,
  lost: 0,
  changed: 0,
  surplus: 0,
  sentBytes: 10_000_000,
  backBytes: 10_000_000,
  rttMs: { count: 10_000, p50: 0.2, p95: 0.55, p99: 1.234, max: 20 },
  lanes: [
    { id: 0, open: true, packetsUp: 4_000, packetsDown: 6_000, bytesUp: 4_100_000, bytesDown: 6_100_000 },
    { id: 1, open: true, packetsUp: 6_000, packetsDown: 4_000, bytesUp: 6_100_000, bytesDown: 4_100_000 },
  ],
  seed: 7,
  problems: [],
  log: [],
};

const PROGRESS: DemoProgress = {
  share: 0.505,
  seconds: 1.01,
  sent: 5_050,
  back: 5_047,
  rttMs: 0.2,
  mbitUp: 40,
  mbitDown: 39.5,
  lanes: [
    { id: 0, open: true, mbitUp: 24, mbitDown: 24 },
    { id: 1, open: true, mbitUp: 12, mbitDown: 12 },
    { id: 2, open: false, mbitUp: 0, mbitDown: 0 },
  ],
};

const TABLE = [
  "",
  "          sent  received    loss  P50 ms  P95 ms  P99 ms  Mbit/s up  Mbit/s down",
  "──────  ──────  ────────  ──────  ──────  ──────  ──────  ─────────  ───────────",
  "all     10,000    10,000  0.00 %    0.20    0.55    1.23       40.0         40.0",
  "lane 0   4,000     6,000                                       16.4         24.4",
  "lane 1   6,000     4,000                                       24.4         16.4",
  "",
].join("\n");

/** `ut demo` over a run that only hands out its report, after what `play` shows the watcher. */
async function run(argv: string[], report: DemoReport, interactive = false, play = (_: DemoWatcher) => {}) {
  const terminal = fakeTerminal({ interactive });
  const asked: DemoOptions[] = [];
  const command = demoCommand(async (options, watcher) => {
    asked.push(options);
    play(watcher);
    return report;
  });
  const code = await command.run(argv, terminal);
  return { code, printed: terminal.printed, asked: asked[0] };
}

describe("ut demo", () => {
  test("all back: table, verdict, 0", async () => {
    const { code, printed, asked } = await run([], GOOD);
    expect(code).toBe(0);
    expect(printed).toEqual([DEMO_TITLE, `${TABLE}\n✓ all 10,000 datagrams came back, every byte as it was sent`]);
    expect(asked).toMatchObject({ seconds: 6, rate: 5_000, lanes: 5 });
  });

  test("anything that differs: 1, the counts, what differed, the logs", async () => {
    const { code, printed } = await run([], {
      ...GOOD,
      ok: false,
      back: 9_997,
      lost: 2,
      changed: 1,
      problems: ["datagram 17 of 64 bytes never came back"],
      log: ['{"level":"warn","event":"queue_drop_oldest"}'],
    });
    expect(code).toBe(1);
    expect(printed.at(-1)).toEndWith(
      [
        "✗ not every datagram came back as it was sent: 2 lost, 1 changed (seed 7)",
        "  datagram 17 of 64 bytes never came back",
        "  the last lines of both logs:",
        '    {"level":"warn","event":"queue_drop_oldest"}',
      ].join("\n"),
    );
  });

  test("a lane that stays away fails it, too, although nothing was lost", async () => {
    const { code, printed } = await run([], { ...GOOD, ok: false, problems: ["4 of 5 lanes are up after 10 s"] });
    expect(code).toBe(1);
    expect(printed.at(-1)).toEndWith(
      "✗ not every datagram came back as it was sent (seed 7)\n  4 of 5 lanes are up after 10 s",
    );
  });

  test("interrupted: 130, and the counts so far", async () => {
    const { code, printed } = await run([], { ...GOOD, ok: false, interrupted: true });
    expect(code).toBe(130);
    expect(printed.at(-1)).toBe(`${TABLE}\nInterrupted; the counts above are what had happened by then.`);
  });

  test("--json prints the report and nothing else", async () => {
    const { code, printed } = await run(["--json"], GOOD, true, (watcher) => watcher.progress(PROGRESS));
    expect(code).toBe(0);
    expect(printed.map((text) => JSON.parse(text))).toEqual([GOOD]);
  });

  test("flags reach the run", async () => {
    const { asked } = await run(["--seconds", "60", "-rate", "9", "--lanes=32", "--seed", "4294967295"], GOOD);
    expect(asked).toMatchObject({ seconds: 60, rate: 9, lanes: 32, seed: 4_294_967_295 });
  });

  test.each([
    [["--seconds", "0"], "Cannot use --seconds 0: expected a whole number from 1 to 3600"],
    [["--seconds", "1.5"], "Cannot use --seconds 1.5: expected a whole number from 1 to 3600"],
    [["--rate", "100001"], "Cannot use --rate 100001: expected a whole number from 1 to 100000"],
    [["--lanes", "33"], "Cannot use --lanes 33: expected a whole number from 1 to 32"],
    [["--seed", "x"], "Cannot use --seed x: expected a whole number from 1 to 4294967295"],
    [["fast"], 'Cannot run ut demo: expected only flags, got "fast"'],
  ])("%p is refused", async (argv, message) => {
    expect(demo.run(argv, fakeTerminal())).rejects.toThrow(message);
  });

  test("a pipe gets one line for each second of traffic", async () => {
    const { printed } = await run(["--seconds", "2"], GOOD, false, (watcher) => {
      for (const seconds of [0.2, 0.99, 1.01, 1.2, 1.99, 2.0]) watcher.progress({ ...PROGRESS, seconds });
    });
    expect(printed.slice(1, -1)).toEqual([
      progressLine({ ...PROGRESS, seconds: 1.01 }, 2),
      progressLine({ ...PROGRESS, seconds: 2 }, 2),
    ]);
  });

  test("a terminal sees steps stay and the panel move", async () => {
    const { printed } = await run(["--seconds", "2"], GOOD, true, (watcher) => {
      watcher.progress(PROGRESS);
      watcher.step({ type: "moved", from: 1, to: 2 });
    });
    expect(printed.slice(1, 3)).toEqual([
      `\x1b[J${progressPanel(PROGRESS, 2).join("\n")}`,
      "\x1b[7A\r\x1b[J✓ the sender moved from UDP 1 to 2, as WireGuard may: answers follow it",
    ]);
  });
});

describe("progress", () => {
  test("the panel", () => {
    expect(progressPanel(PROGRESS, 2)).toEqual([
      "",
      "████████████████████▎···················  51 %  1.0 of 2 s",
      "sent 5,050  back 5,047  under way 3  RTT 0.20 ms  ↑ 40.0  ↓ 39.5 Mbit/s",
      "",
      "lane  0 ████████████████████████ ↑ 24.0  ↓ 24.0 Mbit/s",
      "lane  1 ████████████············ ↑ 12.0  ↓ 12.0 Mbit/s",
      "lane  2 down",
    ]);
  });

  test("the line", () => {
    expect(progressLine(PROGRESS, 2)).toBe(
      " 51 %  1.0 of 2 s  sent 5,050  back 5,047  RTT 0.20 ms  up 40.0  down 39.5 Mbit/s  lanes 48.0 24.0 down",
    );
  });

  test("every step has its line", () => {
    expect([
      formatStep({ type: "certificates", ms: 18.2 }),
      formatStep({ type: "listening", client: 1, server: 2, echo: 3 }),
      formatStep({ type: "lanes-up", lanes: 1, firstMs: 9.99, ms: 123.4 }),
      formatStep({ type: "edges", sizes: [0, 65_507] }),
      formatStep({ type: "lane-cut", lane: 2, backMs: 5 }),
    ]).toEqual([
      "✓ throw-away CA and two certificates, in memory only (18.2 ms)",
      "✓ client on UDP 1, server on TCP 2, echo on UDP 3, all on 127.0.0.1",
      "✓ the first datagram dialled: back after 10.0 ms, 1 lane up after 123 ms",
      "✓ single datagrams of 0 65,507 bytes came back unchanged",
      "✓ lane 2 was reset by the network: dialled again and up after 5.0 ms, same session",
    ]);
  });
});
