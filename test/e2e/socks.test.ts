import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Program, tcpServer } from "../unit/app/socks/socks-bed.ts";
import { identity, serverIdentity } from "./support/identities.ts";
import type { LogLine } from "./support/logbook.ts";
import { type PeerProcess, serverProcess } from "./support/peers.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { asking, connected, exitOf, homeProxy, officeAgent, proxyOf } from "./support/socks.ts";
import { configFolder, startUt } from "./support/ut-process.ts";

/** `ut socks` and `ut agent` as processes on loopback. */

// Each test starts up to four processes, beside other stages of the run.
setDefaultTimeout(30_000);

afterAll(() => expectNoSecretsInLogs(officeAgent, homeProxy, serverIdentity));

const viaServer = { p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, direct: false } };

function lines(peer: PeerProcess, event: string): LogLine[] {
  return peer.ut.lines.filter((line) => line.event === event) as LogLine[];
}

interface SocksReport {
  readonly open: { readonly connect: number };
  readonly opened: { readonly connect: number };
  readonly bytes: { readonly up: number; readonly down: number };
  readonly refused: Readonly<Record<string, number>>;
}

async function report(peer: PeerProcess): Promise<SocksReport> {
  const { roles } = (await peer.status()) as unknown as { roles: { socks: SocksReport }[] };
  return roles[0]?.socks as SocksReport;
}

/** What of `report` is not zero. */
async function refused(peer: PeerProcess): Promise<Record<string, number>> {
  return Object.fromEntries(Object.entries((await report(peer)).refused).filter(([, count]) => count > 0));
}

test("curl goes through it, as SOCKS5 and as HTTP proxy, with users, and what is refused is told apart", async () => {
  using web = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("a page") });
  await using server = await serverProcess();
  await using agent = await exitOf(server, viaServer, ["127.0.0.1"]);
  await using proxy = await proxyOf(server, { ...viaServer, socks: { users: { ann: "very secret" } } });
  const url = `http://127.0.0.1:${web.port}/`;
  const curl = async (...args: string[]) => {
    const { stdout, stderr } = await Bun.$`curl -sS ${args}`.nothrow().quiet();
    return `${stdout}${stderr}`.trim();
  };
  const socks = `socks5h://ann:very%20secret@127.0.0.1:${proxy.port}`;
  const http = `http://ann:very%20secret@127.0.0.1:${proxy.port}`;
  expect(await curl("--proxy", socks, url)).toBe("a page");
  expect(await curl("--proxy", http, "--proxytunnel", url)).toBe("a page");
  expect(await curl("--proxy", `socks5h://127.0.0.1:${proxy.port}`, url)).toContain("curl: (97)");
  expect(await curl("--proxy", `http://ann:no@127.0.0.1:${proxy.port}`, "--proxytunnel", url)).toContain("407");
  expect(await curl("--proxy", socks, "http://127.0.0.1:1/")).toContain("(5)");
  expect(await curl("--proxy", socks, "http://10.1.2.3/")).toContain("(2)");
  expect(await curl("--proxy", socks, "http://no-such-host.invalid/")).toContain("(4)");
  expect(await curl("--proxy", http, "http://127.0.0.1/")).toContain("only CONNECT goes through here");
  expect(await refused(proxy)).toEqual({
    auth_missing: 1,
    auth_failed: 1,
    command: 1,
    refused: 1,
    not_allowed: 1,
    host_unreachable: 1,
  });
  expect(await refused(agent)).toEqual({ refused: 1, private: 1, resolve: 1 });
  const { opened, bytes } = await report(proxy);
  expect([opened.connect, bytes]).toEqual([5, (await report(agent)).bytes]);
  await sayBadThings(proxy.port);
  expect(await refused(proxy)).toEqual({
    auth_missing: 2,
    auth_failed: 1,
    command: 1,
    refused: 1,
    not_allowed: 1,
    host_unreachable: 1,
    malformed: 4,
  });
  expect(await curl("--proxy", socks, url)).toBe("a page");
  // Above debug, no line says where to; and none has the password.
  const all = [...proxy.ut.lines, ...agent.ut.lines];
  expect(JSON.stringify(all.filter(({ level }) => level !== "debug"))).not.toMatch(/10\.1\.2\.3|no-such-host/);
  expect(JSON.stringify(all)).not.toMatch(/very.{0,3}secret/);
  expect(lines(agent, "exit_request")).toContainEqual(
    expect.objectContaining({ level: "debug", host: "10.1.2.3", port: 80 }),
  );
});

