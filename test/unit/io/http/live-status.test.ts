import { expect, test } from "bun:test";
import { TunnelCounters } from "../../../../src/core/tunnel/counters.ts";
import { LiveStatus, MAX_LISTENERS } from "../../../../src/io/http/live-status.ts";
import { statusReport } from "../../../../src/io/http/status-report.ts";
import { createLog } from "../../../../src/io/log/log.ts";
import { drivenTime } from "../../../e2e/support/until.ts";
import { certificateStatus, nodeStatus, traversalStatus } from "../node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };

/** A node whose counters a test moves; `looks` and `reports` are how often it was asked. */
function watched(log?: ReturnType<typeof createLog>) {
  const counters = new TunnelCounters();
  const asked = { looks: 0, reports: 0, isBroken: false };
  const live = new LiveStatus({
    nodes() {
      asked.looks += 1;
      if (asked.isBroken) throw new TypeError("a mistake of ours");
      return [nodeStatus({ clients: new Map([["home", counters]]) })];
    },
    report(nodes, rates) {
      asked.reports += 1;
      const certificates = certificateStatus();
      return statusReport({ build, nodes, rates, traversal: traversalStatus(), certificates, isShuttingDown: false });
    },
    log,
  });
  live.start();
  return { live, counters, asked };
}

interface Listener {
  /** The next event; undefined at the end. */
  next(): Promise<{ type: string; data: Record<string, never> } | undefined>;
  leave(): Promise<void>;
}

function listen(live: LiveStatus): Listener {
  const reader = live.listen()?.getReader();
  if (reader === undefined) throw new Error("there was no room for a listener");
  return {
    async next() {
      const { value, done } = await reader.read();
      if (done) return undefined;
      const [, type = "", data = ""] = /^event: (\w+)\ndata: (.*)\n\n$/.exec(new TextDecoder().decode(value)) ?? [];
      return { type, data: JSON.parse(data) };
    },
    leave: () => reader.cancel(),
  };
}

test("a listener gets the history, what is now, and then what is new each second", async () => {
  using time = drivenTime();
  const { live, counters } = watched();
  using _ = live;
  for (let second = 0; second < 3; second++) {
    counters.up.outBytes += 1_000;
    time.advance(1_000);
  }
  const listener = listen(live);
  const history = await listener.next();
  expect(history?.type).toBe("history");
  expect(history?.data.upBitsPerSecond).toEqual([8_000, 8_000] as never);
  const first = await listener.next();
  expect([first?.type, first?.data.sample]).toEqual(["status", null as never]);
  counters.up.outBytes += 2_000;
  time.advance(1_000);
  const second = await listener.next();
  expect(second?.data.sample).toMatchObject({ upBitsPerSecond: 16_000, openLanes: 0 });
  expect(second?.data.status).toMatchObject({ build, ready: true, certificates: certificateStatus() });
});

test("one report a second for all who listen, and none when nobody does", async () => {
  using time = drivenTime();
  const { live, asked } = watched();
  using _ = live;
  time.advance(5_000);
  expect(asked).toMatchObject({ looks: 5, reports: 0 });
  const listeners = [listen(live), listen(live), listen(live)];
  expect(asked.reports).toBe(3);
  time.advance(2_000);
  expect(asked.reports).toBe(5);
  for (const listener of listeners) await listener.leave();
  expect(live.listeners).toBe(0);
  time.advance(3_000);
  expect(asked.reports).toBe(5);
});

test("sixteen may listen; whoever goes makes room", async () => {
  const { live } = watched();
  using _ = live;
  const listeners = Array.from({ length: MAX_LISTENERS }, () => listen(live));
  expect(live.listen()).toBeUndefined();
  await listeners[3]?.leave();
  expect(live.listen()).toBeDefined();
});

test("who does not read is dropped after five events, and keeps nothing", async () => {
  using time = drivenTime();
  const { live } = watched();
  using _ = live;
  const slow = live.listen();
  const quick = listen(live);
  for (let second = 0; second < 8; second++) {
    await quick.next();
    time.advance(1_000);
  }
  expect(live.listeners).toBe(1);
  expect(slow?.getReader().read()).rejects.toThrow("too slow");
});

test("a mistake of ours is a line in the log, and the next look is later", () => {
  using time = drivenTime();
  const lines: string[] = [];
  const { live, asked } = watched(
    createLog({ level: "info", role: "ut", destination: { write: (line) => void lines.push(line) } }),
  );
  using _ = live;
  asked.isBroken = true;
  expect(() => live.listen()).toThrow("a mistake of ours");
  expect(live.listeners).toBe(0);
  asked.looks = 0;
  time.advance(9_000);
  expect(asked.looks).toBe(1);
  asked.isBroken = false;
  time.advance(2_500);
  expect(asked.looks).toBe(2);
  expect(lines.map((line) => JSON.parse(line).event)).toEqual(["http_error"]);
});
