import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { ControlConnection } from "../../src/app/peers/control-connection.ts";
import { Servers } from "../../src/app/tunnel/servers.ts";
import { numberOf } from "../bytes.ts";
import { controlServer } from "./support/control-server.ts";
import { describeWith } from "./support/describe-with.ts";
import { tinyproxy } from "./support/foreign-server.ts";
import { identity } from "./support/identities.ts";
import { Logbook } from "./support/logbook.ts";
import { lanesUp, type Settings, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { scriptedProxy } from "./support/scripted-proxy.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { drivenTime, turn, until } from "./support/until.ts";

/** Lanes through an HTTP proxy (`tcp.proxy`): a real one, and those that refuse, lie or say nothing. */

// Some tests start programs of others, beside other stages of the run.
setDefaultTimeout(30_000);

const home = await identity({ cn: "home" });
const PASSWORD = "s3cret:of/the@office";
const WAYS: readonly NonNullable<Settings["tcp"]>[] = [{ transport: "tcp" }, { transport: "wss" }];

afterAll(() => {
  expectNoSecretsInLogs(home);
  const all = Logbook.everything.join("");
  const forms = [PASSWORD, encodeURIComponent(PASSWORD), btoa(`clerk:${PASSWORD}`), btoa("clerk:wrong")];
  expect(forms.filter((form) => all.includes(form))).toEqual([]);
});

function through(port: number, credentials?: string): NonNullable<Settings["tcp"]> {
  return { proxy: { host: "127.0.0.1", port, credentials } };
}

/** Text of the first dial that came to nothing. */
async function dialProblem(client: TestNode): Promise<string> {
  await until("a dial to fail", () => client.logbook.has("lane_dial_fail"));
  const [line] = client.logbook.find("lane_dial_fail");
  expect(["proxy.refused", "io.connect"]).toContain(String(line?.err_kind));
  expect(client.role.status().ready).toBe(false);
  return String(line?.err);
}

describeWith(["tinyproxy"], "through tinyproxy", () => {
  test.each(WAYS)("datagrams pass, unchanged: %j", async (way) => {
    await using proxy = await tinyproxy("BasicAuth clerk pass");
    using wg = await udpEnd({ echo: true });
    // A machine that is busy with other things must not make the queue thin itself out.
    const queue = { target_ms: 0 };
    const tcp = { ...way, ...through(proxy.port, "clerk:pass") };
    await using server = await testServer(wg.port, { tcp: way, queue });
    await using client = await testClient(server.port, home, { tcp, queue });
    using end = await udpEnd();
    const sent = Array.from({ length: 1_000 }, (_, i) => marked(i, [64, 1_200, 9_000, 65_507][i % 4]));
    for (const [i, datagram] of sent.entries()) {
      end.sendTo(client.port, datagram);
      if (i % 10 === 9) await until("their echo", () => end.received.length >= i - 40);
    }
    await end.count(sent.length);
    expect(end.received.toSorted((a, b) => numberOf(a) - numberOf(b))).toEqual(sent);
    await lanesUp(client, "home", 5);
    expect(client.logbook.find("lane_open").map(({ remote }) => remote)).toEqual(
      Array(5).fill(`127.0.0.1:${server.port} via 127.0.0.1:${proxy.port}`),
    );
    const asked = (await proxy.log()).match(/CONNECT 127\.0\.0\.1:\d+/g) ?? [];
    expect<string[]>(asked).toEqual(Array(5).fill(`CONNECT 127.0.0.1:${server.port}`));
  });

  test("without user and password where it wants them, or with wrong ones", async () => {
    await using proxy = await tinyproxy("BasicAuth clerk pass");
    await using nobody = await testClient(9, home, { tcp: { ...through(proxy.port), prewarm: true, lanes: 1 } });
    expect(await dialProblem(nobody)).toBe(
      `Cannot get through the proxy at 127.0.0.1:${proxy.port}: it answered 407 Proxy Authentication Required: it wants a user and a password; set tcp.proxy to http://USER:PASSWORD@HOST:PORT`,
    );
    const wrong = { ...through(proxy.port, "clerk:wrong"), prewarm: true, lanes: 1 };
    await using liar = await testClient(9, home, { tcp: wrong });
    expect(await dialProblem(liar)).toMatch(/: it does not take this user and password; correct them in tcp.proxy$/);
  });

  test("that lets only port 443 through, and to a server that is not there", async () => {
    await using strict = await tinyproxy("ConnectPort 443");
    await using one = await testClient(9, home, { tcp: { ...through(strict.port), prewarm: true, lanes: 1 } });
    expect(await dialProblem(one)).toMatch(
      /: it answered 403 .* to CONNECT 127\.0\.0\.1:9; many proxies allow only port 443/,
    );
    await using open = await tinyproxy();
    await using two = await testClient(9, home, { tcp: { ...through(open.port), prewarm: true, lanes: 1 } });
    expect(await dialProblem(two)).toMatch(
      /: it answered 50\d .* to CONNECT 127\.0\.0\.1:9; .*must be able to reach the server$/,
    );
  });
});

describe("a proxy by hand", () => {
  const OK = "HTTP/1.1 200 OK\r\n\r\n";

  test("gets the server's name, and only its own is looked up here", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using proxy = await scriptedProxy([..."HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"], server);
    const asked: string[] = [];
    await using client = await testClient(0, home, {
      tcp: {
        server_addr: [{ host: "ut.test", port: 5_443 }],
        proxy: { host: "proxy.test", port: proxy.port, credentials: `clerk:${PASSWORD}` },
        lanes: 1,
      },
      async resolve(host) {
        asked.push(host);
        return [{ address: "127.0.0.1", family: 4 }];
      },
    });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await end.count(1);
    expect([asked, proxy.requests]).toEqual([
      ["proxy.test"],
      [
        `CONNECT ut.test:5443 HTTP/1.1\r\nHost: ut.test:5443\r\nProxy-Authorization: Basic ${btoa(`clerk:${PASSWORD}`)}\r\n\r\n`,
      ],
    ]);
  });

  const LIES: readonly (readonly [name: string, answer: string | string[], problem: RegExp])[] = [
    ["garbage", "\x00\x01\x02", /its answer is not HTTP; check that tcp.proxy is an HTTP proxy$/],
    ["SOCKS", "\x05\x00", /its answer is not HTTP/],
    ["a greeting of mail", "220 mail.example ESMTP\r\n\r\n", /its answer is not HTTP/],
    ["a head without an end", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(4_000)}`, /its answer is not HTTP/],
    ["bytes of its own in the tunnel", `${OK}<html>`, /it sent bytes of its own into the tunnel$/],
    ["nothing", "", /it closed the connection without an answer$/],
    ["half an answer", ["HTTP/1.1 20", ""], /it closed the connection without an answer$/],
    ["NTLM", "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\n\r\n", /takes only NTLM authentication/],
    ["a page", "HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n", /it answered 302 Found to CONNECT/],
  ];
  test.each(LIES)("that answers with %s", async (name, answer, problem) => {
    await using proxy = await scriptedProxy(answer);
    await using client = await testClient(9, home, { tcp: { ...through(proxy.port), prewarm: true, lanes: 1 } });
    if (name === "half an answer") {
      await until("the request", () => proxy.requests.length === 1);
      proxy.sockets[0]?.end();
    }
    const text = await dialProblem(client);
    expect(text).toStartWith(`Cannot get through the proxy at 127.0.0.1:${proxy.port}: `);
    expect(text).toMatch(problem);
    await until("its socket to go", () => proxy.sockets[0]?.destroyed === true);
  });

  test("that says nothing has ten seconds, and so has a server behind it", async () => {
    using time = drivenTime();
    await using silent = await scriptedProxy(undefined);
    await using one = await testClient(9, home, { tcp: { ...through(silent.port), prewarm: true, lanes: 1 } });
    await until("the request", () => silent.requests.length === 1);
    time.advance(10_000);
    expect(await dialProblem(one)).toMatch(/^Cannot get through the proxy at .*: no answer within 10 s$/);
    await using hollow = await scriptedProxy(OK);
    await using two = await testClient(9, home, { tcp: { ...through(hollow.port), prewarm: true, lanes: 1 } });
    await until("the request", () => hollow.requests.length === 1);
    for (let i = 0; i < 20; i++) await turn();
    time.advance(10_000);
    await until("the end", () => two.logbook.has("tls_handshake_fail"));
    expect(two.logbook.find("tls_handshake_fail")[0]).toMatchObject({ reason: "timeout", err_kind: "tls.handshake" });
    expect(String(two.logbook.find("tls_handshake_fail")[0]?.err)).toContain(
      `127.0.0.1:9 via 127.0.0.1:${hollow.port}`,
    );
  });

  test("that is not there", async () => {
    await using client = await testClient(9, home, { tcp: { ...through(9), prewarm: true, lanes: 1 } });
    expect(await dialProblem(client)).toBe(
      "Cannot connect to the proxy at 127.0.0.1:9: connection refused (ECONNREFUSED); check tcp.proxy, and that the proxy runs and is reachable: Failed to connect",
    );
  });

  test("that breaks a lane: it is dialled again", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port);
    await using proxy = await scriptedProxy(OK, server);
    await using client = await testClient(server.port, home, { tcp: { ...through(proxy.port), lanes: 1 } });
    using end = await udpEnd();
    end.sendTo(client.port, marked(1));
    await end.count(1);
    proxy.sockets[0]?.resetAndDestroy();
    await until("the loss to be noticed", () => client.logbook.has("lane_close"));
    await lanesUp(client, "home", 1);
    end.sendTo(client.port, marked(2));
    await end.count(2);
    expect([proxy.requests.length, client.logbook.has("lane_dial_fail")]).toEqual([2, false]);
  });

  test("that is given up while it is silent leaves nothing behind", async () => {
    await using proxy = await scriptedProxy(undefined);
    {
      await using _client = await testClient(9, home, { tcp: { ...through(proxy.port), prewarm: true, lanes: 2 } });
      await until("the requests", () => proxy.requests.length === 2);
    }
    await until("both sockets to go", () => proxy.sockets.every(({ destroyed }) => destroyed));
  });
});

test("a control connection goes through it, too, and does not take the proxy for the server", async () => {
  await using server = await controlServer();
  await using proxy = await scriptedProxy("HTTP/1.1 200 OK\r\n\r\n", server);
  const log = new Logbook().log("agent");
  const connect = (host: string) => {
    const servers = new Servers([{ host, port: server.port }], 120_000, log);
    const way = { transport: "tcp", wss: { path: "/", host: undefined }, ...through(proxy.port) } as const;
    const heard: (string | undefined)[] = [];
    const connection = new ControlConnection(
      { servers, way, serverName: "127.0.0.1", identity: home, sessionId: randomUUID(), node: "ut test", log },
      { connected: (address) => heard.push(address), lost: () => {}, received: () => {} },
    );
    connection.dial();
    return { connection, heard };
  };
  for (const [host, known] of [
    ["ut.test", undefined],
    ["192.0.2.7", "192.0.2.7"],
  ] as const) {
    const { connection, heard } = connect(host);
    using _ = connection;
    await until("a greeting", () => connection.isConnected);
    expect(heard).toEqual([known]);
  }
  expect(proxy.requests.map((head) => head.split("\r\n")[0])).toEqual([
    `CONNECT ut.test:${server.port} HTTP/1.1`,
    `CONNECT 192.0.2.7:${server.port} HTTP/1.1`,
  ]);
});
