import { afterAll, expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { ControlConnection } from "../../src/app/peers/control-connection.ts";
import { Servers } from "../../src/app/tunnel/servers.ts";
import type { Signal } from "../../src/core/wire/signal.ts";
import { type ControlServer, controlServer } from "./support/control-server.ts";
import { identity } from "./support/identities.ts";
import { Logbook } from "./support/logbook.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { drivenTime, until } from "./support/until.ts";

const PLAIN = { transport: "tcp", wss: { path: "/ut" } } as const;
const home = await identity({ cn: "home" });
afterAll(() => expectNoSecretsInLogs(home));

function connect(server: ControlServer) {
  const logbook = new Logbook();
  const log = logbook.log("agent");
  const servers = new Servers([{ host: "127.0.0.1", port: server.port }], 120_000, log);
  const sessionId = randomUUID();
  const heard: (Signal | string)[] = [];
  const connection = new ControlConnection(
    { servers, way: PLAIN, serverName: undefined, identity: home, sessionId, node: "ut test", log },
    {
      connected: (address) => heard.push(`connected ${address}`),
      lost: () => heard.push("lost"),
      received: (signal) => heard.push(signal),
    },
  );
  connection.dial();
  return { connection, logbook, sessionId, heard };
}

test("greets with the session of its lanes, then signals pass both ways", async () => {
  await using server = await controlServer();
  const { connection, sessionId, heard } = connect(server);
  using _ = connection;
  await until("a greeting", () => connection.isConnected);
  expect(server.hellos).toMatchObject([{ kind: "control", session_id: sessionId, node: "ut test" }]);
  connection.send({ type: "ping", id: 1 });
  server.send({ type: "pong", id: 1 });
  await until("both", () => server.signals.length === 1 && heard.length === 2);
  expect(server.signals).toEqual([{ type: "ping", id: 1 }]);
  expect(heard).toEqual(["connected 127.0.0.1", { type: "pong", id: 1 }]);
});

test("is dialled again when it is lost; what is sent meanwhile is dropped", async () => {
  await using server = await controlServer();
  const { connection, logbook, heard } = connect(server);
  using _ = connection;
  await until("a greeting", () => connection.isConnected);
  server.cut();
  await until("the loss", () => heard.includes("lost"));
  connection.send({ type: "ping", id: 1 });
  await until("another greeting", () => connection.isConnected);
  expect([server.accepted, server.signals, heard]).toEqual([
    2,
    [],
    ["connected 127.0.0.1", "lost", "connected 127.0.0.1"],
  ]);
  expect(logbook.find("control_close")).toMatchObject([{ retry_in_ms: expect.any(Number) }]);
});

test("stays away for a minute where another process has its name", async () => {
  using time = drivenTime();
  await using server = await controlServer();
  const { connection, logbook } = connect(server);
  using _ = connection;
  await until("a greeting", () => connection.isConnected);
  server.goodbye("replaced");
  await until("the end", () => logbook.has("control_close"));
  expect(logbook.has("control_replaced", { retry_in_ms: 60_000 })).toBe(true);
  time.advance(59_000);
  await until("nothing", () => true);
  expect(server.accepted).toBe(1);
  time.advance(1_500);
  await until("another greeting", () => connection.isConnected);
});

test("broken frames end it, unknown signals do not", async () => {
  await using server = await controlServer();
  const { connection, logbook } = connect(server);
  using _ = connection;
  await until("a greeting", () => connection.isConnected);
  server.send({ type: "ping", id: "x" } as never);
  await until("a word about it", () => logbook.has("signal_unknown", { kind: "invalid" }));
  expect(connection.isConnected).toBe(true);
  server.bytes(new TextEncoder().encode("HTTP/1.1 200 OK\r\n"));
  await until("the end", () => logbook.has("control_close"));
  expect(logbook.has("frame_err", { kind: "bad_magic" })).toBe(true);
});

test("a server that is not there is told of, with the reason", async () => {
  const server = await controlServer();
  await server[Symbol.asyncDispose]();
  const { connection, logbook } = connect(server);
  using _ = connection;
  await until("a failure", () => logbook.has("control_dial_fail"));
  expect(connection.lastError?.kind).toBe("io.connect");
  expect(logbook.find("control_dial_fail")[0]?.err).toContain("ECONNREFUSED");
});
