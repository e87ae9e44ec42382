import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startReflector } from "../../src/app/udpmon.ts";
import { udpmon } from "../../src/cli/udpmon/udpmon.ts";
import { fakeTerminal } from "../unit/cli/fake-terminal.ts";
import { identity } from "./support/identities.ts";
import { testClient, testServer } from "./support/nodes.ts";
import { udpEnd } from "./support/udp-end.ts";
import { turn } from "./support/until.ts";
import { startUt } from "./support/ut-process.ts";

const LOOPBACK = { host: "127.0.0.1", port: 0 };

type Line = Readonly<Record<string, unknown>>;

/** `ut udpmon probe` to its end: how it ended, and its last line. */
async function probed(port: number, ...flags: string[]): Promise<{ code: number; summary: Line; lines: Line[] }> {
  const terminal = fakeTerminal();
  const argv = [
    "probe",
    "-target",
    `127.0.0.1:${port}`,
    "-interval",
    "5ms",
    "-timeout",
    "1m",
    "-count",
    "200",
    ...flags,
  ];
  const code = await udpmon.run(argv, terminal);
  const lines = terminal.printed.map((line) => JSON.parse(line) as Line);
  return { code, summary: lines.at(-1) ?? {}, lines };
}

const ALL = { event: "udpmon_summary", sent: 200, received: 200, dropped: 0, duplicates: 0, unexpected: 0, loss: 0 };

test("straight, and through a tunnel: everything comes back, and both ends count the same", async () => {
  using reflector = await startReflector(LOOPBACK);
  await using server = await testServer(reflector.local.port);
  await using client = await testClient(server.port, await identity({ cn: "home" }));
  const [straight, tunnelled] = await Promise.all([
    probed(reflector.local.port, "-payload-bytes", "16"),
    probed(client.port, "-payload-bytes", "1400"),
  ]);
  expect([straight.code, tunnelled.code]).toEqual([0, 0]);
  expect(straight.summary).toMatchObject({ ...ALL, reordered: 0 });
  expect(tunnelled.summary).toMatchObject(ALL);
  expect(reflector.counters).toEqual({ received: 400, echoed: 400, refused: { noProbe: 0, answer: 0, rate: 0 } });
  expect(client.counters("home").up).toMatchObject({ inPackets: 200, outPackets: 200 });
  const cost = (Number(tunnelled.summary.rtt_p50_ms) - Number(straight.summary.rtt_p50_ms)).toFixed(2);
  console.log(`the tunnel costs ${cost} ms of P50 on loopback`);
});

test("a plain echo does as well; what answers nobody is counted as lost, and is a failure", async () => {
  using echo = await udpEnd({ echo: true });
  expect(await probed(echo.port)).toMatchObject({ code: 0, summary: ALL });
  using deaf = await udpEnd();
  const { code, summary } = await probed(deaf.port, "-count", "20", "-timeout", "20ms");
  expect(code).toBe(1);
  expect(summary).toMatchObject({ sent: 20, received: 0, dropped: 20, loss: 1 });
  expect(deaf.received.length).toBe(20);
});

describe("as processes", () => {
  test("both end with a signal and a summary; metrics tell the same", async () => {
    await using reflector = startUt("udpmon", "reflector", "-listen", "127.0.0.1:0", "-metrics-listen", "127.0.0.1:0");
    const { listen, metrics } = await reflector.logged("udpmon_start");
    const flags = ["-interval=2ms", "-log-interval", "100ms", "-metrics-listen", "127.0.0.1:0"];
    await using prober = startUt("udpmon", "probe", "-target", String(listen), ...flags);
    const started = await prober.logged("udpmon_start");
    await prober.logged("udpmon_probe");
    const page = await (await fetch(`${started.metrics}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(page)?.[1]);
    expect(value("udpmon_probe_received_total")).toBeGreaterThan(0);
    expect(value("udpmon_probe_rtt_seconds_count")).toBe(value("udpmon_probe_received_total"));
    prober.child.kill("SIGINT");
    expect(await prober.child.exited).toBe(0);
    const summary = await prober.logged("udpmon_summary");
    expect(summary).toMatchObject({ dropped: 0, unexpected: 0, duplicates: 0 });
    // The last probe may still lie in the reflector's socket.
    const reflected = async () => (await fetch(`${metrics}/metrics`)).text();
    while (!(await reflected()).includes(`\nudpmon_reflector_echo_total ${summary.sent}\n`)) await turn();
    reflector.child.kill("SIGTERM");
    expect(await reflector.child.exited).toBe(0);
    expect(await reflector.logged("udpmon_summary")).toMatchObject({ received: summary.sent, echo: summary.sent });
  });

  test.each([
    [["udpmon"], 'Cannot run "ut udpmon": expected probe or reflector, got nothing'],
    [["udpmon", "probe"], "Missing -target HOST:PORT: where the probes go"],
    [
      ["udpmon", "probe", "-target", "127.0.0.1:1", "-interval", "5"],
      "Cannot use --interval 5: expected a duration from 1ms to 1h, such as 250ms, 1s or 2m",
    ],
    [
      ["udpmon", "probe", "-target", "127.0.0.1:1", "-payload-bytes", "1401"],
      "Cannot use --payload-bytes 1401: expected a whole number from 16 to 1400",
    ],
  ])("%p is refused", async (argv, message) => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "../../src/main.ts"), ...argv], {
      stderr: "pipe",
    });
    expect([await child.stderr.text(), await child.exited]).toEqual([`ut: ${message}\n`, 2]);
  });
});

test("a port that is taken is said to be", async () => {
  using taken = await udpEnd();
  const run = udpmon.run(["reflector", "-listen", `127.0.0.1:${taken.port}`], fakeTerminal());
  await expect(run).rejects.toThrow(`Cannot bind UDP 127.0.0.1:${taken.port}: address in use; set -listen`);
});
