import { describe, expect, test } from "bun:test";
import { stringify } from "yaml";
import { keyPaths, schemaAt } from "../../../src/config/json-schema.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { DEFAULT_REORDER_MS } from "../../../src/config/sections/tcp.ts";
import { refusal } from "./config-text.ts";

/** What a key takes: its default, values at its limits with what they are parsed to, and values beyond them. */
interface KeyCase {
  readonly expected: string;
  readonly fallback: unknown;
  readonly takes: readonly (readonly [given: unknown, parsed: unknown])[];
  readonly refuses: readonly unknown[];
}

const CN = "a certificate name of 1 to 64 letters, digits, dots and hyphens";
const KEYS: Record<string, KeyCase> = {
  "tcp.server_addr": {
    expected: `host:port such as "ec2.example.com:5443"`,
    fallback: undefined,
    takes: [
      ["a.example:1", [{ host: "a.example", port: 1 }]],
      [
        ["[fe80::1%eth0]:65535", "192.0.2.1:9"],
        [
          { host: "fe80::1%eth0", port: 65_535 },
          { host: "192.0.2.1", port: 9 },
        ],
      ],
    ],
    refuses: ["", "a.example", 5443, true, { host: "a", port: 1 }],
  },
  "tcp.listen_addr": listener("0.0.0.0:5443", { host: "0.0.0.0", port: 5443 }),
  "tcp.lanes": whole(5, 1, 32),
  "tcp.transport": word("tcp", ["tcp", "wss"], "tcp or wss"),
  "tcp.wss.path": {
    expected: `a path such as "/ut", without ? or #`,
    fallback: "/ut",
    takes: [same("/"), same("/a/b-c_d.e~f/"), same("/caf%C3%A9"), same("/(ut)@1;x=2,3")],
    refuses: ["", "ut", "/a b", "/a?b", "/a#b", "/é", 5, true],
  },
  "tcp.wss.host": {
    expected: `a host name, with its port unless that is 443, such as "www.example.com"`,
    fallback: undefined,
    takes: [same("www.example.com"), same("a:8443"), same("192.0.2.1")],
    refuses: ["", "a b", "https://a", "a:", "a/b", 5],
  },
  "tcp.proxy": {
    expected: `an HTTP proxy such as "http://proxy.example.com:3128" or "http://USER:PASSWORD@proxy.example.com:3128"`,
    fallback: undefined,
    takes: [
      ["http://a.example:1", { host: "a.example", port: 1, credentials: undefined }],
      ["HTTP://[::1]:3128/", { host: "::1", port: 3128, credentials: undefined }],
      ["http://me:p%40ss%3Aw:o/r@d@192.0.2.1:8080", { host: "192.0.2.1", port: 8080, credentials: "me:p@ss:w:o/r@d" }],
      ["http://me:@a:1", { host: "a", port: 1, credentials: "me:" }],
    ],
    refuses: ["", "a:1", "https://a:1", "socks5://a:1", "http://a", "http://a:0", "http://a:1/x", "http://me@a:1", 5],
  },
  "tcp.tcp_nodelay": trueOrFalse(true),
  "tcp.tcp_buf": whole(16_384, 4096, 16_777_216, "bytes"),
  "tcp.idle_seconds": whole(120, 1, 86_400, "seconds"),
  "tcp.prewarm": trueOrFalse(false),
  "tcp.pick": word("round_robin", ["round_robin", "hash"], "round_robin or hash"),
  "tcp.congestion": word("auto", ["auto", "bbr", "cubic", "system"], "auto, bbr, cubic or system"),
  "tcp.reorder_ms": whole(DEFAULT_REORDER_MS, 0, 1000, "milliseconds"),
  "tcp.session_linger_seconds": whole(600, 0, 86_400, "seconds"),
  "tcp.user_timeout_ms": whole(10_000, 1000, 600_000, "milliseconds"),
  "tcp.sndbuf": whole(undefined, 4096, 67_108_864, "bytes"),
  "tcp.rcvbuf": whole(undefined, 4096, 67_108_864, "bytes"),
  "udp.listen_addr": listener("127.0.0.1:15000", { host: "127.0.0.1", port: 15_000 }),
  "udp.wg_udp_addr": target("127.0.0.1:51820", { host: "127.0.0.1", port: 51_820 }),
  "queue.max_packets": whole(4096, 1, 65_536),
  "queue.max_bytes": whole(8_388_608, 65_536, 268_435_456, "bytes"),
  "queue.drop_policy": word("oldest", ["oldest"], "oldest"),
  "queue.max_delay_ms": whole(0, 0, 60_000, "milliseconds"),
  "queue.target_ms": whole(10, 0, 1_000, "milliseconds"),
  "metrics.listen_addr": listener("127.0.0.1:5080", { host: "127.0.0.1", port: 5080 }),
  "metrics.path": {
    expected: `an absolute path such as "/metrics", other than /, /healthz, /readyz, /api/status and /api/events`,
    fallback: "/metrics",
    takes: [same("/metrics"), same("/m"), same("/a/b-c_d.e~f"), same("/api/status/metrics"), same("/healthz2")],
    refuses: ["", "metrics", "/", "//", "/healthz", "/readyz", "/api/status", "/metrics/", "/a b", "/a?b", "/a#b", 5],
  },
  "metrics.per_client_cn": trueOrFalse(true),
  "metrics.per_lane": trueOrFalse(false),
  "tls.ca_cert": pem("/c/ca.pem"),
  "tls.cert": pem("/c/node.pem"),
  "tls.key": pem("/c/node.key"),
  "tls.server_name": {
    expected: "a host name or an IPv4 address, without a port",
    fallback: undefined,
    takes: [same("ec2.example.com"), same("192.0.2.1"), same("a")],
    refuses: ["", "a:5443", "https://a", "a b", "192.0.2.256", 5],
  },
  "tls.deny_cn": {
    expected: "a list of certificate names",
    fallback: [],
    takes: [same([]), same(["a"]), same(["home-1.example", "A".repeat(64)])],
    refuses: [{ a: 1 }, 5],
  },
  "server.stun.listen": {
    expected: `a list of up to 8 addresses such as ["0.0.0.0:3478", "0.0.0.0:3479"]`,
    fallback: [
      { host: "0.0.0.0", port: 3478 },
      { host: "0.0.0.0", port: 3479 },
    ],
    takes: [
      same([]),
      [
        ["[::1]:0", ":9"],
        [
          { host: "::1", port: 0 },
          { host: "::", port: 9 },
        ],
      ],
    ],
    refuses: ["", "0.0.0.0:3478", 3478, true, { a: 1 }, Array(9).fill("127.0.0.1:0")],
  },
  "server.stun.public_addrs": {
    expected: "a list of IP addresses with ports, one for each entry of listen",
    fallback: [],
    takes: [
      same([]),
      [
        ["203.0.113.7:3478", "[2001:db8:0::7]:3479"],
        [
          { address: "203.0.113.7", port: 3478 },
          { address: "2001:db8::7", port: 3479 },
        ],
      ],
    ],
    refuses: ["", "203.0.113.7:3478", 3478, true, { a: 1 }, Array(9).fill("203.0.113.7:3478")],
  },
  "server.peers": trueOrFalse(true),
  "p2p.listen_addr": {
    expected: `host:port such as "0.0.0.0:0"`,
    fallback: [
      { host: "0.0.0.0", port: 0 },
      { host: "::", port: 0 },
    ],
    takes: [
      ["127.0.0.1:0", [{ host: "127.0.0.1", port: 0 }]],
      [":9", [{ host: "::", port: 9 }]],
      [
        ["[::1]:65535", "127.0.0.1:9"],
        [
          { host: "::1", port: 65_535 },
          { host: "127.0.0.1", port: 9 },
        ],
      ],
    ],
    refuses: ["", "127.0.0.1", 5443, true, { host: "a", port: 1 }],
  },
  "p2p.direct": trueOrFalse(true),
  "p2p.port_mapping": trueOrFalse(true),
  "p2p.include_loopback": trueOrFalse(false),
  "p2p.prefer": word("auto", ["auto", "direct", "relay"], "auto, direct or relay"),
  "hard_nat.mode": word("off", ["off", "fallback", "assist", "force"], "off, fallback, assist or force"),
  "hard_nat.role": word("auto", ["auto", "nat3", "nat4"], "auto, nat3 or nat4"),
  "hard_nat.socket_count": whole(256, 1, 1024),
  "hard_nat.scan_count": whole(512, 1, 4096),
  "hard_nat.interval_ms": whole(250, 20, 60_000, "milliseconds"),
  "hard_nat.batch_interval_ms": whole(1_000, 100, 300_000, "milliseconds"),
  "hard_nat.ttl": {
    expected: "auto or a whole number from 1 to 255",
    fallback: "auto",
    takes: [same("auto"), same(1), same(255)],
    refuses: ["", "Auto", "5", 0, 256, 1.5, true, [5], { a: 5 }],
  },
  "hard_nat.no_ttl": trueOrFalse(false),
  "hard_nat.window_ms": whole(10_000, 500, 300_000, "milliseconds"),
  "hard_nat.assist_delay_ms": whole(300, 0, 10_000, "milliseconds"),
  relay: {
    expected: "a list of up to 64 mappings with listen_addr, to and service",
    fallback: [],
    takes: [
      same([]),
      [
        [{ listen_addr: ":9", to: "office", service: "wg", idle_seconds: 86_400 }],
        [{ listen_addr: { host: "::", port: 9 }, to: "office", service: "wg", idle_seconds: 86_400 }],
      ],
    ],
    refuses: ["", 5, true, { a: 1 }, Array(65).fill({ listen_addr: ":0", to: "office", service: "wg" })],
  },
  "services.udp": {
    expected: "a list of up to 64 mappings with name, target and allow",
    fallback: [],
    takes: [
      same([]),
      [[{ name: "wg_1.a-b", target: "[::1]:9" }], [{ name: "wg_1.a-b", target: { host: "::1", port: 9 }, allow: [] }]],
    ],
    refuses: ["", 5, true, { a: 1 }, Array(65).fill({ name: "wg", target: "127.0.0.1:9" })],
  },
  "services.socks.allow": {
    expected: "a list of certificate names",
    fallback: [],
    takes: [same([]), same(["home-1.example"])],
    refuses: ["home", { a: 1 }, 5],
  },
  "services.socks.destinations": {
    expected: `a list of up to 256 destinations such as ["public", "192.168.1.0/24:443", "*.example.com"]`,
    fallback: [],
    takes: [same([]), same(["public:443", "*.a:80-90", "10.0.0.0/8", "[fd00::/8]:1"])],
    refuses: ["public", { a: 1 }, 5, Array(257).fill("public")],
  },
  "socks.listen_addr": listener("127.0.0.1:1080", { host: "127.0.0.1", port: 1080 }),
  "socks.to": { expected: CN, fallback: undefined, takes: [same("office")], refuses: ["", "a b", 5, ["office"]] },
  "socks.users": {
    expected: "a mapping of users to passwords, each a text of 1 to 255 bytes",
    fallback: {},
    takes: [same({}), same({ ann: "é".repeat(127), ["b".repeat(255)]: "x" })],
    refuses: [
      "ann",
      5,
      ["ann"],
      { ann: "" },
      { ann: 1_234 },
      { "": "a" },
      { ann: "é".repeat(128) },
      { ann: ["secret"] },
    ],
  },
  "nat.watch": trueOrFalse(false),
  "nat.stun_servers": {
    expected: `a list of up to 32 STUN servers such as ["stun.l.google.com:19302"]`,
    fallback: expect.arrayContaining([{ host: "stun.l.google.com", port: 19_302 }]),
    takes: [
      same([]),
      [
        ["a.example:1", "[::1]:65535"],
        [
          { host: "a.example", port: 1 },
          { host: "::1", port: 65_535 },
        ],
      ],
    ],
    refuses: ["", "a.example:1", 5, true, { a: 1 }, Array(33).fill("a.example:1")],
  },
  "nat.reflex_override": {
    expected: `an IP address with a port such as "203.0.113.7:40000"`,
    fallback: null,
    takes: [
      ["203.0.113.7:1", { address: "203.0.113.7", port: 1 }],
      ["[2001:db8:0::7]:65535", { address: "2001:db8::7", port: 65_535 }],
      same(null),
    ],
    refuses: ["", "203.0.113.7", "a.example:1", "203.0.113.7:0", "0.0.0.0:1", "224.0.0.1:1", 5, true, ["a"], { a: 1 }],
  },
  "log.level": word("info", ["debug", "info", "warn", "error"], "debug, info, warn or error"),
};

