import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UtError } from "../../../../src/core/error.ts";
import { createLog, debounced, type LogLevel } from "../../../../src/io/log/log.ts";

/** A log that writes into a list of parsed lines; `time` is checked and taken out. */
function recorded(level: LogLevel = "debug") {
  const raw: string[] = [];
  const log = createLog({ level, role: "client", destination: { write: (line) => void raw.push(line) } });
  const lines = () =>
    raw.map((text) => {
      expect(text.endsWith("}\n")).toBe(true);
      expect(text.indexOf("\n")).toBe(text.length - 1);
      const { time, ...line } = JSON.parse(text);
      expect(new Date(time).toISOString()).toBe(time);
      return line;
    });
  return { log, raw, lines };
}

test("a line is one JSON object: level, time, role, event, then the fields", () => {
  const { log, raw, lines } = recorded();
  log.info("lane_open", { client_cn: "home", session_id: "s-1", lane_id: 3, rtt_ms: 1.5, absent: undefined });
  expect(lines()).toEqual([
    {
      level: "info",
      role: "client",
      event: "lane_open",
      client_cn: "home",
      session_id: "s-1",
      lane_id: 3,
      rtt_ms: 1.5,
    },
  ]);
  expect(Object.keys(JSON.parse(raw[0]!)).slice(0, 4)).toEqual(["level", "time", "role", "event"]);
});

test("below its level a log writes nothing, and silent writes nothing at all", () => {
  const { log, lines } = recorded("warn");
  log.debug("a");
  log.info("b");
  log.warn("c");
  log.error("d");
  expect(lines().map((line) => line.event)).toEqual(["c", "d"]);
  const { log: silent, raw } = recorded("silent");
  silent.error("e");
  expect(raw).toEqual([]);
});

test("a child adds its fields, and no key ever stands twice", () => {
  const { log, raw, lines } = recorded();
  const lane = log.child({ client_cn: "home" }).child({ lane_id: 1, role: "server" });
  lane.warn("lane_close", { lane_id: 2, level: "x", time: "y", event: "z" });
  expect(lines()).toEqual([
    {
      level: "warn",
      role: "server",
      event: "lane_close",
      client_cn: "home",
      lane_id: 2,
      level_: "x",
      time_: "y",
      event_: "z",
    },
  ]);
  expect(raw[0]!.match(/"lane_id"|"role"|"level"/g)).toHaveLength(3);
});

test("err: the text with its causes, and the kind to search for", () => {
  const { log, lines } = recorded();
  const cause = Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
  log.warn("dial_fail", { err: new UtError("io.connect", "Cannot connect to 10.0.0.1:5443", { cause }) });
  log.warn("dial_fail", { err: cause });
  log.warn("dial_fail", { err: "only a text" });
  log.error("bug", { err: new TypeError("x is undefined") });
  const [first, second, third, bug] = lines();
  expect([first, second, third]).toEqual([
    {
      level: "warn",
      role: "client",
      event: "dial_fail",
      err: "Cannot connect to 10.0.0.1:5443: connection refused",
      err_kind: "io.connect",
    },
    { level: "warn", role: "client", event: "dial_fail", err: "connection refused", err_kind: "ECONNREFUSED" },
    { level: "warn", role: "client", event: "dial_fail", err: "only a text" },
  ]);
  expect(bug.err).toBe("x is undefined");
  expect(bug.err_stack).toContain("log.test.ts");
});

test("no key and no payload is ever written, however it is handed in", () => {
  const { log, raw, lines } = recorded();
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const body = pem.split("\n")[1]!;
  const payload = new TextEncoder().encode("GET /secret");
  log.error("x", {
    pem: `${pem}and ${pem}`,
    cut: pem.slice(0, 80),
    nested: { list: [pem, { key: privateKey }], map: new Map([["k", pem]]) },
    err: new Error(`bad key ${pem}`),
    payload,
    view: payload.subarray(2).buffer,
    buffers: [Buffer.from(payload)],
  });
  expect(raw[0]).not.toContain(body.slice(0, 20));
  expect(raw[0]).not.toContain("secret");
  const { err_stack, ...line } = lines()[0]!;
  expect(line).toEqual({
    level: "error",
    role: "client",
    event: "x",
    pem: "[private key]\nand [private key]\n",
    cut: "[private key]",
    nested: { list: ["[private key]\n", { key: "[private key]" }], map: { k: "[private key]\n" } },
    err: "bad key [private key]\n",
    payload: "[11 bytes]",
    view: "[11 bytes]",
    buffers: ["[11 bytes]"],
  });
});

test("whatever is handed in, a line comes out, and it is bounded", () => {
  const { log, raw, lines } = recorded();
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const hostile = {
    get bad(): never {
      throw new Error("no");
    },
  };
  log.info("odd", {
    cycle,
    hostile,
    big: 2n ** 70n,
    nan: Number.NaN,
    date: new Date(0),
    none: null,
    fn: () => 1,
    set: new Set([1]),
    text: "a".repeat(5000),
    list: Array.from({ length: 100 }, (_, index) => index),
    'quo"te\n': "line\nbreak \u2028 \ud800",
  });
  const line = lines()[0]!;
  expect(raw[0]!.length).toBeLessThan(2500);
  expect(line.hostile).toBe("[unreadable: Error: no]");
  expect(line.big).toBe("1180591620717411303424");
  expect(line.nan).toBe("NaN");
  expect(line.date).toBe("1970-01-01T00:00:00.000Z");
  expect(line.none).toBe(null);
  expect(line.fn).toBe("[function]");
  expect(line.set).toEqual([1]);
  expect(line.text).toBe(`${"a".repeat(1024)}… (3976 more)`);
  expect(line.list).toHaveLength(65);
  expect(line.list[64]).toBe("… 36 more");
  expect(JSON.stringify(line.cycle)).toBe('{"self":{"self":{"self":{"self":{"self":{"self":"[…]"}}}}}}');
  expect(line['quo"te\n']).toStartWith("line\nbreak");
});

