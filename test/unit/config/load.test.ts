import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, parseConfig } from "../../../src/config/load.ts";
import { UtError } from "../../../src/core/error.ts";
import { refusalOf, TLS } from "./config-text.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ut-config-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** The config of the seed (ut-agents.txt, "YAML"), letter for letter. */
const SEED = `role: client # or server
tcp:
  server_addr: "ec2.example.com:5443" # client
  listen_addr: "0.0.0.0:5443"         # server
  lanes: 5
  tcp_nodelay: true
  tcp_buf: 16384
  idle_seconds: 120
udp:
  listen_addr: "127.0.0.1:15000"      # client
  wg_udp_addr: "127.0.0.1:51820"      # server
queue:
  max_packets: 4096
  max_bytes: 8388608
  drop_policy: "oldest"
metrics:
  listen_addr: "127.0.0.1:5080"
  path: "/metrics"
  per_client_cn: true
tls:
  ca_cert: "/etc/ut/ca.pem"
  cert: "/etc/ut/node.pem"
  key: "/etc/ut/node.key"
`;

/** Seed `p2p-connection-fixes`, Solution 2. */
const STUN_SERVERS = [
  { host: "stun.l.google.com", port: 19302 },
  { host: "stun1.l.google.com", port: 19302 },
  { host: "stun2.l.google.com", port: 19302 },
  { host: "stun.cloudflare.com", port: 3478 },
  { host: "stun.twilio.com", port: 3478 },
  { host: "stun.stunprotocol.org", port: 3478 },
  { host: "stun.ekiga.net", port: 3478 },
  { host: "stun.ideasip.com", port: 3478 },
  { host: "stun.sipgate.net", port: 3478 },
  { host: "stun.voip.eutelia.it", port: 3478 },
];

describe("the seed's config", () => {
  for (const role of ["client", "server"] as const)
    test(`is accepted as it stands for the ${role}`, () =>
      expect(loadConfig(file(`${role}.yaml`, SEED.replace("role: client", `role: ${role}`)))).toEqual({
        roles: [role],
        tcp: {
          server_addr: [{ host: "ec2.example.com", port: 5443 }],
          listen_addr: { host: "0.0.0.0", port: 5443 },
          lanes: 5,
          transport: "tcp",
          wss: { path: "/ut" },
          tcp_nodelay: true,
          tcp_buf: 16384,
          idle_seconds: 120,
          prewarm: false,
          pick: "round_robin",
          congestion: "auto",
          reorder_ms: expect.any(Number),
          session_linger_seconds: 600,
          user_timeout_ms: 10000,
        },
        udp: { listen_addr: { host: "127.0.0.1", port: 15000 }, wg_udp_addr: { host: "127.0.0.1", port: 51820 } },
        queue: { max_packets: 4096, max_bytes: 8388608, drop_policy: "oldest", max_delay_ms: 0, target_ms: 10 },
        metrics: {
          listen_addr: { host: "127.0.0.1", port: 5080 },
          path: "/metrics",
          per_client_cn: true,
          per_lane: false,
        },
        tls: { ca_cert: "/etc/ut/ca.pem", cert: "/etc/ut/node.pem", key: "/etc/ut/node.key", deny_cn: [] },
        log: { level: "info" },
        server: {
          stun: {
            listen: [
              { host: "0.0.0.0", port: 3478 },
              { host: "0.0.0.0", port: 3479 },
            ],
            public_addrs: [],
          },
          peers: true,
        },
        p2p: {
          direct: true,
          listen_addr: [
            { host: "0.0.0.0", port: 0 },
            { host: "::", port: 0 },
          ],
          port_mapping: true,
          include_loopback: false,
          prefer: "auto",
        },
        nat: { watch: false, stun_servers: STUN_SERVERS, reflex_override: null },
        hard_nat: {
          mode: "off",
          role: "auto",
          socket_count: 256,
          scan_count: 512,
          interval_ms: 250,
          batch_interval_ms: 1_000,
          ttl: "auto",
          no_ttl: false,
          window_ms: 10_000,
          assist_delay_ms: 300,
        },
        relay: [],
        services: { udp: [], socks: { allow: [], destinations: [] } },
        socks: { listen_addr: { host: "127.0.0.1", port: 1080 }, to: undefined, users: {} },
      }));

  test("states the defaults: a config without its optional keys is the same", () => {
    const short = `role: client\ntcp:\n  server_addr: "ec2.example.com:5443"\nudp:\nlog:\nserver:\n  stun:\n${SEED.slice(SEED.indexOf("tls:"))}`;
    expect(parseConfig(short, "ut.yaml")).toEqual(parseConfig(SEED, "ut.yaml"));
  });
});

