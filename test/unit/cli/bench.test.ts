import { describe, expect, test } from "bun:test";
import type { BenchOptions, BenchReport, BenchWatcher, Measured, PathReport } from "../../../src/app/bench/bench.ts";
import { bench, benchCommand } from "../../../src/cli/bench.ts";
import { fakeTerminal } from "./fake-terminal.ts";

const measured = (back: number, cpuSeconds: number, rtt: number): Measured => ({
  sent: back,
  back,
  seconds: 2,
  cpuSeconds,
  rttMs: { count: back, p50: rtt, p95: 2 * rtt, p99: 3 * rtt, max: 9 * rtt },
});

const FORWARDER: PathReport = {
  path: "forwarder",
  saturated: measured(160_000, 0.8, 1),
  light: measured(400, 0.01, 0.1),
  half: { ...measured(80_000, 0.4, 0.5), sent: 100_000 },
  rssBytes: { forwarder: 55 * 2 ** 20 },
};

const UT: PathReport = {
  path: "ut",
  saturated: measured(80_000, 1.6, 2),
  light: measured(400, 0.02, 0.3),
  half: measured(40_000, 0.8, 0.25),
  rssBytes: { client: 61 * 2 ** 20, server: 62 * 2 ** 20 },
};

const REPORT: BenchReport = {
  interrupted: false,
  size: 1_200,
  lanes: 5,
  seconds: 2,
  halfRate: 20_000,
  paths: [FORWARDER, UT],
};

async function run(argv: string[], report: BenchReport = REPORT, play = (_: BenchWatcher) => {}) {
  const terminal = fakeTerminal();
  const asked: BenchOptions[] = [];
  const command = benchCommand(async (options, watcher) => {
    asked.push(options);
    play(watcher);
    return report;
  });
  return { code: await command.run(argv, terminal), printed: terminal.printed, asked: asked[0] };
}

describe("ut bench", () => {
  test("the table, beside the reference", async () => {
    const { code, printed, asked } = await run([]);
    expect(code).toBe(0);
    expect(printed.join("\n")).toBe(`
1,200 B datagrams to an echo and back, 5 lanes, 2 s each, all on this machine

                          bare UDP forwarder       ut  ut against it
────────────────────────  ──────────────────  ───────  ─────────────
datagrams/s, each way                 80,000   40,000         × 0.50
Mbit/s, each way                         768      384         × 0.50
CPU µs per datagram                      2.5     10.0         × 4.00
datagrams per CPU-second             400,000  100,000         × 0.25
RTT P50 ms, light load                  0.10     0.30         + 0.20
RTT P95 ms, light load                  0.20     0.60         + 0.40
RTT P99 ms, light load                  0.30     0.90         + 0.60
RTT P50 ms, at 20,000/s                 0.50     0.25         − 0.25
RTT P95 ms, at 20,000/s                 1.00     0.50         − 0.50
RTT P99 ms, at 20,000/s                 1.50     0.75         − 0.75
lost, % at 20,000/s                    20.00     0.00
memory, MiB                               55       62

Each datagram crosses the path twice. CPU is user and system time of the path's own processes: the forwarder is one,
ut is two, client and server. Load and echo run on the same cores, so throughput says less than CPU per datagram.`);
    expect(asked).toMatchObject({ seconds: 3, size: 1_200, lanes: 5 });
  });

  test("it says what it measures while it does", async () => {
    const { printed } = await run([], REPORT, (watcher) => {
      watcher.measuring("forwarder", "saturated");
      watcher.measuring("ut", "half");
    });
    expect(printed.slice(0, 2)).toEqual([
      "measuring bare UDP forwarder: as much as goes through …",
      "measuring ut: latency under half of ut's full load …",
    ]);
  });

  test("--json prints the report and nothing else", async () => {
    const { printed } = await run(["--json"], REPORT, (watcher) => watcher.measuring("ut", "light"));
    expect(printed.map((text) => JSON.parse(text))).toEqual([REPORT]);
  });

  test("interrupted: 130", async () => {
    const { code, printed } = await run([], { ...REPORT, interrupted: true, paths: [] });
    expect({ code, printed }).toEqual({ code: 130, printed: ["Interrupted; nothing was measured to its end."] });
  });

  test("flags reach the run", async () => {
    const { asked } = await run(["-seconds", "1", "--size", "16", "--lanes", "1"]);
    expect(asked).toMatchObject({ seconds: 1, size: 16, lanes: 1 });
  });

  test.each([
    [["--seconds", "601"], "Cannot use --seconds 601: expected a whole number from 1 to 600"],
    [["--size", "15"], "Cannot use --size 15: expected a whole number from 16 to 65507"],
    [["--lanes", "0"], "Cannot use --lanes 0: expected a whole number from 1 to 32"],
    [["quick"], 'Cannot run ut bench: expected only flags, got "quick"'],
  ])("%p is refused", async (argv, message) => {
    expect(bench.run(argv, fakeTerminal())).rejects.toThrow(message);
  });
});
