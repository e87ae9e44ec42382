import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Log } from "../../../../src/io/log/log.ts";
import { openSupervisor } from "../../../../src/io/system/supervisor.ts";
import { sendUnixDatagram } from "../../../../src/io/system/unix-datagram.ts";
import { notifySocket } from "../../../e2e/support/notify-socket.ts";
import { until } from "../../../e2e/support/until.ts";

function bookedLog() {
  const lines: unknown[] = [];
  const note = (event: string, fields: object = {}) => void lines.push({ event, ...fields });
  return { lines, log: { debug: note, info: note, warn: note, error: note } as unknown as Log };
}

describe.skipIf(process.platform !== "linux")("a supervisor that asks to be told", () => {
  test.each(["file", "abstract"] as const)("hears what the service does at its socket (%s)", (kind) => {
    using socket = notifySocket(kind);
    const { log, lines } = bookedLog();
    using supervisor = openSupervisor(log, { NOTIFY_SOCKET: socket.path });
    supervisor.ready("listens on\n127.0.0.1:15000");
    supervisor.reloading(() => expect(socket.messages().at(-1)).toBe("RELOADING=1"));
    supervisor.stopping();
    expect(socket.messages()).toEqual([
      "READY=1\nSTATUS=listens on 127.0.0.1:15000",
      "RELOADING=1",
      "READY=1",
      "STOPPING=1\nSTATUS=draining",
    ]);
    expect(lines).toEqual([]);
  });

  test("gets a sign of life at half the time it allows, from ready on until the end", async () => {
    using socket = notifySocket("file");
    const alive = () => socket.messages().filter((message) => message === "WATCHDOG=1").length;
    {
      const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "20000", WATCHDOG_PID: String(process.pid) };
      using supervisor = openSupervisor(bookedLog().log, env);
      expect(alive()).toBe(0);
      supervisor.ready("");
      await until("three signs of life", () => alive() >= 3);
    }
    const before = alive();
    await Bun.sleep(50);
    expect(alive()).toBe(before);
  });

  test("hears none while the event loop hangs", async () => {
    using socket = notifySocket("file");
    using supervisor = openSupervisor(bookedLog().log, { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "20000" });
    supervisor.ready("");
    Bun.sleepSync(200);
    expect(socket.messages()).toEqual(["READY=1\nSTATUS="]);
    await until("life again", () => socket.messages().includes("WATCHDOG=1"));
  });

  test("that is slow to listen misses signs of life, and nothing else", async () => {
    using socket = notifySocket("file");
    while (sendUnixDatagram(socket.path, "WATCHDOG=1", "drop"));
    const script = `
      import { openSupervisor } from ${JSON.stringify(join(import.meta.dir, "../../../../src/io/system/supervisor.ts"))};
      const supervisor = openSupervisor({ warn: console.log });
      console.log("telling");
      supervisor.ready("after all");
      supervisor.stopping();
      console.log("told");`;
    const env = { ...process.env, NOTIFY_SOCKET: socket.path };
    const child = Bun.spawn([process.execPath, "-e", script], { env, stdout: "pipe", stderr: "inherit" });
    const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    expect((await output.read()).value).toBe("telling\n");
    await until("what it has to tell", () => socket.messages().includes("STOPPING=1\nSTATUS=draining"));
    expect((await output.read()).value).toBe("told\n");
    expect(socket.messages().filter((message) => message !== "WATCHDOG=1")).toEqual([
      "READY=1\nSTATUS=after all",
      "STOPPING=1\nSTATUS=draining",
    ]);
  });

  test("hears no sign of life that is meant to be another process's", async () => {
    using socket = notifySocket("file");
    const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "2000", WATCHDOG_PID: "1" };
    using supervisor = openSupervisor(bookedLog().log, env);
    supervisor.ready("");
    await Bun.sleep(20);
    expect(socket.messages()).toHaveLength(1);
  });

  test.each([
    ["a folder that is not there", "/nowhere/notify"],
    ["an abstract name that nobody has", "@nobody-listens-here"],
    ["a path that is too long", `/${"x".repeat(200)}`],
  ])("that cannot be reached is told of once: %s", (_, path) => {
    const { log, lines } = bookedLog();
    using supervisor = openSupervisor(log, { NOTIFY_SOCKET: path });
    supervisor.ready("");
    supervisor.stopping();
    expect(lines).toEqual([{ event: "supervisor_unreachable", socket: path }]);
  });
});

test("without a supervisor nothing is sent, and nothing is said", () => {
  const { log, lines } = bookedLog();
  using supervisor = openSupervisor(log, {});
  supervisor.ready("");
  let reloads = 0;
  supervisor.reloading(() => reloads++);
  supervisor.stopping();
  expect(reloads).toBe(1);
  expect(lines).toEqual([]);
});