/** Both keys say it; `role` and `roles` are normalised, so they have their own tests. */
const ROLE_KEYS = ["role", "roles"];

describe("every key", () => {
  test("stands in this table", () => {
    const leaves = keyPaths().filter((path) => schemaAt(path)?.properties === undefined);
    const names = leaves.map((path) => path.join(".")).filter((name) => !ROLE_KEYS.includes(name));
    expect(names.sort()).toEqual(Object.keys(KEYS).sort());
  });

  for (const [name, { expected, fallback, takes, refuses }] of Object.entries(KEYS)) {
    test(`${name} has its default`, () => expect(parsed(name, undefined)).toEqual(fallback));
    for (const [given, value] of takes)
      test(`${name} takes ${JSON.stringify(given)}`, () => expect(parsed(name, given)).toEqual(value));
    for (const given of refuses)
      test(`${name} refuses ${JSON.stringify(given)?.slice(0, 40)}`, () => {
        const lines = refusal(configText(name, given)).split("\n");
        expect(lines.map((line) => line.replace(/^ut\.yaml:\d+:\d+: /, "").replace(/, got .*/, ""))).toEqual([
          "config.invalid",
          `${name}: expected ${expected}`,
        ]);
      });
    if (fallback !== null)
      test(`${name} refuses to stand there without a value`, () =>
        expect(refusal(configText(name, null))).toMatch(
          /^config\.invalid\nut\.yaml:\d+:\d+: \S+: expected [^\n]+, got nothing[^\n]*$/,
        ));
  }
});

