import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { UtError } from "../../../../src/core/error.ts";
import type { TraversalStatus } from "../../../../src/core/nat/traversal-status.ts";
import { CHANNEL_DROP_REASONS, DELAY_BUCKETS_MS } from "../../../../src/core/tunnel/counters.ts";
import type { NodeStatus } from "../../../../src/core/tunnel/status.ts";
import { type HttpOptions, serveHttp } from "../../../../src/io/http/http.ts";
import { createLog } from "../../../../src/io/log/log.ts";
import { createMetrics } from "../../../../src/io/metrics/metrics.ts";
import {
  busyCounters,
  certificateStatus,
  laneStatus,
  networkStatus,
  nodeStatus,
  sessionStatus,
  traversalStatus,
} from "../node-status.ts";

const build = { version: "1.2.3", commit: "abc", bun: "1.4.5", platform: "linux-x64" };

/** A server for `nodes` on a free port. */
function serving(nodes: () => readonly NodeStatus[], some: Partial<HttpOptions> = {}) {
  const traversal = () => traversalStatus();
  const metrics = createMetrics({ status: nodes, traversal, build, perClientCn: true, perLane: false });
  const listen = { host: "127.0.0.1", port: 0 };
  return serveHttp({
    listen,
    metricsPath: "/metrics",
    metrics,
    status: nodes,
    traversal,
    certificates: () => certificateStatus(),
    build,
    ...some,
  });
}

/** The whole answer to the head of a request that no client would send. */
async function askRaw(port: number, head: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = "";
  await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => void socket.write(`${head}Connection: close\r\n\r\n`),
      data: (_socket, chunk) => {
        answer += chunk.toString();
      },
      close: () => resolve(answer),
    },
  });
  return promise;
}

