import { afterAll, describe, expect, test } from "bun:test";
import { concat, hex, utf8 } from "../bytes.ts";
import { expired, identity, serverIdentity, strangersCa } from "./support/identities.ts";
import { dataPdu } from "./support/raw-lane.ts";
import {
  clientFrame,
  type RawHttps,
  type RawWebSocket,
  rawHttps,
  rawWebSocket,
  upgradeText,
} from "./support/raw-web-socket.ts";
import { expectIntact, type Scene, scene } from "./support/scene.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/**
 * A server in `wss` mode and those who are no clients of it: whoever comes without a good certificate, or asks for
 * anything else than a lane, meets an ordinary HTTPS server; who has one and breaks the framing loses the connection.
 */

const mallory = await identity({ cn: "mallory" });
const denied = await identity({ cn: "denied" });
const NOBODY = { ca: serverIdentity.ca };

afterAll(() => expectNoSecretsInLogs(mallory));

const wssScene = () => scene({ tcp: { transport: "wss" }, tls: { deny_cn: ["denied"] } });

const GET = "GET / HTTP/1.1\r\nHost: ut.test\r\nConnection: close\r\n\r\n";
const withoutDate = (text: string) => text.replace(/^Date: .*$/m, "Date: then");

/** What stands in the log and the counters about connections that came to nothing. */
function refusals({ server }: Scene): Record<string, unknown> {
  const lines = server.logbook.find("tls_handshake_fail").map(({ reason, detail }) => ({ reason, detail }));
  return { lines, counted: Object.fromEntries(server.role.status().tlsHandshakeFailures) };
}

describe("whoever is no client", () => {
  test("meets the same web site without pages, with or without a certificate", async () => {
    await using at = await wssScene();
    const answers: string[] = [];
    for (const [who, request] of [
      [NOBODY, GET],
      [NOBODY, GET.replace("/", "/ut")],
      [NOBODY, upgradeText()],
      [mallory, GET],
      [mallory, upgradeText("/other")],
      [denied, upgradeText()],
    ] as const) {
      using visitor = await rawHttps(at.server.port, who);
      visitor.send(request);
      await until("an answer", () => visitor.text.endsWith("</html>\n"));
      answers.push(withoutDate(visitor.text).replace("keep-alive", "close"));
    }
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toStartWith("HTTP/1.1 404 Not Found\r\nDate: then\r\nContent-Type: text/html\r\n");
    await expectIntact(at);
  });

  test.each([
    ["nobody", "no_certificate", async () => NOBODY],
    ["a stranger", "wrong_ca", () => identity({ cn: "home", issuer: strangersCa })],
    ["one whose certificate has ended", "expired", () => identity({ cn: "home", ...expired })],
    ["one who is shut out", "denied_cn", async () => denied],
    ["one with an impossible name", "bad_cn", () => identity({ subject: [{ CN: "no good name" }] })],
    ["a server", "wrong_purpose", () => identity({ cn: "good", usages: ["serverAuth"], hosts: ["127.0.0.1"] })],
  ] as const)("%s who asks for a lane gets a 404 and is named: %s", async (_who, reason, make) => {
    await using at = await wssScene();
    using visitor = await rawHttps(at.server.port, await make());
    const sent = at.wg.received.length;
    // What stands behind the request is another request, whatever it looks like.
    visitor.send(upgradeText(), clientFrame(0x82, dataPdu(marked(7_777_777))));
    await visitor.closed();
    expect(visitor.text.match(/^HTTP\/1.1 .*$/gm)).toEqual(["HTTP/1.1 404 Not Found", "HTTP/1.1 400 Bad Request"]);
    expect(refusals(at)).toEqual({ lines: [{ reason, detail: expect.any(String) }], counted: { [reason]: 1 } });
    expect(at.server.role.status().sessions).toHaveLength(1);
    await expectIntact(at);
    const mine = at.wg.received.slice(sent).filter((datagram) => Bun.deepEquals(datagram, marked(7_777_777)));
    expect(mine).toEqual([]);
  });

  test("may ask for many pages over one connection, but not for ever", async () => {
    await using at = await wssScene();
    using visitor = await rawHttps(at.server.port, NOBODY);
    const request = "HEAD /a HTTP/1.1\r\nHost: ut.test\r\n\r\n";
    visitor.send(request.repeat(60));
    for (let i = 0; i < 60; i++) visitor.send(request);
    await visitor.closed();
    const kept = visitor.text.match(/^Connection: .*$/gm) ?? [];
    expect(kept.map((line) => line.trim())).toEqual([...Array(99).fill("Connection: keep-alive"), "Connection: close"]);
    expect(refusals(at)).toEqual({
      lines: [{ reason: "visitor", detail: "HEAD /a is no request for /ut" }],
      counted: { visitor: 1 },
    });
    await expectIntact(at);
  });

  test.each([
    ["a client that was told tcp.transport: tcp", dataPdu(marked(1)), "400 Bad Request"],
    [
      "half a head without an end",
      utf8(`GET / HTTP/1.1\r\nA: ${"a".repeat(9_000)}`),
      "431 Request Header Fields Too Large",
    ],
    ["garbage in lines", utf8("hello\r\n\r\n"), "400 Bad Request"],
  ])("%s", async (_name, bytes, status) => {
    await using at = await wssScene();
    using visitor = await rawHttps(at.server.port, mallory);
    visitor.send(bytes);
    await visitor.closed();
    expect(visitor.text.split("\r\n")[0]).toBe(`HTTP/1.1 ${status}`);
    const detail = "no HTTP request; a client of ut must set tcp.transport: wss, too";
    expect(refusals(at)).toEqual({ lines: [{ reason: "visitor", detail }], counted: { visitor: 1 } });
    await expectIntact(at);
  });

  test("has ten seconds for a request, however slowly it comes, and for the next one", async () => {
    using time = drivenTime();
    await using at = await wssScene();
    using silent = await rawHttps(at.server.port, mallory);
    using slow = await rawHttps(at.server.port, NOBODY);
    using idle = await rawHttps(at.server.port, NOBODY);
    idle.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    await until("its answer", () => idle.text.endsWith("\r\n\r\n"));
    for (let i = 0; i < 9; i++) {
      slow.send("A");
      time.advance(1_000);
      await turn();
    }
    expect([silent.isClosed, slow.isClosed, idle.isClosed]).toEqual([false, false, false]);
    time.advance(1_100);
    await Promise.all([silent.closed(), slow.closed(), idle.closed()]);
    expect(Object.fromEntries(at.server.role.status().tlsHandshakeFailures)).toEqual({ timeout: 2, visitor: 1 });
  });

  test("of whom there are too many makes room for the next", async () => {
    await using at = await wssScene();
    const crowd: RawHttps[] = [];
    for (let i = 0; i < 40; i++) crowd.push(await rawHttps(at.server.port, NOBODY));
    await until("the first eight to go", () => crowd.slice(0, 8).every(({ isClosed }) => isClosed));
    expect(crowd.slice(8).some(({ isClosed }) => isClosed)).toBe(false);
    expect(Object.fromEntries(at.server.role.status().tlsHandshakeFailures)).toEqual({ crowded_out: 8 });
    for (const visitor of crowd) visitor[Symbol.dispose]();
    await expectIntact(at);
  });
});