describe("a list of certificate names", () => {
  test("names the one that is none", () =>
    expect(refusal(configText("tls.deny_cn", ["ok", "not ok", "", "A".repeat(65), 5]))).toBe(
      [
        "config.invalid",
        `ut.yaml:9:7: tls.deny_cn[1]: expected ${CN}, got "not ok"`,
        `ut.yaml:10:7: tls.deny_cn[2]: expected ${CN}, got ""`,
        `ut.yaml:11:7: tls.deny_cn[3]: expected ${CN}, got "${"A".repeat(59)}…`,
        `ut.yaml:12:7: tls.deny_cn[4]: expected ${CN}, got 5`,
      ].join("\n"),
    ));
});

describe("servers", () => {
  const expected = `host:port such as "ec2.example.com:5443"`;
  const some = `tcp.server_addr: expected one to 8 of ${expected}, got a list`;
  const cases: [given: unknown, ...problems: string[]][] = [
    [[], `ut.yaml:3:16: ${some}`],
    [["a:1", 5], `ut.yaml:4:5: ${some}`],
    [["a:1", "b"], `ut.yaml:5:7: tcp.server_addr[1]: expected ${expected}, got "b"; did you mean "b:5443"`],
    [["a:1", "b:1", "a:1"], `ut.yaml:6:7: tcp.server_addr[2]: expected each address once, got "a:1"`],
    [Array(9).fill("a:1"), `ut.yaml:4:5: ${some}`],
  ];
  for (const [given, ...problems] of cases)
    test(`refuse ${JSON.stringify(given).slice(0, 40)}`, () =>
      expect(refusal(configText("tcp.server_addr", given))).toBe(["config.invalid", ...problems].join("\n")));
});