test("debounced: the first at once, then one line per interval that says what was left out", () => {
  const { log, lines } = recorded();
  let now = 100;
  const noisy = debounced(log, 5000, () => now);
  for (let dropped = 1; dropped <= 4; dropped++) noisy.warn("queue_drop_oldest", { dropped });
  noisy.warn("pdu_too_large");
  now = 5099;
  noisy.warn("queue_drop_oldest", { dropped: 5 });
  now = 5100;
  noisy.warn("queue_drop_oldest", { dropped: 6 });
  noisy.warn("queue_drop_oldest", { dropped: 7 });
  noisy.warn("queue_drop_oldest", { dropped: 8 });
  now = 20_000;
  noisy.warn("pdu_too_large");
  noisy.flush();
  noisy.flush();
  expect(lines().map(({ level, role, ...line }) => line)).toEqual([
    { event: "queue_drop_oldest", dropped: 1 },
    { event: "pdu_too_large" },
    { event: "queue_drop_oldest", dropped: 6, suppressed: 4 },
    { event: "pdu_too_large" },
    { event: "queue_drop_oldest", dropped: 8, suppressed: 1 },
  ]);
});

const LOG = JSON.stringify(new URL("../../../../src/io/log/log.ts", import.meta.url).pathname);

/** Runs a program with a `log` to its real stdout. */
function logger<Out extends "pipe" | number>(stdout: Out, program: string) {
  const source = `import { createLog, flushLog } from ${LOG};
const log = createLog({ level: "info", role: "ut" });
const text = "x".repeat(1000);
${program}`;
  return Bun.spawn([process.execPath, "-e", source], { stdin: "ignore", stdout, stderr: "pipe" });
}

/** A pipe whose reading end nobody reads until `readAll`. */
function stalledPipe() {
  const folder = mkdtempSync(join(tmpdir(), "ut-log-"));
  const path = join(folder, "pipe");
  Bun.spawnSync(["mkfifo", path]);
  // Opened both ways first, because either end alone waits for the other.
  const both = openSync(path, "r+");
  const readEnd = openSync(path, "r");
  const writeEnd = openSync(path, "w");
  closeSync(both);
  rmSync(folder, { recursive: true });
  return {
    writeEnd,
    readAll: () => Bun.spawn(["cat"], { stdin: readEnd, stdout: "pipe" }).stdout.text(),
    [Symbol.dispose]: () => closeSync(readEnd),
  };
}

test("stdout: every line in order, also of a process that ends at once", async () => {
  const end = 'for (let n = 0; n < 3000; n++) log.info("line", { n });';
  for (const tail of ["", "process.exit(3);", "await flushLog(); process.exit(3);", 'throw new Error("crash");']) {
    const child = logger("pipe", `${end}\n${tail}`);
    const text = await child.stdout.text();
    expect(
      text
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line).n),
    ).toEqual(Array.from({ length: 3000 }, (_, n) => n));
    expect(await child.exited).toBe(tail === "" ? 0 : tail.startsWith("throw") ? 1 : 3);
  }
});

test("stdout: a reader that does not read stops neither the event loop nor the exit", async () => {
  using pipe = stalledPipe();
  const child = logger(
    pipe.writeEnd,
    `const before = process.memoryUsage.rss();
    for (let n = 0; n < 50_000; n++) {
      log.info("line", { n, text });
      if (n % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await flushLog();
    process.stderr.write(String(process.memoryUsage.rss() - before));
    process.exit(0);`,
  );
  closeSync(pipe.writeEnd);
  expect(Number(await child.stderr.text())).toBeLessThan(40 << 20);
  expect(await child.exited).toBe(0);
});

test("stdout: a reader that comes back gets whole lines, and one that says how many are missing", async () => {
  using pipe = stalledPipe();
  const child = logger(
    pipe.writeEnd,
    `for (let n = 0; n < 5000; n++) log.info("line", { n, text });
    process.stderr.write("written");
    await flushLog(60_000);`,
  );
  closeSync(pipe.writeEnd);
  const stderr = child.stderr.getReader();
  expect(new TextDecoder().decode((await stderr.read()).value)).toBe("written");
  const lines = (await pipe.readAll())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const { time, ...last } = lines.pop();
  expect(lines.map((line) => line.n)).toEqual(lines.map((_, n) => n));
  expect(lines.length).toBeGreaterThan(500);
  expect(last).toEqual({ level: "warn", event: "log_dropped", lines: 5000 - lines.length });
});

test("stdout: a closed pipe ends the log, not the process", async () => {
  const child = logger(
    "pipe",
    `log.info("first");
    await flushLog();
    let n = 0;
    const timer = setInterval(() => {
      log.info("more", { n });
      if (++n === 20) { clearInterval(timer); process.stderr.write("alive"); }
    }, 1);`,
  );
  const reader = child.stdout.getReader();
  await reader.read();
  await reader.cancel();
  expect(await child.stderr.text()).toBe("alive");
  expect(await child.exited).toBe(0);
});