interface Attack {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly kind: string;
  readonly code: number;
}

const ATTACKS: readonly Attack[] = [
  { name: "a text frame", bytes: clientFrame(0x81, utf8("hi")), kind: "ws_text", code: 1003 },
  { name: "a frame that is not masked", bytes: hex("82 01 55"), kind: "ws_mask", code: 1002 },
  { name: "a compressed frame", bytes: clientFrame(0xc2, utf8("x")), kind: "ws_reserved", code: 1002 },
  { name: "an opcode of the future", bytes: clientFrame(0x83, utf8("x")), kind: "ws_reserved", code: 1002 },
  { name: "a fragment without a beginning", bytes: clientFrame(0x80, utf8("x")), kind: "ws_fragment", code: 1002 },
  { name: "a ping of 126 bytes", bytes: clientFrame(0x89, new Uint8Array(126)), kind: "ws_control", code: 1002 },
  { name: "a frame of 16 exabytes", bytes: hex("82 ff ffffffff ffffffff 00000000"), kind: "ws_too_large", code: 1009 },
  {
    name: "a message over a mebibyte",
    bytes: concat([clientFrame(0x02, dataPdu(marked(1, 65_000))), hex("00 ff 00000000 00100000 00000000")]),
    kind: "ws_too_large",
    code: 1009,
  },
  { name: "a length that hides", bytes: hex("82 fe 0001 00000000 55"), kind: "ws_length", code: 1002 },
  {
    name: "a flood of pings",
    bytes: concat(Array.from({ length: 60 }, () => clientFrame(0x89, utf8("x")))),
    kind: "ws_flood",
    code: 1008,
  },
];

/** The connection is gone, its sender was told with a code, counted and named; the bystander lost nothing. */
async function expectBroken(at: Scene, socket: RawWebSocket, { kind, code }: Attack): Promise<void> {
  await socket.closed();
  expect(socket.closeCode).toBe(code);
  expect(Object.fromEntries(at.server.counters("mallory").frameErrors)).toEqual({ [kind]: 1 });
  expect(at.server.logbook.find("frame_err")).toMatchObject([
    { level: "warn", client_cn: "mallory", kind, remote: socket.local },
  ]);
  await until("its lane to leave the session", () => (at.server.session("mallory")?.lanes.length ?? 0) === 0);
  await expectIntact(at);
}

describe("a client that breaks the framing", () => {
  for (const attack of ATTACKS) {
    test(`${attack.name}, before any PDU`, async () => {
      await using at = await wssScene();
      using socket = await rawWebSocket(at.server.port, mallory);
      socket.send(attack.bytes);
      await expectBroken(at, socket, attack);
    });

    test(`${attack.name}, as a lane`, async () => {
      await using at = await wssScene();
      using socket = await rawWebSocket(at.server.port, mallory);
      socket.hello();
      socket.send(clientFrame(0x82, dataPdu(marked(1))));
      await until("the echo", () => socket.stream.length > 64);
      socket.send(attack.bytes);
      await expectBroken(at, socket, attack);
    });
  }

  test("broken PDUs in good frames are a lane's business, as ever", async () => {
    await using at = await wssScene();
    using socket = await rawWebSocket(at.server.port, mallory);
    socket.send(clientFrame(0x82, hex("5555")));
    await socket.closed();
    expect(new TextDecoder().decode(socket.stream)).toContain(`"kind":"bad_magic"`);
    expect([socket.closeCode, ...at.server.counters("mallory").frameErrors.keys()]).toEqual([1000, "bad_magic"]);
    await expectIntact(at);
  });
});