describe("an entry of a list", () => {
  const entry = { listen_addr: "127.0.0.1:0", to: "office", service: "wg" };
  const udp = { name: "wg", target: "127.0.0.1:9" };
  const cases: [list: string, entry: object, ...problems: string[]][] = [
    ["relay", { ...entry, idle_seconds: 0 }, "idle_seconds: expected a whole number of seconds from 1 to 86400, got 0"],
    ["relay", { ...entry, to: "a b" }, `to: expected ${CN}, got "a b"`],
    [
      "relay",
      { ...entry, service: "a b" },
      `service: expected a service name of 1 to 64 letters, digits, dots, hyphens and underscores, got "a b"`,
    ],
    [
      "relay",
      { listen_addr: ":0" },
      `to: expected ${CN}, got nothing; every entry needs it, for example to: office`,
      `service: expected a service name of 1 to 64 letters, digits, dots, hyphens and underscores, got nothing; every entry needs it, for example service: wireguard`,
    ],
    ["relay", { ...entry, too: 1 }, `too: expected a key of relay[0], got "too"; did you mean "to"`],
    [
      "services.udp",
      { ...udp, target: ":9" },
      `target: expected one host to reach, not every interface, got ":9"; did you mean "127.0.0.1:9"`,
    ],
    [
      "services.udp",
      { ...udp, allow: "home" },
      `allow: expected a list of certificate names, got the text "home"; did you mean ["home"]`,
    ],
    ["services.udp", { ...udp, allow: ["a b"] }, `allow[0]: expected ${CN}, got "a b"`],
  ];
  for (const [list, given, ...problems] of cases)
    test(`${list} refuses ${JSON.stringify(given)}`, () => {
      const lines = refusal(configText(list, [given])).split("\n");
      expect(lines.map((line) => line.replace(/^ut\.yaml:\d+:\d+: /, ""))).toEqual([
        "config.invalid",
        ...problems.map((problem) => `${list}[0].${problem}`),
      ]);
    });
});

