import { describe, expect, test } from "bun:test";
import { refusal, TLS } from "./config-text.ts";

const PEM = "the path of a PEM file, absolute, relative to this file, or from ~/";
const START = `"ut config example client" prints a config to start from`;

/** Mistakes people make, each with every word they get to read about it. */
const INVALID: Record<string, [text: string, ...problems: string[]]> = {
  "a misspelt key": [
    `role: server\ntcp:\n  lane: 5\n${TLS}`,
    `ut.yaml:3:3: tcp.lane: expected a key of tcp, got "lane"; did you mean "lanes"`,
  ],
  "a misspelt key that the role needs, told once": [
    `role: client\ntcp:\n  sever_addr: a:5443\n${TLS}`,
    `ut.yaml:3:3: tcp.sever_addr: expected a key of tcp, got "sever_addr"; did you mean "server_addr"`,
  ],
  "a misspelt section": [
    `role: server\n${TLS}metrcs:\n  per_lane: true\n`,
    `ut.yaml:3:1: metrcs: expected a key of the config, got "metrcs"; did you mean "metrics"`,
  ],
  "keys in the wrong place, or in none": [
    `role: server\nlanes: 5\nlisten_addr: ":1"\nverbose: true\n${TLS}log: { verbose: true }\n`,
    `ut.yaml:2:1: lanes: expected a key of the config, got "lanes"; did you mean "tcp.lanes"`,
    `ut.yaml:3:1: listen_addr: expected a key of the config, got "listen_addr"; did you mean "tcp.listen_addr", "udp.listen_addr", "metrics.listen_addr", "p2p.listen_addr" or "socks.listen_addr"`,
    `ut.yaml:4:1: verbose: expected a key of the config, got "verbose"; known here: role, roles, tcp, udp, queue, metrics, tls, log, server, p2p, nat, hard_nat, relay, services, socks`,
    `ut.yaml:6:8: log.verbose: expected a key of log, got "verbose"; known here: level`,
  ],
  "a key with odd characters": [
    `role: server\n"a b\\e": 1\n${TLS}`,
    `ut.yaml:2:1: "a b\\u001b": expected a key of the config, got "a b\\u001b"; known here: role, roles, tcp, udp, queue, metrics, tls, log, server, p2p, nat, hard_nat, relay, services, socks`,
  ],
  "text that would turn a terminal around": [
    `role: "cl\u202eient\u009b"\n${TLS}`,
    `ut.yaml:1:7: role: expected client, server, agent, relay or socks, got "cl\\u{202e}ient\\u{9b}"; did you mean "client"`,
  ],
  "the same in place of a list, which is no suggestion": [
    `role: server\nserver: { stun: { listen: "\u202e478" } }\n${TLS}`,
    `ut.yaml:2:27: server.stun.listen: expected a list of up to 8 addresses such as ["0.0.0.0:3478", "0.0.0.0:3479"], got the text "\\u{202e}478"`,
  ],
  "text in place of numbers and switches": [
    `role: server\ntcp:\n  lanes: "5"\n  tcp_buf: 16KiB\n  idle_seconds: 2m\n  user_timeout_ms: 10s\n  reorder_ms: soon\n  prewarm: yes\n  tcp_nodelay: Off\n${TLS}`,
    `ut.yaml:3:10: tcp.lanes: expected a whole number from 1 to 32, got the text "5"; did you mean 5`,
    `ut.yaml:4:12: tcp.tcp_buf: expected a whole number of bytes from 4096 to 16777216, got the text "16KiB"; did you mean 16384`,
    `ut.yaml:5:17: tcp.idle_seconds: expected a whole number of seconds from 1 to 86400, got the text "2m"; did you mean 120`,
    `ut.yaml:6:20: tcp.user_timeout_ms: expected a whole number of milliseconds from 1000 to 600000, got the text "10s"; did you mean 10000`,
    `ut.yaml:7:15: tcp.reorder_ms: expected a whole number of milliseconds from 0 to 1000, got the text "soon"`,
    `ut.yaml:8:12: tcp.prewarm: expected true or false, got the text "yes"; did you mean true`,
    `ut.yaml:9:16: tcp.tcp_nodelay: expected true or false, got the text "Off"; did you mean false`,
  ],
  "numbers out of range": [
    `role: server\ntcp:\n  lanes: 0\n  reorder_ms: 1.5\nqueue:\n  max_packets: 65537\n${TLS}`,
    "ut.yaml:3:10: tcp.lanes: expected a whole number from 1 to 32, got 0",
    "ut.yaml:4:15: tcp.reorder_ms: expected a whole number of milliseconds from 0 to 1000, got 1.5",
    "ut.yaml:6:16: queue.max_packets: expected a whole number from 1 to 65536, got 65537",
  ],
  "bad addresses": [
    `role: client\ntcp:\n  server_addr: ec2.example.com:70000\n  listen_addr: 5443\nudp:\n  listen_addr: "::1:15000"\n  wg_udp_addr: 0.0.0.0:51820\nmetrics:\n  listen_addr: http://127.0.0.1:5080/metrics\n${TLS}`,
    `ut.yaml:3:16: tcp.server_addr: expected host:port with a port from 1 to 65535, got "ec2.example.com:70000"`,
    `ut.yaml:4:16: tcp.listen_addr: expected host:port such as "0.0.0.0:5443", got 5443`,
    `ut.yaml:6:16: udp.listen_addr: expected host:port such as "127.0.0.1:15000", got "::1:15000"; did you mean "[::1]:15000"`,
    `ut.yaml:7:16: udp.wg_udp_addr: expected one host to reach, not every interface, got "0.0.0.0:51820"; did you mean "127.0.0.1:51820"`,
    `ut.yaml:9:16: metrics.listen_addr: expected host:port such as "127.0.0.1:5080" without a scheme, got "http://127.0.0.1:5080/metrics"; did you mean "127.0.0.1:5080"`,
  ],
  "a misspelt role": [
    `role: cleint\n${TLS}`,
    `ut.yaml:1:7: role: expected client, server, agent, relay or socks, got "cleint"; did you mean "client"`,
  ],
  "no role": [
    TLS,
    "ut.yaml:1:1: role: expected client, server, agent, relay or socks, got nothing; for example role: client",
  ],
  "both role and roles": [
    `role: client\nroles: [server]\n${TLS}`,
    `ut.yaml:2:8: roles: expected either role or roles, got ["server"]; role is "client" (line 1)`,
  ],
  "several roles under role": [
    `role: [client, server]\n${TLS}`,
    `ut.yaml:1:7: role: expected client, server, agent, relay or socks, several of them under "roles", got a list`,
  ],
  "one role under roles": [
    `roles: server\n${TLS}`,
    `ut.yaml:1:8: roles: expected a list such as [client], got the text "server"; did you mean ["server"]`,
  ],
  "a role twice": [
    `roles: [server, server]\n${TLS}`,
    `ut.yaml:1:8: roles: expected each role once, got ["server","server"]`,
  ],
  "no roles in the list": [`roles: []\n${TLS}`, "ut.yaml:1:8: roles: expected at least one role, got []"],
  "an unknown role in the list": [
    `roles:\n  - server\n  - clint\n${TLS}`,
    `ut.yaml:3:5: roles[1]: expected client, server, agent, relay or socks, got "clint"; did you mean "client"`,
  ],
  "a missing key file": [
    "role: server\ntls:\n  ca_cert: ca.pem\n  cert: node.pem\n",
    `ut.yaml:2:1: tls.key: expected ${PEM}, got nothing; every role needs it, for example key: /etc/ut/node.key`,
  ],
  "no certificates at all": [
    "role: server\ntls:\n  # ca_cert: ca.pem\n",
    "ut.yaml:2:1: tls: expected a mapping of keys to values, got nothing; every role needs it, for example tls: { ca_cert: /etc/ut/ca.pem, cert: /etc/ut/node.pem, key: /etc/ut/node.key }",
  ],
  "a key where its path belongs, whose contents stay out of the message": [
    "role: server\ntls:\n  ca_cert: ca.pem\n  cert: node.pem\n  key: |\n    -----BEGIN EC PRIVATE KEY-----\n    c2VjcmV0\n    -----END EC PRIVATE KEY-----\n",
    `ut.yaml:5:8: tls.key: expected ${PEM}, got PEM text`,
  ],
  "another user's home": [
    "role: server\ntls: { ca_cert: ca.pem, cert: node.pem, key: ~bob/node.key }\n",
    `ut.yaml:2:46: tls.key: expected ${PEM}, got "~bob/node.key"`,
  ],
  "a client without a server": [
    `role: client\ntcp:\n  lanes: 3\n${TLS}`,
    `ut.yaml:2:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the client role needs it, for example server_addr: ec2.example.com:5443`,
  ],
  "a key without a value": [
    `role: server\ntcp:\n  lanes:\n${TLS}`,
    "ut.yaml:3:3: tcp.lanes: expected a whole number from 1 to 32, got nothing; without the key it is 5",
  ],
  "a section that is a value": [
    `role: server\nqueue: 4096\ntcp: [5]\n${TLS}`,
    "ut.yaml:2:8: queue: expected a mapping of keys to values, got 4096",
    "ut.yaml:3:6: tcp: expected a mapping of keys to values, got a list",
  ],
  "no space after the colon": [
    `role: server\ntcp:\n  lanes:5\n  prewarm:true\n${TLS}`,
    `ut.yaml:3:3: tcp: expected a mapping of keys to values, got the text "lanes:5 prewarm:true"; put a space after each ":"`,
  ],
  "a key given twice, and what is wrong with the second": [
    `role: server\ntcp:\n  lanes: 5\n  lanes: 600\n${TLS}${TLS}`,
    "ut.yaml:4:3: tcp.lanes: expected the key once, got it again; the first is on line 3",
    "ut.yaml:4:10: tcp.lanes: expected a whole number from 1 to 32, got 600",
    "ut.yaml:6:1: tls: expected the key once, got it again; the first is on line 5",
  ],
  "a metrics path that is taken": [
    `role: server\nmetrics: { path: /readyz }\n${TLS}`,
    `ut.yaml:2:18: metrics.path: expected an absolute path such as "/metrics", other than /, /healthz, /readyz, /api/status and /api/events, got "/readyz"`,
  ],
  "addresses that no one can send to": [
    `role: server\nserver:\n  stun: { public_addrs: [server.example.com:3478, "0.0.0.0:3478"] }\nnat:\n  reflex_override: 203.0.113.7\n${TLS}`,
    `ut.yaml:3:26: server.stun.public_addrs[0]: expected an IP address with a port such as "203.0.113.7:3478", got "server.example.com:3478"`,
    `ut.yaml:3:51: server.stun.public_addrs[1]: expected an IP address with a port such as "203.0.113.7:3478", got "0.0.0.0:3478"`,
    `ut.yaml:5:20: nat.reflex_override: expected an IP address with a port such as "203.0.113.7:40000", got "203.0.113.7"`,
  ],
  "an empty file": ["", `ut.yaml:1:1: expected a mapping of keys to values, got an empty file; ${START}`],
  "nothing but comments": [
    "# role: client\n---\n",
    `ut.yaml:1:1: expected a mapping of keys to values, got an empty file; ${START}`,
  ],
  "a list at the top level": [
    "- role: client\n- tcp: {}\n",
    `ut.yaml:1:1: expected a mapping of keys to values, got a list; ${START}`,
  ],
  "some other text": ["hello\n", `ut.yaml:1:1: expected a mapping of keys to values, got the text "hello"; ${START}`],
  "a key file in place of the config": [
    "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
    `ut.yaml:1:1: expected a mapping of keys to values, got PEM text; ${START}`,
  ],
  "many at once, in the order of the file": [
    "log:\n  level: INFO\nrole: client\ntls:\n  cert: 5\ntcp:\n  lanes: 33\n",
    `ut.yaml:2:10: log.level: expected debug, info, warn or error, got "INFO"; did you mean "info"`,
    `ut.yaml:4:1: tls.ca_cert: expected ${PEM}, got nothing; every role needs it, for example ca_cert: /etc/ut/ca.pem`,
    `ut.yaml:4:1: tls.key: expected ${PEM}, got nothing; every role needs it, for example key: /etc/ut/node.key`,
    `ut.yaml:5:9: tls.cert: expected ${PEM}, got 5`,
    `ut.yaml:6:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the client role needs it, for example server_addr: ec2.example.com:5443`,
    "ut.yaml:7:10: tcp.lanes: expected a whole number from 1 to 32, got 33",
  ],
};

