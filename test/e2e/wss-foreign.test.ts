import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAX_CTRL_BYTES } from "../../src/core/wire/control.ts";
import { PduDecoder, TYPE_CTRL } from "../../src/core/wire/pdu.ts";
import { concat, numberOf } from "../bytes.ts";
import { describeWith } from "./support/describe-with.ts";
import { type ForeignServer, nginxPassThrough } from "./support/foreign-server.ts";
import { expired, identity, strangersCa } from "./support/identities.ts";
import { lanesUp, testClient, testServer } from "./support/nodes.ts";
import { dataPdu } from "./support/raw-lane.ts";
import { upgradeText } from "./support/raw-web-socket.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** `wss` beside programs of others: npm's ws and Bun's own WebSocket as ends, nginx in front, curl and openssl as visitors. */

// Each test starts programs of others, beside other stages of the run.
setDefaultTimeout(30_000);

const home = await identity({ cn: "home" });
/** A machine that is busy with other things must not make the queue thin itself out. */
const queue = { target_ms: 0 };
const wss = { transport: "wss", wss: { path: "/ut", host: undefined } } as const;

afterAll(() => expectNoSecretsInLogs(home));

function datagramsIn(stream: Uint8Array): Uint8Array[] {
  const decoder = new PduDecoder({ maxCtrlBytes: MAX_CTRL_BYTES });
  const datagrams: Uint8Array[] = [];
  decoder.feed(stream);
  while (decoder.next() === "pdu") if (decoder.type !== TYPE_CTRL) datagrams.push(decoder.payload.slice());
  return datagrams;
}

/** Sends so many datagrams of all sizes through `port` and has all of them back, unchanged. */
async function expectEcho(end: UdpEnd, port: number, count: number): Promise<void> {
  const sent = Array.from({ length: count }, (_, i) => marked(i, [64, 1_200, 9_000, 65_507][i % 4]));
  for (const [i, datagram] of sent.entries()) {
    end.sendTo(port, datagram);
    if (i % 10 === 9) await until("their echo", () => end.received.length >= i - 40);
  }
  await end.count(count);
  expect(end.received.toSorted((a, b) => numberOf(a) - numberOf(b))).toEqual(sent);
}