function parsed(name: string, value: unknown): unknown {
  const config: unknown = parseConfig(configText(name, value), "/c/ut.yaml");
  return name.split(".").reduce((parent, key) => (parent as Record<string, unknown>)[key], config);
}

/** A server's config with one key set; `undefined` leaves the key out. */
function configText(name: string, value: unknown): string {
  const tls = { ca_cert: "/c/ca.pem", cert: "/c/node.pem", key: "/c/node.key" };
  const config: Record<string, unknown> = { role: "server", tcp: {}, tls };
  const [section = "", ...keys] = name.split(".");
  if (value === undefined) return stringify(config);
  const inner = keys.reduceRight((child, key) => ({ [key]: child }), value) as Record<string, unknown>;
  config[section] = keys.length === 0 ? value : { ...(config[section] as Record<string, unknown>), ...inner };
  return stringify(config);
}

function same(value: unknown): readonly [unknown, unknown] {
  return [value, value];
}

function whole(fallback: number | undefined, min: number, max: number, unit?: string): KeyCase {
  const expected = `a whole number${unit === undefined ? "" : ` of ${unit}`} from ${min} to ${max}`;
  const refuses = [
    min - 1,
    max + 1,
    min + 0.5,
    -1,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    String(min),
    true,
    [min],
    { a: min },
  ];
  return { expected, fallback, takes: [same(min), same(max)], refuses };
}

function trueOrFalse(fallback: boolean): KeyCase {
  const refuses = ["true", "yes", 1, 0, [true], { a: true }];
  return { expected: "true or false", fallback, takes: [same(true), same(false)], refuses };
}

function word(fallback: string, words: readonly string[], expected: string): KeyCase {
  const refuses = ["", "other", fallback.toUpperCase(), 5, true, [fallback], { a: fallback }];
  return { expected, fallback, takes: words.map(same), refuses };
}

function listener(example: string, fallback: unknown): KeyCase {
  return {
    expected: `host:port such as "${example}"`,
    fallback,
    takes: [
      ["127.0.0.1:0", { host: "127.0.0.1", port: 0 }],
      ["[::1]:65535", { host: "::1", port: 65_535 }],
      [":9", { host: "::", port: 9 }],
    ],
    refuses: ["", "127.0.0.1", 5443, true, ["a:1"], { host: "a", port: 1 }],
  };
}

function target(example: string, fallback: unknown): KeyCase {
  return {
    expected: `host:port such as "${example}"`,
    fallback,
    takes: [
      ["a.example:1", { host: "a.example", port: 1 }],
      ["[::1]:65535", { host: "::1", port: 65_535 }],
    ],
    refuses: ["", "a.example", 5443, true, ["a:1"], { host: "a", port: 1 }],
  };
}

function pem(fallback: string): KeyCase {
  return {
    expected: "the path of a PEM file, absolute, relative to this file, or from ~/",
    fallback,
    takes: [
      same("/x/y.pem"),
      ["y.pem", "/c/y.pem"],
      ["../y.pem", "/y.pem"],
      ["~/y.pem", `${process.env.HOME ?? "/c/~"}/y.pem`],
    ],
    refuses: ["", "~root/y.pem", "-----BEGIN CERTIFICATE-----\nabc\n", 5, true, ["y.pem"], { a: "y.pem" }],
  };
}
