import { describe, expect, test } from "bun:test";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { SHOW_ADDRESSES, showListeners } from "../../src/app/check/look-commands.ts";
import type { NodeIdentity } from "../../src/app/role.ts";
import { check } from "../../src/cli/check.ts";
import { listenTlsLanes } from "../../src/io/lanes/tls-listen.ts";
import { makeCa } from "../../src/io/pki/pki.ts";
import { fakeTerminal } from "../unit/cli/fake-terminal.ts";
import { expired, identity, notYetValid, serverIdentity, strangersCa } from "./support/identities.ts";
import { testServer } from "./support/nodes.ts";
import { serverProcess } from "./support/peers.ts";
import { controlPdu } from "./support/raw-lane.ts";
import { until } from "./support/until.ts";
import { configFolder } from "./support/ut-process.ts";

/** Set-ups that are broken in one way each, and what `ut check` says of them. */

const good = await identity({ cn: "home" });

interface Checked {
  readonly code: number;
  /** Lines that tell of trouble, with what to do below each; without what depends on the machine of the test. */
  readonly troubles: string[];
  /** Every line, the same way. */
  readonly lines: string[];
}

/** What the machine of the test is like is not the test's to say. */
const OF_THE_MACHINE =
  /^\S+ +(?:limits|congestion|wireguard|clock +(?:the server did not|nothing sets|the kernel says|because))/;

async function checked(who: NodeIdentity, settings: Record<string, unknown>, spoil?: Spoil): Promise<Checked> {
  await using folder = await configFolder(who, settings);
  const dir = join(folder.path, "..");
  await spoil?.(dir);
  const terminal = fakeTerminal();
  const code = await check.run(["-config", folder.path], terminal);
  const findings = terminal.printed.filter((text) => !OF_THE_MACHINE.test(text)).slice(0, -1);
  const plain = (text: string) => text.replaceAll(dir, "DIR").replaceAll(/\d{4}-\d\d-\d\d [\d:]{8}Z/g, "TIME");
  return {
    code,
    lines: findings.map(plain),
    troubles: findings.filter((text) => /^(WARNING|FAILED)/.test(text)).map(plain),
  };
}

/** Does something to the folder of a config. */
type Spoil = (dir: string) => Promise<unknown>;

const client = (port: number, more: Record<string, unknown> = {}) => ({
  role: "client",
  udp: { listen_addr: "127.0.0.1:0" },
  ...more,
  tcp: { server_addr: `127.0.0.1:${port}`, ...(more.tcp as object) },
});

const relay = (port: number, ...peers: string[]) => ({
  role: "relay",
  p2p: { direct: false, listen_addr: "127.0.0.1:0" },
  relay: peers.map((to) => ({ listen_addr: "127.0.0.1:0", to, service: "wireguard" })),
  tcp: { server_addr: `127.0.0.1:${port}` },
});

/** Something that listens, until the end of a test. */
type Listening = { readonly port: number } & AsyncDisposable;