test("a proxy and an agent that come and go: attempts are told of, what breaks looks broken, and what comes anew works", async () => {
  const others: Program[] = [];
  using web = await tcpServer((program) => {
    program.send("half of it");
    others.push(program);
  });
  const open = async (port: number) => {
    const program = await connected(port, web.port);
    await program.has(10);
    return [program, others.at(-1) as Program] as const;
  };
  await using server = await serverProcess();
  await using agent = await exitOf(server, { hard_nat: { mode: "fallback" } });
  await using proxy = await proxyOf(server, {}, ["socks", "--p2p-hardnat", "fallback"]);
  const told = { service: "socks", mode: "fallback", winner: "ice", verdict: "direct" };
  expect(await proxy.ut.logged("socks_hardnat_diag")).toMatchObject({ ...told, peer: "office" });
  expect(await agent.ut.logged("agent_hardnat_diag")).toMatchObject({ ...told, peer: "home" });
  expect(lines(proxy, "relay_hardnat_diag")).toEqual([]);
  expect((await proxy.status()).traversal.stats).toMatchObject({ ice_success: 1, hardnat_success: 0 });

  const killed = await open(proxy.port);
  agent.ut.child.kill("SIGKILL");
  expect(await killed[1].over()).toBe("broken");
  await using anew = await exitOf(server);
  const stopped = await open(proxy.port);
  // The proxy heard of the first one's end by the next one's greeting, and not by waiting.
  expect([await killed[0].over(), killed[0].hasEnded, killed[1].hasEnded]).toEqual(["broken", false, false]);

  proxy.ut.child.kill("SIGTERM");
  expect(await proxy.ut.child.exited).toBe(0);
  expect([await stopped[0].over(), await stopped[1].over()]).toEqual(["broken", "broken"]);
  await using again = await proxyOf(server);
  const last = await open(again.port);
  anew.ut.child.kill("SIGTERM");
  expect([await last[0].over(), await anew.ut.child.exited]).toEqual(["broken", 0]);
  expect(lines(again, "streams_down")[0]).toMatchObject({ peer: "office" });
});

test("an agent whose certificate is none for agents says so, with the command that makes one", async () => {
  const plain = await identity({ cn: "office" });
  const services = { socks: { allow: ["home"] } };
  await using folder = await configFolder(plain, { role: "agent", services, tcp: { server_addr: "127.0.0.1:9" } });
  await using ut = startUt("-config", folder.path);
  expect(await ut.child.exited).toBe(1);
  expect(await ut.stderr()).toContain('issue it with "ut pki issue --cn office --agent --force"');
});

/** Every one of it has its answer, or none. */
async function sayBadThings(port: number): Promise<void> {
  const said: readonly [Uint8Array | string, string][] = [
    [Buffer.alloc(5_000), ""],
    [Buffer.from("0400005008080404", "hex"), ""],
    [Buffer.from("05020001", "hex"), "05ff"],
    ["HELO there\r\n\r\n", Buffer.from("HTTP/1.1 400 ").toString("hex")],
    [`CONNECT ${"a".repeat(20_000)}`, Buffer.from("HTTP/1.1 431 ").toString("hex")],
  ];
  for (const [bytes, heard] of said) {
    const program = asking(port, bytes);
    await program.ended();
    expect(program.received.toString("hex").slice(0, Math.max(1, heard.length))).toBe(heard);
  }
}