describe("a config", () => {
  test("is frozen to its leaves", () => {
    const config = parseConfig(SEED, "ut.yaml");
    const parts = [config, config.roles, config.tcp, config.tcp.listen_addr, config.tls.deny_cn];
    expect(parts.map(Object.isFrozen)).toEqual(parts.map(() => true));
  });

  test("has its paths relative to its own folder, wherever the process runs", () => {
    mkdirSync(join(folder, "etc"), { recursive: true });
    const tls = "tls: { ca_cert: ../ca.pem, cert: ./node.pem, key: ~/ut/node.key }\n";
    const { ca_cert, cert, key } = loadConfig(file("etc/ut.yaml", `role: server\n${tls}`)).tls;
    expect([ca_cert, cert, key]).toEqual([
      join(folder, "ca.pem"),
      join(folder, "etc/node.pem"),
      join(process.env.HOME ?? join(folder, "etc/~"), "ut/node.key"),
    ]);
  });

  test("may start with a byte order mark and have Windows line ends", () => {
    const text = `\ufeffrole: server\r\ntcp:\r\n  lanes: 3\r\n${TLS}`;
    expect(loadConfig(file("bom.yaml", text)).tcp.lanes).toBe(3);
    expect(refusalOf(() => loadConfig(file("bom.yaml", text.replace("3", "0"))))).toBe(
      `config.invalid\n${folder}/bom.yaml:3:10: tcp.lanes: expected a whole number from 1 to 32, got 0`,
    );
  });

  test("may share values by anchor and alias, and mistakes in them have a place", () => {
    const shared = (lanes: string) => `role: server\ntcp: { sndbuf: &size ${lanes}, rcvbuf: *size }\n${TLS}`;
    expect(parseConfig(shared("8192"), "ut.yaml").tcp.rcvbuf).toBe(8192);
    const limits = "expected a whole number of bytes from 4096 to 67108864, got 1";
    expect(refusalOf(() => parseConfig(shared("1"), "ut.yaml"))).toBe(
      `config.invalid\nut.yaml:2:22: tcp.sndbuf: ${limits}\nut.yaml:2:33: tcp.rcvbuf: ${limits}`,
    );
  });

  test("that is wrong says the same to programs as to people", () => {
    let details: unknown;
    try {
      parseConfig(`role: server\ntcp: { lanes: 0 }\n${TLS}`, "ut.yaml");
    } catch (error) {
      details = error instanceof UtError ? error.details : error;
    }
    const message = "expected a whole number from 1 to 32, got 0";
    expect(details).toEqual({ file: "ut.yaml", problems: [{ line: 2, column: 15, key: "tcp.lanes", message }] });
  });
});

describe("a file that cannot be read", () => {
  test("is missing for somebody who wants to run a relay", () => {
    const path = join(folder, "none.yaml");
    expect(() => loadConfig(path, "relay")).toThrow(`"ut config example relay > ${path}" writes one to start from`);
  });

  const cases: [name: string, path: () => string, expected: (path: string) => string][] = [
    [
      "is missing",
      () => join(folder, "none.yaml"),
      (path) =>
        `config.unreadable\nCannot read config ${path}: there is no such file; "ut config example client > ${path}" writes one to start from`,
    ],
    [
      "is a directory",
      () => folder,
      (path) =>
        `config.unreadable\nCannot read config ${path}: it is a directory; name the file in it, such as ${path}/ut.yaml`,
    ],
    [
      "lies below a file",
      () => join(file("plain.yaml", ""), "ut.yaml"),
      (path) =>
        `config.unreadable\nCannot read config ${path}: a part of the path is a file, not a directory; check the path`,
    ],
    [
      "never ends",
      () => "/dev/zero",
      (path) => `config.unreadable\nCannot read config ${path}: it is larger than 1048576 bytes; name the YAML file`,
    ],
    [
      "is Latin-1",
      () => file("latin1.yaml", Buffer.from("role: client\n# caf\xe9\n", "latin1")),
      (path) => `config.syntax\n${path}:2:6: expected UTF-8 text, got a byte that is none; save the file as UTF-8`,
    ],
    [
      "is UTF-16",
      () => file("utf16.yaml", Buffer.from("\ufeffrole: client\n", "utf16le")),
      (path) => `config.syntax\n${path}:1:1: expected UTF-8 text, got UTF-16; save the file as UTF-8`,
    ],
  ];
  for (const [name, path, expected] of cases)
    test(name, () => {
      const given = path();
      expect(refusalOf(() => loadConfig(given))).toBe(expected(given));
    });
});