function node(script: string): Bun.Subprocess<"pipe", "pipe", "inherit"> {
  const path = join(import.meta.dir, "support", script);
  return Bun.spawn(["node", path], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
}

describeWith(["node"], "npm's ws", () => {
  test("as a client: PDUs in messages, in fragments, and across messages; pings in between", async () => {
    using wg = await udpEnd({ echo: true });
    await using server = await testServer(wg.port, { tcp: wss });
    const { ca, cert, key } = home;
    const datagrams = [marked(0), marked(1, 1_200), marked(2, 65_000), marked(3, 5_000)];
    const [a, b, c, d] = datagrams.map((datagram) => dataPdu(datagram)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const messages = [
      [a],
      [b.subarray(0, 4), b.subarray(4, 700), b.subarray(700)],
      [c.subarray(0, 40_000)],
      [c.subarray(40_000), d],
    ];
    const client = node("ws-client.mjs");
    const call = {
      ...{ url: `wss://127.0.0.1:${server.port}/ut`, ca, cert, key },
      messages: messages.map((fragments) => fragments.map((bytes) => Buffer.from(bytes).toString("base64"))),
      expectBytes: [a, b, c, d].reduce((sum, { length }) => sum + length, 0),
    };
    client.stdin.write(JSON.stringify(call));
    client.stdin.end();
    const { received, ...rest } = JSON.parse(await client.stdout.text());
    expect(rest).toEqual({ protocol: "ut.v1", extensions: "", pongs: 4, closeCode: 1000 });
    expect(datagramsIn(Buffer.from(received, "base64"))).toEqual(datagrams);
    await until("its lane to leave", () => server.session("home")?.lanes.length === 0);
    expect([...server.counters("home").frameErrors]).toEqual([]);
    expect(server.logbook.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("as a server", async () => {
    await using at = await wsServer();
    await using client = await testClient(at.port, home, { tcp: wss, queue, tls: { server_name: "ut.test" } });
    using end = await udpEnd();
    await expectEcho(end, client.port, 200);
    await lanesUp(client, "home", 5);
    expect(at.said).toEqual(
      Array.from({ length: 5 }, () => ({
        cn: "home",
        host: `ut.test:${at.port}`,
        protocol: "ut.v1",
        alpn: "http/1.1",
      })),
    );
    expect(client.logbook.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });
});

describeWith(["node"], "a TLS session that is resumed", () => {
  const NOT_FOUND = "HTTP/1.1 404 Not Found";

  test.each(["TLSv1.3", "TLSv1.2"])("is judged as the one before: %s", async (maxVersion) => {
    using wg = await udpEnd();
    await using server = await testServer(wg.port, { tcp: wss, tls: { deny_cn: ["denied"] } });
    for (const [who, answer] of [
      [{ cert: undefined, key: undefined }, NOT_FOUND],
      [await identity({ cn: "home", issuer: strangersCa }), NOT_FOUND],
      [await identity({ cn: "home", ...expired }), NOT_FOUND],
      [await identity({ cn: "denied" }), NOT_FOUND],
      [home, "HTTP/1.1 101 Switching Protocols"],
    ] as const) {
      const { cert, key } = who;
      const client = node("tls-resume.mjs");
      client.stdin.write(JSON.stringify({ port: server.port, cert, key, maxVersion, request: upgradeText() }));
      client.stdin.end();
      expect(JSON.parse(await client.stdout.text())).toEqual([
        { isResumed: false, answer },
        { isResumed: true, answer },
      ]);
    }
    expect(server.handshakes).toEqual(["home", "home"]);
  });
});

async function wsServer() {
  const { ca, cert, key } = await identity({ cn: "server", hosts: ["ut.test"] });
  const child = node("ws-server.mjs");
  child.stdin.write(`${JSON.stringify({ ca, cert, key, path: "/ut" })}\n`);
  child.stdin.flush();
  const said: Record<string, unknown>[] = [];
  const reading = (async () => {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) said.push(JSON.parse(line));
    }
  })();
  await until("its port", () => said.length > 0);
  return {
    port: Number(said.shift()?.port),
    said,
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await Promise.all([child.exited, reading]);
    },
  };
}

test("Bun's own WebSocket as a client", async () => {
  using wg = await udpEnd({ echo: true });
  await using server = await testServer(wg.port, { tcp: wss });
  const { ca, cert, key } = home;
  const options = { protocols: ["ut.v1"], tls: { ca, cert, key } };
  const socket = new WebSocket(`wss://127.0.0.1:${server.port}/ut`, options as unknown as string[]);
  const received: Uint8Array[] = [];
  let closeCode = 0;
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => received.push(new Uint8Array(data as ArrayBuffer));
  socket.onclose = ({ code }) => {
    closeCode = code;
  };
  await until("it to open", () => socket.readyState === WebSocket.OPEN);
  const datagrams = [marked(0), marked(1, 60_000)];
  for (const datagram of datagrams) socket.send(dataPdu(datagram));
  await until("both", () => datagramsIn(concat(received)).length === 2);
  expect([socket.protocol, datagramsIn(concat(received))]).toEqual(["ut.v1", datagrams]);
  socket.close(1000);
  await until("its end", () => closeCode !== 0);
  expect([closeCode, ...server.counters("home").frameErrors]).toEqual([1000]);
});

describeWith(["nginx"], "behind nginx that passes TLS through by name", () => {
  const behind = async (wg: UdpEnd) => {
    const server = await testServer(wg.port, { tcp: wss, queue });
    const nginx = await nginxPassThrough("ut.test", server.port);
    return {
      server,
      nginx,
      async [Symbol.asyncDispose]() {
        await nginx[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  };

  test("lanes pass, with mutual TLS from end to end", async () => {
    using wg = await udpEnd({ echo: true });
    await using at = await behind(wg);
    await using client = await testClient(at.nginx.port, home, { tcp: wss, queue, tls: { server_name: "ut.test" } });
    using end = await udpEnd();
    await expectEcho(end, client.port, 400);
    await lanesUp(client, "home", 5);
    expect(at.server.session("home")?.lanes).toHaveLength(5);
    await client[Symbol.asyncDispose]();
    await until("nginx to have seen them", () => at.server.session("home")?.lanes.length === 0);
    let lines: string[] = [];
    while (lines.length < 5) lines = await linesOf(at.nginx);
    expect(lines).toEqual(Array.from({ length: 5 }, () => "ut.test http/1.1 200"));
  });

  test("a name that it does not know leads nowhere", async () => {
    using wg = await udpEnd();
    await using at = await behind(wg);
    await using client = await testClient(at.nginx.port, home, { tcp: { ...wss, prewarm: true, lanes: 1 } });
    await until("the end", () => client.logbook.has("lane_dial_fail"));
    expect(client.logbook.find("lane_dial_fail")[0]?.err).toMatch(/closed the connection during the TLS handshake/);
  });
});

/** The lines that nginx has written about connections with a name. */
async function linesOf(server: ForeignServer): Promise<string[]> {
  return (await server.log()).split("\n").filter((line) => line !== "" && !line.startsWith("- "));
}

describe("visitors", () => {
  const pem = mkdtempSync(join(tmpdir(), "ut-visitors-"));
  afterAll(() => rmSync(pem, { recursive: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(join(pem, name), text);
    return join(pem, name);
  };

  const run = async (...command: string[]) => {
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { out: out.replaceAll("\r\n", "\n").replace(/^date: .*$/im, "Date: then"), err, code };
  };

  const PAGE =
    "HTTP/1.1 404 Not Found\nDate: then\nContent-Type: text/html\nContent-Length: 109\nConnection: keep-alive\n\n";

  describeWith(["curl"], "curl", () => {
    test("meets an HTTPS server without pages: GET, HEAD, two in a row, with any certificate or none", async () => {
      using wg = await udpEnd();
      await using server = await testServer(wg.port, { tcp: wss });
      const url = `https://127.0.0.1:${server.port}`;
      const ca = write("ca.pem", home.ca);
      const { cert, key } = await identity({ cn: "home", issuer: strangersCa });
      const strange = ["--cert", write("strange.pem", cert), "--key", write("strange.key", key)];
      const own = ["--cert", write("home.pem", home.cert), "--key", write("home.key", home.key)];
      for (const who of [[], strange, own]) {
        const got = await run("curl", "-sSi", "--cacert", ca, ...who, `${url}/ut`);
        expect({ ...got, out: got.out.slice(0, PAGE.length) }).toEqual({ out: PAGE, err: "", code: 0 });
        expect(got.out.slice(PAGE.length)).toContain("<h1>404 Not Found</h1>");
      }
      expect((await run("curl", "-sSI", "--cacert", ca, `${url}/`)).out).toBe(PAGE);
      const twice = await run(
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{num_connects}\n",
        "--cacert",
        ca,
        `${url}/a`,
        `${url}/b`,
      );
      expect(twice.out).toBe("404 1\n404 0\n");
      const upgrade = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13"];
      const lane = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Protocol: ut.v1"];
      const refused = await run("curl", "-sSi", "--cacert", ca, ...strange, ...upgrade, ...lane, `${url}/ut`);
      expect(refused.out).toStartWith(PAGE);
      expect(server.role.status().sessions).toEqual([]);
      expect(Object.fromEntries(server.role.status().tlsHandshakeFailures)).toEqual({ visitor: 5, wrong_ca: 1 });
    });
  });

  describeWith(["openssl"], "openssl s_client without a certificate", () => {
    test("is asked for one, needs none, and is answered", async () => {
      using wg = await udpEnd();
      await using server = await testServer(wg.port, { tcp: wss });
      const address = `127.0.0.1:${server.port}`;
      const request = "GET /ut HTTP/1.0\\r\\n\\r\\n";
      const { out } = await run(
        "sh",
        "-c",
        `printf '${request}' | openssl s_client -connect ${address} -alpn h2,http/1.1 -ign_eof 2>&1`,
      );
      expect(out).toContain("ALPN protocol: http/1.1");
      expect(out).toContain("Acceptable client certificate CA names");
      expect(out).toContain("HTTP/1.1 404 Not Found\nDate: then\n");
    });
  });
});
