import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Key, keysOf, type Screen, type ScreenHooks } from "../../../../src/cli/status/screen.ts";
import { statusCommand } from "../../../../src/cli/status/status.ts";
import { UtError } from "../../../../src/core/error.ts";
import { type HttpServer, serveHttp } from "../../../../src/io/http/http.ts";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import { until } from "../../../e2e/support/until.ts";
import { certificateStatus, traversalStatus } from "../../io/node-status.ts";
import { fakeTerminal } from "../fake-terminal.ts";
import { busyNode } from "./status-reports.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };
let node: HttpServer;

function startNode(port = 0): HttpServer {
  const status = () => [busyNode()];
  const traversal = () => traversalStatus();
  const metrics = createMetrics({ status, traversal, build, perClientCn: true, perLane: false });
  const listen = { host: "127.0.0.1", port };
  const certificates = () => certificateStatus();
  return serveHttp({ listen, metricsPath: "/metrics", metrics, status, traversal, certificates, build });
}

beforeAll(() => {
  node = startNode();
});
afterAll(() => node[Symbol.asyncDispose]());

/** A screen that remembers what was drawn last, and a person at it. */
function fakeScreen(size: { columns: number; rows: number }) {
  const seen = { lines: [] as readonly string[], isOpen: false, hooks: undefined as ScreenHooks | undefined };
  const open = (hooks: ScreenHooks): Screen => {
    seen.hooks = hooks;
    seen.isOpen = true;
    return {
      get columns() {
        return size.columns;
      },
      get rows() {
        return size.rows;
      },
      draw(lines) {
        seen.lines = lines;
      },
      [Symbol.dispose]() {
        seen.isOpen = false;
      },
    };
  };
  return { seen, command: statusCommand(open), press: (key: Key) => seen.hooks?.key(key) };
}

const address = () => node.url.slice("http://".length);

describe("ut status into a pipe", () => {
  test("writes everything once, without a colour", async () => {
    const terminal = fakeTerminal();
    expect(await fakeScreen({ columns: 80, rows: 24 }).command.run(["-addr", address()], terminal)).toBe(0);
    const [text = "", ...more] = terminal.printed;
    expect(more).toEqual([]);
    expect(text.split("\n")[0]).toBe("gate  ready");
    expect(text).toContain("\nSession of home  2 of 3 lanes open");
    expect(text).not.toContain("\x1b");
  });

  test("--json is /api/status, on a terminal too", async () => {
    for (const interactive of [false, true]) {
      const terminal = fakeTerminal({ interactive });
      const { command } = fakeScreen({ columns: 80, rows: 24 });
      expect(await command.run(["--json", "--addr", address()], terminal)).toBe(0);
      const { uptimeSeconds: _, startedAt: __, ...report } = JSON.parse(terminal.printed.join());
      const asked = (await (await fetch(`${node.url}/api/status`)).json()) as Record<string, unknown>;
      expect(asked).toMatchObject(report);
    }
  });
});