async function listening(server: Server, sockets: Set<Socket> = new Set()): Promise<Listening> {
  server.on("connection", (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A port that was somebody's a moment ago. */
async function closedPort(): Promise<Listening> {
  const { port, ...gone } = await listening(createServer());
  await gone[Symbol.asyncDispose]();
  return { port, async [Symbol.asyncDispose]() {} };
}

function mailServer(): Promise<Listening> {
  return listening(createServer((socket) => void socket.on("error", () => {}).write("220 mail.example ESMTP\r\n")));
}

function strictProxy(): Promise<Listening> {
  return listening(
    createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"));
    }),
  );
}

/** A TLS server by hand, with any certificate, that says anything. */
function foreignServer(
  { ca, cert, key }: NodeIdentity,
  talk: (socket: TLSSocket) => void = () => {},
): Promise<Listening> {
  const server = createTlsServer({ ca, cert, key, requestCert: true, rejectUnauthorized: false }, (socket) => {
    socket.on("error", () => {});
    talk(socket);
  });
  return listening(server);
}

/** `ut`'s own listener, with any certificate. */
async function strictServer(identity: NodeIdentity): Promise<Listening> {
  const listener = listenTlsLanes(
    { host: "127.0.0.1", port: 0, identity, denyCn: [] },
    { accept: () => ({ data: () => {}, drained: () => {}, closed: () => {} }), refused: () => {} },
  );
  return { port: listener.port, [Symbol.asyncDispose]: async () => listener[Symbol.dispose]() };
}

/** Greets as a server whose clock is off by so much. */
function answerIn(offsetMs: number): (socket: TLSSocket) => void {
  return (socket) =>
    void socket.once("data", () => {
      const time = Date.now() + offsetMs;
      socket.write(controlPdu({ type: "hello_ack", session_id: "", epoch: 0, caps: ["seq"], time }));
    });
}

const arrow = (text: string) => `${" ".repeat(22)}→ ${text}`;
const told = (verdict: string, name: string, text: string, ...remedy: string[]) =>
  [`${verdict.padEnd(9)}${name.padEnd(13)}${text}`, ...remedy.map(arrow)].join("\n");

test("a client that is as it should be", async () => {
  await using server = await testServer(9);
  const { code, lines } = await checked(good, client(server.port));
  expect(lines.map((line) => line.replace(/\d+(?:\.\d)? ms/, "N ms").replace(/lo0$/, "lo"))).toEqual([
    told("ok", "config", `DIR/ut.yaml is valid: client of 127.0.0.1:${server.port}`),
    told("ok", "key file", "DIR/node.key is for its owner only (mode 0600)"),
    told("ok", "certificate", "home, until TIME (824 days left)"),
    told("ok", "status", "http://127.0.0.1:0 is for this machine only"),
    told("ok", "routing", "127.0.0.1 is reached by lo"),
    told("ok", "tcp", `127.0.0.1:${server.port} is reached`),
    told("ok", "tls", `127.0.0.1:${server.port} and this node trust each other`),
    told("ok", "server", `127.0.0.1:${server.port} speaks ut, with seq, channel (round trip N ms)`),
    told("ok", "clock", "the server's clock is the same to 0.1 s"),
  ]);
  expect(code).toBe(0);
  // The server remembers nothing of it.
  expect(server.role.status().sessions).toEqual([]);
  await until("the goodbye", () => server.role.status().signals?.connections === 0);
  expect(server.role.status().signals?.members).toEqual([]);
  expect(server.logbook.has("frame_err")).toBe(false);
});

interface Broken {
  readonly name: string;
  readonly who?: NodeIdentity;
  readonly spoil?: Spoil;
  /** What stands where the server should; a good server unless given. */
  readonly server?: () => Promise<{ readonly port: number } & AsyncDisposable>;
  readonly settings?: (port: number) => Record<string, unknown>;
  /** PORT is that of the server. */
  readonly says: string[];
}

const RENEW = 'renew it with "ut pki renew --cn home" where the CA is, and copy it here';
const AT_HOME: Broken[] = [
  {
    name: "a certificate that has expired",
    who: await identity({ cn: "home", ...expired }),
    says: [
      told(
        "FAILED",
        "certificate",
        'tls.cert DIR/node.pem: "CN=home" expired 24 hours ago, on TIME (the clock here says TIME)',
        RENEW,
      ),
    ],
  },
  {
    name: "a certificate that is not valid yet",
    who: await identity({ cn: "home", ...notYetValid }),
    says: [
      told(
        "FAILED",
        "certificate",
        'tls.cert DIR/node.pem: "CN=home" is valid from TIME, and the clock here says TIME',
        "set the clock of this machine, or of the one that issued it",
      ),
    ],
  },
  {
    name: "a certificate of another CA",
    who: await identity({ cn: "home", issuer: await makeCa({ cn: "an old CA" }) }),
    says: [
      told(
        "FAILED",
        "certificate",
        `tls.cert DIR/node.pem: it was issued by "CN=an old CA", but DIR/ca.pem holds "CN=ut test CA"`,
        "both ends of a tunnel need certificates of one CA: copy the ca.pem that belongs to it, or issue it anew",
      ),
    ],
  },
  {
    name: "a key of another certificate, and a client that would be a server",
    settings: () => ({ role: "server", tcp: { listen_addr: "127.0.0.1:0" }, udp: { wg_udp_addr: "127.0.0.1:9" } }),
    spoil: (dir) => writeFile(join(dir, "node.key"), serverIdentity.key),
    says: [
      told(
        "FAILED",
        "certificate",
        "tls.key DIR/node.key: it is not the key of the certificate DIR/node.pem",
        "copy certificate and key again, from the same issue",
      ),
      told(
        "FAILED",
        "certificate",
        "tls.cert DIR/node.pem: it lacks the usage serverAuth, so clients will refuse this node as a server",
        'issue it with "ut pki issue --cn home --host HOST --force"',
      ),
      told(
        "FAILED",
        "certificate",
        "tls.cert DIR/node.pem: it names no host (subjectAltName), so no client can tell that it dialled the right server",
        'issue it with "ut pki issue --cn home --host HOST --force"',
      ),
      told(
        "FAILED",
        "target",
        "nobody listens at UDP 127.0.0.1:9 (udp.wg_udp_addr)",
        "sudo wg-quick up wg0, with ListenPort = 9 in wg0.conf",
      ),
    ],
  },
  {
    name: "a certificate that ends soon, and a key that everybody can read",
    who: await identity({ cn: "home", notAfter: new Date(Date.now() + 9.5 * 86_400_000) }),
    spoil: (dir) => chmod(join(dir, "node.key"), 0o666),
    says: [
      told(
        "WARNING",
        "key file",
        "every user of this machine can read DIR/node.key (mode 0666)",
        "chmod 600 DIR/node.key",
      ),
      told("WARNING", "key file", "others may change DIR/node.key (mode 0666)", "chmod 600 DIR/node.key"),
      told(
        "WARNING",
        "certificate",
        "The certificate DIR/node.pem ends on TIME (9 days left)",
        "ut pki renew --cn home",
      ),
    ],
  },
];

const WRONG_CLOCK: Broken = {
  name: "a clock that is far behind, to which every certificate is one of the future",
  who: await identity({ cn: "home", ...notYetValid }),
  server: async () =>
    foreignServer(await identity({ cn: "server", hosts: ["127.0.0.1"], ...notYetValid }), answerIn(200 * 86_400_000)),
  says: [
    told(
      "FAILED",
      "certificate",
      'tls.cert DIR/node.pem: "CN=home" is valid from TIME, and the clock here says TIME',
      "set the clock of this machine, or of the one that issued it",
    ),
    told(
      "FAILED",
      "clock",
      "the clock here is 200 days behind the server's, and the certificates are of the server's time",
      "sudo timedatectl set-ntp true",
      "on macOS: sudo sntp -sS time.apple.com",
    ),
  ],
};

const PASSWORDS: Broken = {
  name: "passwords that everybody can read",
  settings: (port) => ({ ...client(port), socks: { users: { ann: "secret" } } }),
  spoil: (dir) => chmod(join(dir, "ut.yaml"), 0o644),
  says: [
    told(
      "WARNING",
      "config",
      "every user of this machine can read the passwords in DIR/ut.yaml",
      "chmod 600 DIR/ut.yaml",
    ),
  ],
};

const ON_THE_WAY: Broken[] = [
  {
    name: "a port on which nothing listens",
    server: closedPort,
    says: [
      told(
        "FAILED",
        "tcp",
        "127.0.0.1:PORT refuses connections: no ut server runs there, or not on that port",
        "on the server: ss -ltnp 'sport = :PORT'",
      ),
    ],
  },
  {
    name: "a mail server",
    server: mailServer,
    says: [
      told(
        "FAILED",
        "tls",
        "what listens at 127.0.0.1:PORT speaks no TLS",
        "tcp.server_addr must name the port of the server's tcp.listen_addr",
      ),
    ],
  },
  {
    name: "a server whose certificate is for other names",
    spoil: async (dir) => {
      const path = join(dir, "ut.yaml");
      const config = JSON.parse(await readFile(path, "utf8"));
      await writeFile(path, JSON.stringify({ ...config, tls: { ...config.tls, server_name: "vpn.example" } }));
    },
    says: [
      told(
        "FAILED",
        "tls",
        'the certificate of 127.0.0.1:PORT is not for "vpn.example", but for 127.0.0.1, 0:0:0:0:0:0:0:1, localhost, ut.test',
        "tls: { server_name: NAME }, with a name that it is for",
        "where the CA is: ut pki issue --cn SERVER --host vpn.example --force",
      ),
    ],
  },
  {
    name: "a server of another CA",
    server: async () =>
      foreignServer(await identity({ cn: "server", hosts: ["127.0.0.1"], issuer: strangersCa, trusts: strangersCa })),
    says: [
      told(
        "FAILED",
        "tls",
        "the certificate of 127.0.0.1:PORT is not of this node's CA (SELF_SIGNED_CERT_IN_CHAIN)",
        "copy the ca.pem that signed both certificates to both ends",
      ),
    ],
  },
  {
    name: "a server whose certificate has expired",
    server: async () => foreignServer(await identity({ cn: "server", hosts: ["127.0.0.1"], ...expired }), answerIn(0)),
    says: [
      told(
        "FAILED",
        "tls",
        "the certificate of 127.0.0.1:PORT has expired, or this machine's clock is ahead",
        "where the CA is: ut pki renew --cn SERVER",
        "date",
      ),
    ],
  },
  {
    name: "a server that shuts this node out",
    server: () => testServer(9, { tls: { deny_cn: ["home"] } }),
    says: [
      told(
        "FAILED",
        "tls",
        "127.0.0.1:PORT shuts this node out: CN home is in tls.deny_cn",
        "in the server's config: take home out of tls.deny_cn, then restart it",
      ),
    ],
  },
  {
    name: "a server that trusts another CA than the one that has signed its own certificate",
    server: async () =>
      strictServer(await identity({ cn: "server", hosts: ["127.0.0.1"], trusts: await makeCa({ cn: "a newer CA" }) })),
    says: [
      told(
        "FAILED",
        "tls",
        "127.0.0.1:PORT is the right server, and hangs up on this node: it does not trust the certificate of home",
        'on the server: "tls_handshake_fail" in the log has the reason',
        "wrong_ca: its tls.ca_cert is another one; expired, not_yet_valid: its clock; crowded_out: too many connections",
      ),
    ],
  },
  {
    name: "a server that speaks something else",
    server: () => foreignServer(serverIdentity, (socket) => socket.write("220 mail.example ESMTP\r\n")),
    says: [
      told(
        "FAILED",
        "server",
        "127.0.0.1:PORT has a certificate of this CA, and speaks something else than ut",
        "tcp: { transport: wss }, if that is what the server has",
      ),
    ],
  },
  {
    name: "a server that has WebSockets only",
    server: () => testServer(9, { tcp: { transport: "wss", listen_addr: { host: "127.0.0.1", port: 0 } } }),
    says: [
      told(
        "FAILED",
        "server",
        "127.0.0.1:PORT has a certificate of this CA, and speaks something else than ut",
        "tcp: { transport: wss }, if that is what the server has",
      ),
    ],
  },
  {
    name: "a server that has no WebSockets",
    settings: (port) => client(port, { tcp: { transport: "wss" } }),
    says: [
      told(
        "FAILED",
        "server",
        "Cannot open a WebSocket at wss://127.0.0.1:PORT/ut (127.0.0.1:PORT): its answer is not HTTP",
        "check that tcp.transport is wss at the server, too",
      ),
    ],
  },
  {
    name: "a proxy that lets nobody through unnamed",
    server: strictProxy,
    settings: (port) => client(port, { tcp: { server_addr: "vpn.example:5443", proxy: `http://127.0.0.1:${port}` } }),
    says: [
      told(
        "FAILED",
        "tcp",
        "Cannot get through the proxy at 127.0.0.1:PORT: it answered 407 Proxy Authentication Required: it wants a user and a password",
        "set tcp.proxy to http://USER:PASSWORD@HOST:PORT",
      ),
    ],
  },
  {
    name: "a proxy that is not there",
    server: closedPort,
    settings: (port) => client(port, { tcp: { server_addr: "vpn.example:5443", proxy: `http://127.0.0.1:${port}` } }),
    says: [
      told(
        "FAILED",
        "tcp",
        "Cannot connect to the proxy at 127.0.0.1:PORT: connection refused (ECONNREFUSED)",
        "check tcp.proxy, and that the proxy runs and is reachable",
      ),
    ],
  },
  {
    name: "a list whose first server is away",
    settings: (port) => client(port, { tcp: { server_addr: ["127.0.0.1:1", `127.0.0.1:${port}`] } }),
    says: [
      told(
        "WARNING",
        "tcp",
        "127.0.0.1:1 refuses connections: no ut server runs there, or not on that port",
        "on the server: ss -ltnp 'sport = :1'",
      ),
    ],
  },
  {
    name: "a clock that is not the server's",
    server: () => foreignServer(serverIdentity, answerIn(-3 * 3_600_000)),
    says: [
      told(
        "WARNING",
        "clock",
        "the clock here is 3 hours ahead of the server's: one of them is wrong",
        "sudo timedatectl set-ntp true",
        "on macOS: sudo sntp -sS time.apple.com",
      ),
    ],
  },
];

const AT_THE_ENDS: Broken[] = [
  {
    name: "a status address that is open to everybody",
    settings: (port) => client(port, { metrics: { listen_addr: "0.0.0.0:0" } }),
    says: [
      told(
        "WARNING",
        "status",
        "http://0.0.0.0:0 is open to every machine that reaches this one, without a password",
        'metrics: { listen_addr: "127.0.0.1:0" }',
        "or let a firewall admit nobody but Prometheus",
      ),
    ],
  },
  {
    name: "an address that this machine does not have",
    settings: (port) => client(port, { udp: { listen_addr: "192.0.2.99:15000" } }),
    says: [
      told(
        "FAILED",
        "port",
        "UDP 192.0.2.99:15000 (udp.listen_addr): this machine has no such address",
        SHOW_ADDRESSES,
      ),
    ],
  },
  {
    name: "a relay whose agent is not there, and one that leads to itself",
    settings: (port) => relay(port, "office", "home"),
    says: [
      told(
        "WARNING",
        "peer",
        'no agent "office" is registered with the server: datagrams for it wait, and are lost',
        "on office: ut agent -config FILE",
        "the name is the one in its certificate",
      ),
      told(
        "FAILED",
        "peer",
        "home, where pipes are to lead, is this node's own certificate name",
        "relay[].to and socks.to name the certificate of an agent",
      ),
    ],
  },
  {
    name: "a server that brings no peers together",
    server: () => testServer(9, { server: { peers: false } }),
    settings: (port) => relay(port, "office"),
    says: [
      told(
        "FAILED",
        "server",
        "127.0.0.1:PORT brings no peers together",
        "in the server's config: server: { peers: true }",
      ),
    ],
  },
  {
    name: "services that do not run",
    settings: (port) => ({
      ...client(port),
      role: "agent",
      p2p: { direct: false, listen_addr: "127.0.0.1:0" },
      services: { udp: [{ name: "wireguard", target: "127.0.0.1:9", allow: ["office"] }] },
    }),
    says: [
      told(
        "FAILED",
        "target",
        "nobody listens at UDP 127.0.0.1:9 (service wireguard)",
        `start it, or correct its target: ${showListeners("udp", 9)}`,
      ),
    ],
  },
];

describe.each([
  ["here", [PASSWORDS, WRONG_CLOCK, ...AT_HOME]],
  ["on the way", ON_THE_WAY],
  ["at the ends", AT_THE_ENDS],
])("broken %s", (_, setUps) => {
  test.each(setUps.map((broken) => [broken.name, broken] as const))("%s", async (_name, broken) => {
    const { who = good, spoil, says, settings = client } = broken;
    await using server = await (broken.server ?? (() => testServer(9)))();
    const { code, troubles } = await checked(who, settings(server.port), spoil);
    expect(troubles.map((text) => text.replaceAll(`:${server.port}`, ":PORT"))).toEqual(says);
    expect(code).toBe(says.some((text) => text.startsWith("FAILED")) ? 1 : 0);
  });
});

test.skipIf(process.platform !== "linux")(
  "a port that another program holds is told with the program, and what the node itself holds is well",
  async () => {
    await using server = await serverProcess();
    const { pid } = server.ut.child;
    const [port] = server.ports;
    const program = (await Bun.file(`/proc/${pid}/comm`).text()).trim();
    const other = { ...client(1), role: "server", udp: { wg_udp_addr: "127.0.0.1:9" } };
    const taken = await checked(serverIdentity, { ...other, tcp: { listen_addr: `127.0.0.1:${port}` } });
    expect(taken.troubles[0]).toBe(
      told(
        "FAILED",
        "port",
        `TCP 127.0.0.1:${port} (tcp.listen_addr) is held by ${program} (pid ${pid})`,
        `ps -p ${pid} -o args`,
        "or set tcp.listen_addr to another port",
      ),
    );
    const { metrics } = await server.ut.logged("start");
    const status = (metrics as { readonly port: number }).port;
    const own = { tcp: { listen_addr: `127.0.0.1:${port}` }, metrics: { listen_addr: `127.0.0.1:${status}` } };
    const { lines } = await checked(serverIdentity, { ...other, ...own });
    const held = (what: string) =>
      told("ok", "port", `TCP ${what} is held by the node itself, which runs (pid ${pid})`);
    expect(lines.filter((line) => /^\S+ +port/.test(line))).toEqual([
      held(`127.0.0.1:${port} (tcp.listen_addr)`),
      held(`127.0.0.1:${status} (metrics.listen_addr)`),
    ]);
    // A client or another server beside it, all with the usual status address, would not start.
    const another = await identity({ cn: "another", hosts: ["127.0.0.1"] });
    const beside = { ...client(1), metrics: { listen_addr: `127.0.0.1:${status}` } };
    for (const [who, settings] of [
      [good, beside],
      [another, { ...other, ...own }],
    ] as const)
      expect((await checked(who, settings)).troubles).toContain(
        told(
          "FAILED",
          "port",
          `TCP 127.0.0.1:${status} (metrics.listen_addr) is held by ${program} (pid ${pid})`,
          `ps -p ${pid} -o args`,
          "or set metrics.listen_addr to another port",
        ),
      );
    expect((await fetch(`http://127.0.0.1:${status}/readyz`)).status).toBe(200);
  },
);

test("an interruption ends it at once, with 130", async () => {
  const abort = new AbortController();
  await using mute = await foreignServer(serverIdentity, () => abort.abort());
  await using folder = await configFolder(good, client(mute.port));
  const terminal = fakeTerminal({ signal: abort.signal });
  expect(await check.run(["-config", folder.path], terminal)).toBe(130);
  expect(terminal.printed.at(-1)).toStartWith("ok       routing");
});

describe("as a process", () => {
  async function ut(...args: string[]): Promise<{ code: number; out: string; err: string }> {
    const command = [process.execPath, join(import.meta.dir, "../../src/main.ts"), "check", ...args];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { code, out, err };
  }

  test("a config that is none ends with 2, and where it is wrong", async () => {
    await using folder = await configFolder(good, { role: "client", tcp: { lanes: 99 } });
    const problems = [
      `${folder.path}:1:1: tcp.server_addr: expected host:port such as "ec2.example.com:5443", got nothing; the client role needs it, for example server_addr: ec2.example.com:5443`,
      `${folder.path}:1:1: tcp.lanes: expected a whole number from 1 to 32, got 99`,
    ];
    const place = (text: string) => text.replaceAll(/:\d+:\d+:/g, ":1:1:");
    const plain = await ut("-config", folder.path);
    expect({ ...plain, err: place(plain.err) }).toEqual({ code: 2, out: "", err: `${problems.join("\n")}\n` });
    const json = await ut("-c", folder.path, "--json");
    expect([json.code, json.err]).toEqual([2, ""]);
    expect(JSON.parse(place(json.out))).toEqual({
      config: folder.path,
      roles: [],
      ok: false,
      findings: problems.map((text) => ({
        check: "config",
        verdict: "failed",
        reason: "config.invalid",
        text,
        remedy: ["ut config example"],
      })),
    });
  });

  test("one JSON object, and 1 where something failed", async () => {
    await using closed = await closedPort();
    await using folder = await configFolder(good, client(closed.port));
    const { code, out, err } = await ut("-config", folder.path, "--json");
    expect([code, err]).toEqual([1, ""]);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ config: folder.path, roles: ["client"], ok: false });
    expect(report.findings.filter(({ verdict }: { verdict: string }) => verdict === "failed")).toEqual([
      {
        check: "tcp",
        verdict: "failed",
        reason: "tcp-refused",
        text: `127.0.0.1:${closed.port} refuses connections: no ut server runs there, or not on that port`,
        remedy: [`on the server: ss -ltnp 'sport = :${closed.port}'`],
      },
    ]);
  });
});
