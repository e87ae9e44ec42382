import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { LaneReport, StatusReport } from "../../src/io/http/status-report.ts";
import { identity, serverIdentity } from "./support/identities.ts";
import { configFolder, startUt } from "./support/ut-process.ts";
import { type WatchedTunnel, watchedTunnel } from "./support/watched-tunnel.ts";

const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];

let tunnel: WatchedTunnel;

beforeAll(async () => {
  tunnel = await watchedTunnel({ tcp: { lanes: 3 } });
});
afterAll(() => tunnel[Symbol.asyncDispose]());

/** Asks until the answer is as wanted. */
async function reported(
  node: WatchedTunnel["client"],
  what: string,
  isSo: (report: StatusReport) => boolean,
): Promise<StatusReport> {
  const deadline = performance.now() + 20_000;
  for (;;) {
    const report = await node.status();
    if (isSo(report)) return report;
    if (performance.now() > deadline) throw new Error(`waited in vain for: ${what}; ${JSON.stringify(report.roles)}`);
  }
}

const sessionOf = (report: StatusReport) => report.roles[0]?.sessions[0];
const lanesOf = (report: StatusReport): readonly LaneReport[] => sessionOf(report)?.lanes ?? [];

describe("/api/status under traffic", () => {
  test("lanes have speeds, ages and TCP figures; both ends know each other's certificate", async () => {
    const flow = tunnel.traffic(500);
    const isFlowing = (report: StatusReport) =>
      lanesOf(report).length === 3 &&
      lanesOf(report).some((lane) => lane.inBitsPerSecond > 0 && lane.outBitsPerSecond > 0);
    for (const [node, own, peer] of [
      [tunnel.client, "home", "server"],
      [tunnel.server, "server", "home"],
    ] as const) {
      const report = await reported(node, "traffic on three lanes", isFlowing);
      for (const lane of lanesOf(report)) {
        expect(lane).toMatchObject({ state: "open", stalled: false, ended: null });
        expect(lane.openMs).toBeGreaterThan(0);
      }
      const { certificates } = report;
      expect(certificates.own.cn).toBe(own);
      expect(certificates.peers.map(({ cn }) => cn)).toEqual([peer]);
      expect(Date.parse(certificates.authority.notAfter)).toBeGreaterThan(Date.parse(certificates.own.notAfter));
      expect(certificates.own.fingerprint).toMatch(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    }
    flow.stop();
  });

  test("a lane that is cut and cannot come back is down at both ends, and says why", async () => {
    const flow = tunnel.traffic(200);
    const all = await reported(tunnel.server, "three lanes", (report) => lanesOf(report).length === 3);
    const victim = lanesOf(all).find(({ id }) => id === 1);
    tunnel.gate.isOpen = false;
    tunnel.gate.cut(Number(victim?.remote.split(":").at(-1)));
    const waiting = await reported(
      tunnel.client,
      "lane 1 waiting",
      (report) => sessionOf(report)?.downLanes[0]?.state === "waiting",
    );
    expect(sessionOf(waiting)?.downLanes).toEqual([
      {
        id: 1,
        state: "waiting",
        retryInMs: expect.any(Number),
        ended: {
          times: expect.any(Number),
          agoMs: expect.any(Number),
          isAgreed: false,
          reason: expect.stringMatching(/\w/),
        },
      },
    ]);
    const closed = await reported(tunnel.server, "lane 1 closed", (report) => lanesOf(report).length === 2);
    expect(sessionOf(closed)?.downLanes).toMatchObject([
      { id: 1, state: "closed", retryInMs: null, ended: { times: 1 } },
    ]);
    tunnel.gate.isOpen = true;
    flow.stop();
  });
});

describe("ut status as a process", () => {
  const run = (...args: string[]) => Bun.$`${[...UT, "status", ...args]}`.nothrow().quiet();
  const address = () => tunnel.client.url.slice("http://".length);

  test("into a pipe: once, plain, with exit code 0; --json is one object", async () => {
    const plain = await run("--addr", address());
    expect([plain.exitCode, plain.stderr.toString()]).toEqual([0, ""]);
    expect(plain.stdout.toString()).toStartWith("home  ");
    expect(plain.stdout.toString()).toContain("Session of home");
    expect(plain.stdout.toString()).not.toContain("\x1b");
    const json = await run("--json", "--addr", address());
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ roles: [{ role: "client", cn: "home" }] });
  });

  test("--config takes the address from the file, and says why it cannot from this one", async () => {
    const { exitCode, stderr } = await run("-config", tunnel.client.path);
    expect([exitCode, stderr.toString().trim()]).toEqual([
      2,
      `ut: Cannot find the node of ${tunnel.client.path}: its metrics.listen_addr takes any free port. Its log's "start" line has it under "metrics"; give it by --addr`,
    ]);
  });

  test.each([
    ["q", "q", 0],
    ["Ctrl-C", "\x03", 0],
    ["SIGTERM", "SIGTERM", 130],
  ])("on a terminal: live, follows its size, and %s leaves it as it was", async (_name, end, code) => {
    const decoder = new TextDecoder();
    let written = "";
    const child = Bun.spawn([...UT, "status", "--addr", address()], {
      env: { ...process.env, NO_COLOR: "" },
      terminal: {
        cols: 90,
        rows: 20,
        data(_, data) {
          written += decoder.decode(data, { stream: true });
        },
      },
    });
    const frames = () => written.split("\x1b[?2026h").slice(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the sequences of a terminal
    const lines = (frame = "") => frame.replace(/\x1b\[[?\d;]*[A-Za-z]/g, "").split(/\r+\n/);
    const wait = async (isSo: () => boolean) => {
      while (!isSo() && child.exitCode === null) await Bun.sleep(5);
    };
    await wait(() => frames().length >= 2);
    expect(written).toStartWith("\x1b[?1049h\x1b[?25l");
    expect(lines(frames()[0])).toHaveLength(20);
    expect(lines(frames()[0])[0]).toStartWith("home  ");
    child.terminal?.resize(60, 12);
    await wait(() => lines(frames().at(-1)).length === 12);
    expect(Math.max(...lines(frames().at(-1)).map((line) => line.length))).toBeLessThanOrEqual(60);
    if (end === "SIGTERM") child.kill("SIGTERM");
    else child.terminal?.write(end);
    expect(await child.exited).toBe(code);
    await wait(() => written.endsWith("\x1b[?25h\x1b[?1049l"));
    expect(written).toEndWith("\x1b[?25h\x1b[?1049l");
    expect(written.split("\x1b[?1049h")).toHaveLength(2);
  });
});

describe("the status address", () => {
  test("in use: which one, and what to set; nothing is left behind", async () => {
    const taken = tunnel.client.url.slice("http://".length);
    await using folder = await configFolder(await identity({ cn: "late" }), {
      role: "client",
      tcp: { server_addr: "127.0.0.1:9" },
      udp: { listen_addr: "127.0.0.1:0" },
      metrics: { listen_addr: taken },
    });
    await using late = startUt("-config", folder.path);
    expect(await late.child.exited).toBe(1);
    expect(await late.stderr()).toEndWith(
      `ut: Cannot bind metrics address ${taken}: address in use; set metrics.listen_addr\n`,
    );
    expect(late.lines.map(({ event }) => event)).not.toContain("start");
  });

  test("open to all: it works, and a line of the log warns of it", async () => {
    await using folder = await configFolder(serverIdentity, {
      role: "server",
      tcp: { listen_addr: "127.0.0.1:0" },
      udp: { wg_udp_addr: "127.0.0.1:9" },
      metrics: { listen_addr: "0.0.0.0:0" },
    });
    await using open = startUt("-config", folder.path);
    await open.logged("start");
    const warning = await open.logged("status_exposed");
    expect(warning).toMatchObject({ level: "warn", listen: "0.0.0.0:0" });
    expect(tunnel.client.ut.lines.map(({ event }) => event)).not.toContain("status_exposed");
  });
});