describe("ut status on a terminal", () => {
  test("fills it, scrolls, follows its size, and gives it back", async () => {
    const size = { columns: 60, rows: 8 };
    const { seen, command, press } = fakeScreen(size);
    const running = command.run(["--addr", address()], fakeTerminal({ interactive: true }));
    await until("the first picture", () => seen.lines.length > 0);
    expect(seen.lines).toHaveLength(8);
    expect(seen.lines[0]).toContain("gate");
    expect(seen.lines[7]).toMatch(/live\. q quits, arrows scroll, \d+ more/);
    press("down");
    expect(seen.lines[0]).toContain("server on 127.0.0.1:5443");
    press("end");
    expect(seen.lines[6]).toContain("2035-01-01");
    size.rows = 60;
    size.columns = 100;
    seen.hooks?.resized();
    expect(seen.lines).toHaveLength(60);
    expect(seen.lines[0]).toContain("gate");
    expect(seen.lines.at(-1)).toContain("live. q quits, arrows scroll\x1b[0m");
    press("quit");
    expect(await running).toBe(0);
    expect(seen.isOpen).toBe(false);
  });

  test("says when the node is gone, keeps what it said, and goes on when it is back", async () => {
    const mortal = startNode();
    const { seen, command, press } = fakeScreen({ columns: 100, rows: 12 });
    const running = command.run(["--addr", mortal.url.slice(7)], fakeTerminal({ interactive: true }));
    await until("the first picture", () => seen.lines.length > 0);
    await mortal[Symbol.asyncDispose]();
    await until("the news", () => seen.lines.at(-1)?.includes("No answer from") === true);
    expect(seen.lines[0]).toContain("gate");
    await using _ = startNode(mortal.port);
    await until("the node", () => seen.lines.at(-1)?.includes("live.") === true);
    press("quit");
    expect(await running).toBe(0);
  });

  test("a signal ends it as one", async () => {
    const interrupt = new AbortController();
    const { seen, command } = fakeScreen({ columns: 100, rows: 12 });
    const terminal = fakeTerminal({ interactive: true, signal: interrupt.signal });
    const running = command.run(["--addr", address()], terminal);
    await until("the first picture", () => seen.lines.length > 0);
    interrupt.abort();
    expect(await running).toBe(130);
    expect(seen.isOpen).toBe(false);
  });
});

describe("no node", () => {
  const NEXT = `Next: does ut run there? Its log's "start" line has the port under "metrics"; --config FILE takes the address from its
config, --addr HOST:PORT is the address itself`;

  async function complaint(addr: string, interactive: boolean): Promise<string> {
    const { command, seen } = fakeScreen({ columns: 80, rows: 24 });
    const error = await command.run(["--addr", addr], fakeTerminal({ interactive })).catch((thrown: unknown) => thrown);
    expect(seen.isOpen).toBe(false);
    if (!(error instanceof UtError)) throw error;
    return `${error.kind}: ${error.message}`.replaceAll(addr, "HERE");
  }

  test("what was tried, why it failed, what next; and no screen is opened for that", async () => {
    await using gone = startNode();
    const free = gone.url.slice(7);
    await gone[Symbol.asyncDispose]();
    const nobody = "nobody listens there";
    expect(await complaint(free, false)).toBe(`io.connect: Cannot ask http://HERE/api/status: ${nobody}\n${NEXT}`);
    expect(await complaint(free, true)).toBe(`io.connect: Cannot ask http://HERE/api/events: ${nobody}\n${NEXT}`);
  });

  test("something else that speaks HTTP is not taken for one", async () => {
    using other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<h1>It works!</h1>") });
    const strange = "the answer, 200, is not that of a node";
    const at = `127.0.0.1:${other.port}`;
    expect(await complaint(at, false)).toBe(`io.connect: Cannot ask http://HERE/api/status: ${strange}\n${NEXT}`);
    expect(await complaint(at, true)).toBe(`io.connect: Cannot ask http://HERE/api/events: ${strange}\n${NEXT}`);
  });

  test("as many look as may", async () => {
    const listeners = Array.from({ length: 16 }, () => fetch(`${node.url}/api/events`));
    const responses = await Promise.all(listeners);
    expect(await complaint(address(), true)).toBe(
      `io.connect: Cannot ask http://HERE/api/events: Cannot tell more than 16 listeners at once; try again later\n${NEXT}`,
    );
    await Promise.all(responses.map((response) => response.body?.cancel()));
  });
});

test("keys come one by one, in bursts, and in sequences; others are nothing", () => {
  expect(keysOf("q")).toEqual(["quit"]);
  expect(keysOf("\x1b[Aj\x1b[6~\x03")).toEqual(["up", "down", "page-down", "quit"]);
  expect(keysOf("\x1b[1;5Cx\x1b")).toEqual([]);
});
