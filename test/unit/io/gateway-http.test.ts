import { describe, expect, test } from "bun:test";
import { createServer, type Socket } from "node:net";
import type { GatewayRequest } from "../../../src/core/portmap/protocol.ts";
import { type GatewayHttp, gatewayHttp, MAX_BODY_BYTES, MAX_REQUESTS } from "../../../src/io/gateway-http.ts";

interface Gateway extends Disposable {
  readonly port: number;
  /** What each connection sent first. */
  readonly heard: string[];
  readonly http: GatewayHttp;
}

/** A gateway on loopback that does `answer` when a request came. */
async function gateway(answer: (socket: Socket) => void): Promise<Gateway> {
  const heard: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (data) => {
      heard.push(data.toString());
      answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const http = gatewayHttp("127.0.0.1", "127.0.0.1");
  return {
    port: (server.address() as { port: number }).port,
    heard,
    http,
    [Symbol.dispose]() {
      http[Symbol.dispose]();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

function get(port: number, timeoutMs = 20_000): GatewayRequest {
  return { id: 1, method: "GET", port, path: "/igd.xml?a=1", headers: {}, body: "", timeoutMs };
}

const answered = (text: string) => (socket: Socket) => socket.end(text);

/** Writes `chunk` as long as somebody reads. */
const flood = (head: string, chunk: string) => (socket: Socket) => {
  const more = () => {
    while (!socket.destroyed && socket.write(chunk));
  };
  socket.on("drain", more);
  socket.write(head);
  more();
};

describe("a request", () => {
  test("has the headers that were given, and nothing that tells who asks", async () => {
    using at = await gateway(answered("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<a/>\n"));
    const headers = { SOAPAction: '"urn:x#Do"', "Content-Type": 'text/xml; charset="utf-8"' };
    const body = "<größe/>";
    const post = { ...get(at.port), method: "POST" as const, path: "/ctl", headers, body };
    expect(await at.http.request(get(at.port))).toEqual({ ok: true, status: 200, body: "<a/>\n" });
    expect(await at.http.request(post)).toEqual({ ok: true, status: 200, body: "<a/>\n" });
    const host = `Host: 127.0.0.1:${at.port}\r\nConnection: close\r\n\r\n`;
    expect(at.heard).toEqual([
      `GET /igd.xml?a=1 HTTP/1.1\r\n${host}`,
      `POST /ctl HTTP/1.1\r\nSOAPAction: "urn:x#Do"\r\nContent-Type: text/xml; charset="utf-8"\r\nContent-Length: 10\r\n${host}<größe/>`,
    ]);
  });

  test("goes past every proxy that the environment names", async () => {
    using at = await gateway(answered("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    using proxy = await gateway(answered("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nspy"));
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    const env = Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.port}`]));
    const script = `
      import { gatewayHttp } from ${JSON.stringify(`${import.meta.dir}/../../../src/io/gateway-http.ts`)};
      const own = await gatewayHttp("127.0.0.1").request(${JSON.stringify(get(at.port))});
      const fetched = await (await fetch("http://127.0.0.1:${at.port}/")).text();
      console.log(JSON.stringify({ own, fetched }));`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, ...env, NO_PROXY: "", no_proxy: "", NODE_USE_ENV_PROXY: "1" },
      stderr: "inherit",
    });
    // That `fetch` is caught shows that the trap works.
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual({
      own: { ok: true, status: 200, body: "" },
      fetched: "spy",
    });
    expect([at.heard.length, proxy.heard.length]).toEqual([1, 1]);
  });
});

describe("an answer", () => {
  test.each([
    ["until the connection ends", "HTTP/1.0 200 OK\r\n\r\n<a/>", { ok: true, status: 200, body: "<a/>" }],
    [
      "in chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n<a\r\n2\r\n/>\r\n0\r\n\r\n",
      { ok: true, status: 200, body: "<a/>" },
    ],
    [
      "of a server that failed",
      "HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
      { ok: true, status: 500, body: "no" },
    ],
    ["that is no text", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff", { ok: true, status: 200, body: "\ufffd" }],
  ])("%s", async (_, text, expected) => {
    using at = await gateway((socket) => socket.end(Buffer.from(text, "latin1")));
    expect(await at.http.request(get(at.port))).toEqual(expected as never);
  });

  test("with a redirection is handed back, and nobody goes there", async () => {
    using trap = await gateway(answered("HTTP/1.1 200 OK\r\n\r\n"));
    using at = await gateway(
      answered(`HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:${trap.port}/\r\nContent-Length: 0\r\n\r\n`),
    );
    expect(await at.http.request(get(at.port))).toEqual({ ok: true, status: 302, body: "" });
    expect(trap.heard).toEqual([]);
  });

  test("that is compressed, though nobody asked for it, is not inflated", async () => {
    const bomb = Bun.gzipSync(Buffer.alloc(16 * 1024 * 1024));
    using at = await gateway((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`);
      socket.end(bomb);
    });
    const result = await at.http.request(get(at.port));
    expect(result).toMatchObject({ ok: true, status: 200 });
    expect((result as { body: string }).body.length).toBeLessThanOrEqual(bomb.length);
  });
});

describe("a gateway that is hostile or broken ends a request by name", () => {
  const tooLarge = { ok: false, kind: "too-large", message: "an answer of more than 64 KiB" };
  test.each([
    [
      "a large body",
      (socket: Socket) =>
        socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${MAX_BODY_BYTES + 1}\r\n\r\n${"a".repeat(MAX_BODY_BYTES + 1)}`),
      tooLarge,
    ],
    ["an endless body", flood("HTTP/1.1 200 OK\r\n\r\n", "a".repeat(8_192)), tooLarge],
    [
      "endless chunks",
      flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `400\r\n${"a".repeat(1_024)}\r\n`),
      tooLarge,
    ],
    [
      "endless chunk extensions",
      flood("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;", "a".repeat(8_192)),
      { ok: false, kind: "not-http", message: "Parse Error: Chunk extensions overflow" },
    ],
    [
      "endless headers",
      flood("HTTP/1.1 200 OK\r\n", `X-A: ${"a".repeat(500)}\r\n`),
      { ok: false, kind: "not-http", message: "Parse Error: Header overflow" },
    ],
    [
      "interim answers without end",
      flood("", "HTTP/1.1 100 Continue\r\n\r\n"),
      { ok: false, kind: "not-http", message: "an interim answer that nobody asked for" },
    ],
    [
      "hints without end",
      flood("", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
      { ok: false, kind: "not-http", message: "an interim answer that nobody asked for" },
    ],
    [
      "another protocol",
      answered("SSH-2.0-dropbear\r\n"),
      { ok: false, kind: "not-http", message: "Parse Error: Expected HTTP/, RTSP/ or ICE/" },
    ],
    [
      "a change of protocol",
      answered("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello"),
      { ok: false, kind: "unreachable", message: "the connection ended before the answer did" },
    ],
    [
      "half a body",
      answered("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
      { ok: false, kind: "unreachable", message: "the connection ended before the answer did" },
    ],
    ["an end at once", (socket: Socket) => socket.end(), { ok: false, kind: "unreachable", message: "socket hang up" }],
  ])("%s", async (_, answer, expected) => {
    using at = await gateway(answer);
    expect(await at.http.request(get(at.port))).toEqual(expected as never);
  });

  test("nobody listens", async () => {
    using at = await gateway(answered(""));
    at[Symbol.dispose]();
    expect(await at.http.request(get(at.port))).toMatchObject({ ok: false, kind: "unreachable" });
  });

  test.each([
    ["silence", () => {}],
    [
      "a byte at a time",
      (socket: Socket) => {
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        const drip = setInterval(() => socket.write("a"), 10);
        socket.on("close", () => clearInterval(drip));
      },
    ],
  ])("%s", async (_, answer) => {
    using at = await gateway(answer);
    const message = "no whole answer within 100 ms";
    expect(await at.http.request(get(at.port, 100))).toEqual({ ok: false, kind: "timeout", message });
  });
});

describe("many requests", () => {
  test("the oldest gives way to one too many, and disposal ends all", async () => {
    using at = await gateway(() => {});
    const results = Array.from({ length: MAX_REQUESTS + 1 }, () => at.http.request(get(at.port)));
    expect(await results[0]).toEqual({ ok: false, kind: "timeout", message: "too many other requests" });
    at.http[Symbol.dispose]();
    const gone = { ok: false as const, kind: "unreachable" as const, message: "no longer wanted" };
    expect(await Promise.all(results.slice(1))).toEqual(Array.from({ length: MAX_REQUESTS }, () => gone));
  });
});
