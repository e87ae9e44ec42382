import { afterAll, expect, test } from "bun:test";
import { readFile, writeFile } from "node:fs/promises";
import { identity, serverIdentity } from "./support/identities.ts";
import type { LogLine } from "./support/logbook.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { stunServer } from "./support/stun-server.ts";
import { until } from "./support/until.ts";
import { type ConfigFolder, configFolder, listenPort, startUt, type UtProcess } from "./support/ut-process.ts";

/** `nat.watch` as a process: the STUN of a real `ut server`, on loopback. */

const home = await identity({ cn: "home" });
afterAll(() => expectNoSecretsInLogs(home, serverIdentity));

const OVERRIDE = "203.0.113.7:40000";

/** A node that asks `stun` and a name that does not exist; nothing listens on the STUN port of its own server. */
function watching(stun: string, nat: Record<string, unknown> = {}): Promise<ConfigFolder> {
  return configFolder(home, {
    role: "client",
    tcp: { server_addr: "127.0.0.1:5443" },
    udp: { listen_addr: "127.0.0.1:0" },
    nat: { watch: true, stun_servers: [stun, "stun.invalid:3478"], ...nat },
    p2p: { listen_addr: "127.0.0.1:0" },
  });
}

/** Of the lines of an event, what does not differ each time. */
function said(node: UtProcess, ...events: string[]): Partial<LogLine>[] {
  return node.lines
    .filter(({ event }) => events.includes(String(event)))
    .map(({ time, role, elapsed_ms, ...line }) => line);
}

async function edit(config: ConfigFolder, change: (text: string) => string): Promise<void> {
  await writeFile(config.path, change(await readFile(config.path, "utf8")));
}

test("a node learns its address from its servers, names those that failed, and ends on SIGTERM", async () => {
  await using stun = await stunServer();
  await using config = await watching(stun.address);
  await using node = startUt("-config", config.path);
  const verdict = await node.logged("nat_type");
  expect(verdict).toMatchObject({ servers_answered: 1, mapped: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
  expect(verdict.servers_failed).toEqual([
    expect.stringMatching(/^127\.0\.0\.1:3478: no answer in \d+ ms$/),
    expect.stringMatching(/^stun\.invalid:3478: could not be resolved: /),
  ]);
  await node.logged("reflex");
  expect(said(node, "reflex")).toEqual([{ level: "info", event: "reflex", address: verdict.mapped, source: "stun" }]);
  node.child.kill("SIGTERM");
  expect(await node.child.exited).toBe(0);
});

test("SIGHUP reads the override again; a file that is wrong changes nothing", async () => {
  await using stun = await stunServer();
  await using config = await watching(stun.address, { reflex_override: OVERRIDE });
  await using node = startUt("-config", config.path);
  const { mapped } = await node.logged("nat_type");
  await edit(config, (text) => text.replace(`"${OVERRIDE}"`, "5"));
  node.child.kill("SIGHUP");
  await node.logged("config_reread_fail");
  await edit(config, (text) => text.replace('"reflex_override":5', '"reflex_override":null'));
  node.child.kill("SIGHUP");
  await until("the address of STUN", () => said(node, "reflex").length === 2);
  expect(said(node, "reflex", "reflex_override", "config_reread_fail")).toEqual([
    { level: "info", event: "reflex", address: OVERRIDE, source: "override" },
    {
      level: "warn",
      event: "config_reread_fail",
      err: expect.stringContaining(
        `nat.reflex_override: expected an IP address with a port such as "${OVERRIDE}", got 5`,
      ),
      err_kind: "config.invalid",
    },
    { level: "info", event: "reflex_override" },
    { level: "info", event: "reflex", address: mapped, source: "stun" },
  ]);
});

test("where nobody answers, or the port is taken, it is said, and the tunnel's port is there", async () => {
  await using dead = await watching("127.0.0.1:9");
  await using blocked = startUt("-config", dead.path);
  const start = await blocked.logged("start");
  expect(await blocked.logged("nat_type")).toMatchObject({ type: "blocked", err_kind: "reflex-timeout" });

  await using taken = await watching("127.0.0.1:9");
  await edit(taken, (text) =>
    text.replace('"p2p":{"listen_addr":"127.0.0.1:0"', `"p2p":{"listen_addr":"127.0.0.1:${listenPort(start)}"`),
  );
  await using crowded = startUt("-config", taken.path);
  expect(await crowded.logged("nat_watch_fail")).toMatchObject({ level: "warn", err_kind: "io.bind" });
  expect(listenPort(await crowded.logged("start"))).toBeGreaterThan(0);
  // That nobody answers is certain after five seconds.
}, 20_000);

test("a node that does not watch its network ends with its terminal", async () => {
  await using config = await configFolder(serverIdentity, { role: "server", tcp: { listen_addr: "127.0.0.1:0" } });
  await using node = startUt("-config", config.path);
  await node.logged("start");
  node.child.kill("SIGHUP");
  await node.child.exited;
  expect(node.child.signalCode).toBe("SIGHUP");
});
