import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import type { Terminal } from "../../../src/cli/command.ts";
import { config } from "../../../src/cli/config.ts";
import { plainConfig } from "../../../src/config/format.ts";
import { loadConfig } from "../../../src/config/load.ts";
import { UtError } from "../../../src/core/error.ts";

/** What a command line prints and ends with; each `out` is a line, as in the real terminal. */
async function run(...argv: string[]): Promise<{ out: string; code: number } | { error: string }> {
  const lines: string[] = [];
  const terminal: Terminal = {
    out: (text) => lines.push(text),
    err: () => {},
    interactive: false,
    columns: 80,
    signal: new AbortController().signal,
  };
  try {
    const code = await config.run(argv, terminal);
    return { out: lines.map((line) => `${line}\n`).join(""), code };
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return { error: `${error.kind}: ${error.message}` };
  }
}

function text(path: string): string {
  return readFileSync(path, "utf8");
}

describe("ut config example", () => {
  test("prints the file of the role, the client's without one", async () => {
    expect(await run("example", "server")).toEqual({ out: text("config/server.yaml"), code: 0 });
    expect(await run("example", "client")).toEqual({ out: text("config/client.yaml"), code: 0 });
    expect(await run("example")).toEqual({ out: text("config/client.yaml"), code: 0 });
  });

  test("suggests a role for a misspelt one, and takes no more than one", async () => {
    expect(await run("example", "sever")).toEqual({
      error: `usage.bad-value: Cannot run ut config example: expected client, server, agent, relay, socks, got "sever"; did you mean "server"`,
    });
    expect(await run("example", "client", "server")).toEqual({
      error: `usage.bad-value: Cannot run ut config example: expected nothing more, got "server"`,
    });
  });
});

describe("ut config show", () => {
  const inEffect = `roles:
  - server
tcp:
  listen_addr: 0.0.0.0:5443
  lanes: 5
  transport: tcp
  wss:
    path: /ut
  tcp_nodelay: true
  tcp_buf: 16384
  idle_seconds: 120
  prewarm: false
  pick: round_robin
  congestion: auto
  reorder_ms: ${loadConfig("config/server.yaml").tcp.reorder_ms}
  session_linger_seconds: 600
  user_timeout_ms: 10000
udp:
  listen_addr: 127.0.0.1:15000
  wg_udp_addr: 127.0.0.1:51820
queue:
  max_packets: 4096
  max_bytes: 8388608
  drop_policy: oldest
  max_delay_ms: 0
  target_ms: 10
metrics:
  listen_addr: 127.0.0.1:5080
  path: /metrics
  per_client_cn: true
  per_lane: false
tls:
  ca_cert: /etc/ut/ca.pem
  cert: /etc/ut/server.pem
  key: /etc/ut/server.key
  deny_cn: []
log:
  level: info
server:
  stun:
    listen:
      - 0.0.0.0:3478
      - 0.0.0.0:3479
    public_addrs: []
  peers: true
p2p:
  direct: true
  listen_addr:
    - 0.0.0.0:0
    - "[::]:0"
  port_mapping: true
  include_loopback: false
  prefer: auto
nat:
  watch: false
  stun_servers:
    - stun.l.google.com:19302
    - stun1.l.google.com:19302
    - stun2.l.google.com:19302
    - stun.cloudflare.com:3478
    - stun.twilio.com:3478
    - stun.stunprotocol.org:3478
    - stun.ekiga.net:3478
    - stun.ideasip.com:3478
    - stun.sipgate.net:3478
    - stun.voip.eutelia.it:3478
  reflex_override: null
hard_nat:
  mode: off
  role: auto
  socket_count: 256
  scan_count: 512
  interval_ms: 250
  batch_interval_ms: 1000
  ttl: auto
  no_ttl: false
  window_ms: 10000
  assist_delay_ms: 300
relay: []
services:
  udp: []
  socks:
    allow: []
    destinations: []
socks:
  listen_addr: 127.0.0.1:1080
  users: {}
`;

  test("prints the config in effect, every default filled in", async () => {
    for (const flag of ["-config", "--config", "-c"])
      expect(await run("show", flag, "config/server.yaml")).toEqual({ out: inEffect, code: 0 });
  });

  test("prints the same as JSON", async () => {
    const out = `${JSON.stringify(plainConfig(loadConfig("config/client.yaml")), null, 2)}\n`;
    expect(await run("show", "-config", "config/client.yaml", "--json")).toEqual({ out, code: 0 });
  });

  test("needs a file, and passes on what is wrong with it", async () => {
    expect(await run("show")).toEqual({
      error: "usage.bad-flag: Cannot run ut config show: expected -config FILE, got no file",
    });
    expect(await run("show", "-config", "none.yaml")).toEqual({
      error: `config.unreadable: Cannot read config none.yaml: there is no such file; "ut config example client > none.yaml" writes one to start from`,
    });
  });
});

describe("ut config schema", () => {
  test("prints JSON Schema", async () => {
    const result = await run("schema");
    expect(JSON.parse("out" in result ? result.out : "{}")).toMatchObject({ title: "ut config", type: "object" });
  });
});

describe("ut config", () => {
  test("says which subcommands there are", async () => {
    expect(await run()).toEqual({
      error: "usage.unknown-command: Cannot run ut config: expected example, show, schema, got nothing",
    });
    expect(await run("shwo")).toEqual({
      error: `usage.unknown-command: Cannot run ut config: expected example, show, schema, got "shwo"; did you mean "show"`,
    });
    expect(await run("constructor")).toEqual({
      error: `usage.unknown-command: Cannot run ut config: expected example, show, schema, got "constructor"`,
    });
  });
});