/** Status and body in one value, for whole comparisons. */
async function get(url: string, init?: RequestInit): Promise<[number, string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

test("metrics come as Prometheus text at the configured path, and only there", async () => {
  await using server = serving(() => [nodeStatus({ clients: new Map([["home", busyCounters()]]) })], {
    metricsPath: "/m/prom",
  });
  const response = await fetch(`${server.url}/m/prom`);
  const text = await response.text();
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(text).toContain('\nut_udp_in_packets_total{client_cn="home",dir="up"} 101\n');
  expect(text).toContain("\nut_build_info{");
  expect(await get(`${server.url}/metrics`)).toEqual([
    404,
    "Nothing at /metrics; there is /, /m/prom, /healthz, /readyz, /api/status, /api/events\n",
  ]);
});

test("healthz is well as long as it answers, ready or not", async () => {
  await using server = serving(() => [nodeStatus({ ready: false })]);
  expect(await get(`${server.url}/healthz`)).toEqual([200, "ok\n"]);
});

test("readyz says who is not ready and why: while starting, dialling, shutting down", async () => {
  let nodes: NodeStatus[] = [];
  const shutdown = new AbortController();
  await using server = serving(() => nodes, { signal: shutdown.signal });
  const readyz = async () => {
    const [status, body] = await get(`${server.url}/readyz`);
    return [status, JSON.parse(body)];
  };
  expect(await readyz()).toEqual([503, { ready: false, notReady: ["starting"] }]);
  nodes = [nodeStatus(), nodeStatus({ role: "client", ready: false, notReadyReason: "last dial failed: refused" })];
  expect(await readyz()).toEqual([503, { ready: false, notReady: ["client: last dial failed: refused"] }]);
  nodes = [nodeStatus()];
  expect(await readyz()).toEqual([200, { ready: true, notReady: [] }]);
  shutdown.abort();
  expect(await readyz()).toEqual([503, { ready: false, notReady: ["shutting down"] }]);
  expect(await get(`${server.url}/healthz`)).toEqual([200, "ok\n"]);
});

test("api/status has what is known of going direct, addresses as text and null for what is not known", async () => {
  const report = async (some: Partial<TraversalStatus>) => {
    await using server = serving(() => [nodeStatus()], { traversal: () => traversalStatus(some) });
    return JSON.parse((await get(`${server.url}/api/status`))[1]).traversal;
  };
  const stats = { ...traversalStatus().stats, port_mapping_external: null };
  expect(await report({})).toEqual({ stats, network: null, pipes: [], plane: null });
  const external = { address: "2001:db8::7", port: 40_000 };
  const active = { ...traversalStatus().stats, port_mapping_active: true, port_mapping_external: external };
  const { nat, ...network } = (await report({ stats: active, network: networkStatus() })).network;
  expect(network).toEqual({
    listen: "0.0.0.0:40000",
    listen6: null,
    checkedAt: "2026-01-31T12:00:00.000Z",
    checks: 9,
    changes: 2,
    reflex: { endpoint: "203.0.113.7:40000", source: "port-mapping", agreeing: 1, dissenting: 0 },
    portMapping: { protocol: "pcp", external: "203.0.113.7:40000", verified: true },
  });
  expect(nat).toMatchObject({ type: "cone", mapped: "203.0.113.7:40000", reasons: [] });
  expect(nat.servers).toEqual([
    {
      name: "ut.example.com:3478",
      endpoint: "198.51.100.1:3478",
      outcome: { kind: "answered", mapped: "203.0.113.7:40000", rttMs: 12.5 },
      otherAddress: null,
    },
  ]);
  expect((await report({ stats: active })).stats).toEqual({
    ...stats,
    port_mapping_active: true,
    port_mapping_external: "[2001:db8::7]:40000",
  });
});

test("api/status is everything a node knows, as plain JSON", async () => {
  const counters = { answered: 1, rateLimited: 2, malformed: 3, unknownAttributes: 4, unauthorized: 5, ignored: 6 };
  const stun = { listen: ["0.0.0.0:3478"], counters };
  const node = nodeStatus({
    clients: new Map([
      ["home", busyCounters()],
      ["__proto__", busyCounters()],
    ]),
    sessions: [sessionStatus()],
    tlsHandshakeFailures: new Map([["expired", 2]]),
    stun,
  });
  await using server = serving(() => [node]);
  const response = await fetch(`${server.url}/api/status`);
  expect(response.headers.get("content-type")).toBe("application/json");
  const text = await response.text();
  const { startedAt, uptimeSeconds, roles, traversal: _, ...rest } = JSON.parse(text);
  expect(rest).toEqual({ build, pid: process.pid, ready: true, notReady: [], certificates: certificateStatus() });
  expect(Math.abs(Date.parse(startedAt) + uptimeSeconds * 1000 - Date.now())).toBeLessThan(5000);

  const noDrops = Object.fromEntries(Object.keys(busyCounters().up.drops).map((reason) => [reason, 0]));
  const none = Object.fromEntries(CHANNEL_DROP_REASONS.map((reason) => [reason, 0]));
  const home = {
    up: { inPackets: 101, inBytes: 1010, outPackets: 102, outBytes: 1020, drops: { ...noDrops, oldest: 3 } },
    down: { inPackets: 201, inBytes: 2010, outPackets: 202, outBytes: 2020, drops: { ...noDrops, lane_lost: 4 } },
    queueDelay: {
      count: 5,
      sumMs: 10403.75,
      boundsMs: [...DELAY_BUCKETS_MS],
      buckets: [2, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1],
    },
    channels: {
      up: { inPackets: 301, inBytes: 3010, outPackets: 302, outBytes: 3020, drops: { ...none, unknown: 9 } },
      down: { inPackets: 401, inBytes: 4010, outPackets: 402, outBytes: 4020, drops: { ...none, stale: 10 } },
    },
    frameErrors: { bad_magic: 2 },
    laneReconnects: 5,
    congestionSwitches: 6,
    resequencedPackets: 8,
    reorderTimeouts: 7,
  };
  expect(roles).toHaveLength(1);
  const { clients, ...role } = roles[0];
  expect(Object.keys(clients)).toEqual(["home", "__proto__"]);
  expect(clients.home).toEqual(home);
  expect(role).toEqual({
    role: "server",
    cn: "gate",
    certificateNotAfter: "2030-01-01T00:00:00.000Z",
    ready: true,
    listen: "127.0.0.1:5443",
    sessions: [
      {
        clientCn: "home",
        sessionId: "6a0c2b1e-0000-4000-8000-000000000001",
        udp: "127.0.0.1:40000",
        caps: ["seq"],
        congestion: "bbr",
        queue: { packets: 7, bytes: 8400, oldestMs: 1.5 },
        channels: { packets: 3, bytes: 3600 },
        held: { packets: 2, bytes: 2400 },
        idleMs: 12,
        lanes: [
          { ...laneStatus({ id: 0 }), inBitsPerSecond: 0, outBitsPerSecond: 0 },
          { ...laneStatus({ id: 1, state: "dialing" }), tcp: undefined, inBitsPerSecond: 0, outBitsPerSecond: 0 },
        ],
        downLanes: sessionStatus().downLanes,
      },
    ],
    tlsHandshakeFailures: { expired: 2 },
    stun,
  });
});

test("DNS rebinding: /api answers to addresses, localhost and its own name, never to another name", async () => {
  await using server = serving(() => [nodeStatus()], { listen: { host: "localhost", port: 0 } });
  const as = async (host: string, path: string) =>
    (await fetch(`http://localhost:${server.port}${path}`, { headers: { host } })).status;
  const answered: string[] = [];
  const hosts = ["127.0.0.1:5080", "10.1.2.3", "[::1]:5080", "[fe80::1]", "localhost", "LOCALHOST.:80"];
  const strangers = [
    "evil.example",
    "evil.example:5080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "[evil]",
    "::1",
  ];
  for (const host of [...hosts, ...strangers]) if ((await as(host, "/api/status")) === 200) answered.push(host);
  expect(answered).toEqual(hosts);
  expect(await as("prometheus.example", "/metrics")).toBe(200);
  expect(await as("kubelet.example", "/readyz")).toBe(200);
  expect(await get(`${server.url}/api/status`, { headers: { host: "evil.example" } })).toEqual([
    403,
    "Refused for host evil.example: use an IP address, localhost or the host of metrics.listen_addr\n",
  ]);
});

test("DNS rebinding: the page and the events are guarded as /api/status is", async () => {
  await using server = serving(() => [nodeStatus()]);
  for (const path of ["/", "/api/events"]) {
    const refused = await fetch(`${server.url}${path}`, { headers: { host: "evil.example" } });
    expect([path, refused.status, await refused.text()]).toEqual([
      path,
      403,
      "Refused for host evil.example: use an IP address, localhost or the host of metrics.listen_addr\n",
    ]);
  }
});

test("other sites' pages may lead to the page, but not ask for what is guarded", async () => {
  await using server = serving(() => [nodeStatus()]);
  const as = async (path: string, site: string, mode: string) => {
    const headers = { "sec-fetch-site": site, "sec-fetch-mode": mode };
    const { status, body } = await fetch(`${server.url}${path}`, { headers });
    await body?.cancel();
    return status;
  };
  expect(await as("/", "cross-site", "navigate")).toBe(200);
  expect(await as("/api/events", "same-origin", "cors")).toBe(200);
  expect(await as("/api/status", "none", "navigate")).toBe(200);
  for (const path of ["/", "/api/status", "/api/events"])
    for (const site of ["cross-site", "same-site"]) expect(await as(path, site, "no-cors")).toBe(403);
  expect(await as("/metrics", "cross-site", "no-cors")).toBe(200);
});

test("the page is one document that may do nothing but ask for events of its own address", async () => {
  await using server = serving(() => [nodeStatus()]);
  const response = await fetch(`${server.url}/`);
  const html = await response.text();
  expect([response.status, response.headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  const hash = (tag: string) => {
    const text = new RegExp(`<${tag}[^>]*>([\\s\\S]*?)</${tag}>`).exec(html)?.[1] ?? "";
    return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
  };
  expect(response.headers.get("content-security-policy")).toBe(
    [
      "default-src 'none'",
      `script-src ${hash("script")}`,
      `style-src ${hash("style")}`,
      "connect-src 'self'",
      "img-src data:",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ].join("; "),
  );
  for (const [name, value] of Object.entries({
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  }))
    expect([name, response.headers.get(name)]).toEqual([name, value]);
  expect(html.length).toBeLessThan(150_000);
  const elsewhere = [...html.matchAll(/\bhttps?:\/\/[^\s"'`]*/g)].map(([address]) => address);
  expect(new Set(elsewhere)).toEqual(new Set(["http://www.w3.org/2000/svg"]));
});

test("events come as long as somebody listens, to sixteen at most", async () => {
  await using server = serving(() => [nodeStatus()]);
  const open = async () => await fetch(`${server.url}/api/events`);
  const first = await open();
  expect([first.status, first.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
  const reader = first.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("event: status")) text += (await reader?.read())?.value ?? "";
  expect(text).toStartWith("event: history\ndata: {");
  const others = await Promise.all(Array.from({ length: 15 }, open));
  const tooMany = await open();
  expect([tooMany.status, tooMany.headers.get("retry-after"), await tooMany.text()]).toEqual([
    503,
    "10",
    "Cannot tell more than 16 listeners at once; try again later\n",
  ]);
  await others[0]?.body?.cancel();
  let again = await open();
  while (again.status === 503) again = await open();
  expect(again.status).toBe(200);
});

test("HEAD is GET without a body, everything else is refused, unknown paths are told what there is", async () => {
  await using server = serving(() => [nodeStatus()]);
  for (const path of ["/", "/metrics", "/healthz", "/readyz", "/api/status", "/api/events"]) {
    const head = await fetch(`${server.url}${path}`, { method: "HEAD" });
    expect([path, head.status, await head.text()]).toEqual([path, 200, ""]);
    const post = await fetch(`${server.url}${path}`, { method: "POST", body: "x" });
    expect([post.status, post.headers.get("allow"), await post.text()]).toEqual([
      405,
      "GET, HEAD",
      `Cannot POST ${path}: only GET and HEAD\n`,
    ]);
  }
  expect(await get(`${server.url}/api/../etc/passwd?x=1`)).toEqual([
    404,
    "Nothing at /etc/passwd; there is /, /metrics, /healthz, /readyz, /api/status, /api/events\n",
  ]);
});

test("every answer keeps browsers from caching, sniffing, framing and sharing it", async () => {
  await using server = serving(() => [nodeStatus()]);
  for (const path of ["/metrics", "/api/status", "/nothing"]) {
    const { headers } = await fetch(`${server.url}${path}`);
    const secure = [
      "cache-control",
      "content-security-policy",
      "cross-origin-resource-policy",
      "x-content-type-options",
    ];
    expect(secure.map((name) => headers.get(name))).toEqual([
      "no-store",
      "default-src 'none'; frame-ancestors 'none'",
      "same-origin",
      "nosniff",
    ]);
    expect(headers.get("access-control-allow-origin")).toBe(null);
  }
});

test("a mistake of ours is a 500 without its details, and a line in the log", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", role: "ut", destination: { write: (line) => void lines.push(line) } });
  const broken = () => {
    throw new TypeError("secret detail");
  };
  await using server = serving(broken, { log });
  expect(await get(`${server.url}/api/status`)).toEqual([500, "Internal error; the log of ut has more\n"]);
  expect((await get(`${server.url}/metrics`))[0]).toBe(500);
  expect(lines.map((line) => JSON.parse(line)).map(({ event, err }) => [event, err])).toEqual([
    ["http_error", "secret detail"],
    ["http_error", "secret detail"],
  ]);
});

test("a Host header that is no host is the asker's mistake, not ours", async () => {
  const lines: string[] = [];
  const log = createLog({ level: "info", role: "ut", destination: { write: (line) => void lines.push(line) } });
  await using server = serving(() => [nodeStatus()], { log });
  for (const host of ["a b", "", "[::1", "x@127.0.0.1"])
    for (const path of ["/api/status", "/metrics"]) {
      const [head, body] = (await askRaw(server.port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n`)).split("\r\n\r\n");
      expect([host, path, head?.split("\r\n")[0], body]).toEqual([
        host,
        path,
        "HTTP/1.1 400 Bad Request",
        "Refused: the Host header is no host\n",
      ]);
    }
  expect(lines).toEqual([]);
});

test("a taken port says which one and what to set; disposal frees it", async () => {
  const first = serving(() => []);
  const listen = { host: "127.0.0.1", port: first.port };
  const bind = () => serving(() => [], { listen });
  let thrown: unknown;
  try {
    bind();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(UtError);
  expect((thrown as UtError).kind).toBe("io.bind");
  expect((thrown as UtError).message).toBe(
    `Cannot bind metrics address 127.0.0.1:${first.port}: address in use; set metrics.listen_addr`,
  );
  await first[Symbol.asyncDispose]();
  await using second = bind();
  expect(second.url).toBe(first.url);
  expect(() => serving(() => [], { listen: { host: "192.0.2.1", port: 0 } })).toThrow(
    "Cannot bind metrics address 192.0.2.1:0: this machine has no such address; set metrics.listen_addr",
  );
});

test("IPv6, where this machine has it", async () => {
  let server: ReturnType<typeof serving>;
  try {
    server = serving(() => [nodeStatus()], { listen: { host: "::1", port: 0 } });
  } catch (error) {
    expect((error as UtError).message).toContain("Cannot bind metrics address [::1]:0");
    return;
  }
  await using _ = server;
  expect(server.url).toBe(`http://[::1]:${server.port}`);
  expect((await get(`${server.url}/api/status`))[0]).toBe(200);
});