const SYNTAX: Record<string, [text: string, ...problems: string[]]> = {
  "tabs as indentation": [
    "role: client\ntcp:\n\tlanes: 5\n\tprewarm: true\n",
    "ut.yaml:3:1: expected spaces as indentation, got a tab",
    "ut.yaml:4:1: expected spaces as indentation, got a tab",
  ],
  "no space after the first colon": [
    "role:client\ntcp:\n  lanes: 5\n",
    `ut.yaml:1:1: expected "key: value", got a line without ": "`,
  ],
  "a line that is indented too far": [
    "role: client\ntcp:\n  lanes: 5\n   prewarm: true\n",
    "ut.yaml:3:10: expected one value after the key, got deeper indented keys below it",
  ],
  "an IPv6 address without quotes": [
    "role: client\ntcp:\n  server_addr: [::1]:5443\n",
    "ut.yaml:3:21: expected the end of the value, got more text; a value that starts with [ or { needs quotes",
  ],
  "a quote that never ends": [`role: "client\ntcp: {}\n`, `ut.yaml:3:1: expected valid YAML: Missing closing "quote`],
  "a reserved character": [
    "tls:\n  key: @secrets/key\n",
    "ut.yaml:2:8: expected valid YAML: Plain value cannot start with reserved character @; put it in quotes",
  ],
  "backslashes in double quotes": [
    `tls:\n  key: "C:\\ut\\key"\n`,
    "ut.yaml:2:11: expected no backslash in double quotes; single quotes take it as it is",
  ],
  "two documents": [
    "role: client\n---\nrole: server\n",
    `ut.yaml:2:1: expected one YAML document, got a second one after "---"`,
  ],
  "a tag nobody knows": ["role: !env ROLE\n", "ut.yaml:1:7: expected valid YAML: Unresolved tag: !env"],
  "an alias of nothing": [
    "role: client\ntls: *shared\n",
    "ut.yaml:2:6: expected aliases that can be followed: Unresolved alias (the anchor must be set before the alias): shared",
  ],
  "aliases that multiply": [
    `a: &a [${"1,".repeat(20)}]\nb: &b [${"*a,".repeat(20)}]\nc: [${"*b,".repeat(20)}]\n`,
    "ut.yaml:1:1: expected aliases that can be followed: Excessive alias count indicates a resource exhaustion attack",
  ],
  "a list as key": ["? [role]\n: client\n", "ut.yaml:1:3: expected a plain word as key, got something else"],
};

describe("a mistake in the config is told in full", () => {
  for (const [name, [text, ...problems]] of Object.entries(INVALID))
    test(name, () => expect(refusal(text)).toBe(["config.invalid", ...problems].join("\n")));
});

describe("a mistake in the YAML is told in full", () => {
  for (const [name, [text, ...problems]] of Object.entries(SYNTAX))
    test(name, () => expect(refusal(text)).toBe(["config.syntax", ...problems].join("\n")));
});
