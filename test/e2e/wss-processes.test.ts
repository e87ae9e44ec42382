import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { identity, serverIdentity } from "./support/identities.ts";
import { peerProcess, serverProcess } from "./support/peers.ts";
import { scriptedProxy } from "./support/scripted-proxy.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** `wss` through a proxy with everything that a process has: tunnel, control connection, pipes between peers. */

// Each test starts several processes, beside other stages of the run.
setDefaultTimeout(20_000);

const office = await identity({ cn: "office" });
const home = await identity({ cn: "home" });
afterAll(() => expectNoSecretsInLogs(office, home, serverIdentity));

const SIZES = [0, 1, 148, 1_280, 1_452, 9_000, 65_000];
const WAY = { transport: "wss", wss: { path: "/a/b" } };
const PASSWORD = "open:sesame";

test("a client that is a relay, too, an agent, and a server", async () => {
  using echo = await udpEnd({ echo: true });
  using wireGuard = await udpEnd({ echo: true });
  await using server = await serverProcess(0, 0, wireGuard.port, WAY);
  await using proxy = await scriptedProxy("HTTP/1.1 200 OK\r\n\r\n", { port: server.ports[0] ?? 0 });
  const way = { ...WAY, lanes: 2, proxy: `http://clerk:${encodeURIComponent(PASSWORD)}@127.0.0.1:${proxy.port}` };
  const p2p = { listen_addr: "127.0.0.1:0", port_mapping: false, direct: false };
  const services = { udp: [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["home"] }] };
  await using agent = await peerProcess(office, server, { role: "agent", services, tcp: way, p2p });
  const relay = [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }];
  const udp = { listen_addr: "127.0.0.1:0" };
  await using both = await peerProcess(home, server, { roles: ["client", "relay"], relay, udp, tcp: way, p2p });
  for (const [port, far] of [
    [both.ports[0] ?? 0, wireGuard],
    [both.ports[1] ?? 0, echo],
  ] as const) {
    using end = await udpEnd();
    for (const [index, size] of SIZES.entries()) {
      const datagram = new Uint8Array(size).fill(size % 251);
      end.sendTo(port, datagram);
      await end.count(index + 1);
      expect([end.received[index], far.received[index]]).toEqual([datagram, datagram]);
    }
  }
  expect((await both.status()).ready).toBe(true);
  const authorization = `Proxy-Authorization: Basic ${btoa(`clerk:${PASSWORD}`)}`;
  expect(new Set(proxy.requests.map((head) => head.split("\r\n")[2]))).toEqual(new Set([authorization]));
  both.ut.child.kill("SIGTERM");
  expect(await both.ut.child.exited).toBe(0);
  await until("its end at the server", () => server.ut.lines.filter(({ event }) => event === "lane_close").length >= 2);
  const said = JSON.stringify([both, agent, server].map(({ ut }) => ut.lines));
  expect(
    [PASSWORD, encodeURIComponent(PASSWORD), btoa(`clerk:${PASSWORD}`)].filter((form) => said.includes(form)),
  ).toEqual([]);
  expect(both.ut.lines.find(({ event }) => event === "start")).toMatchObject({
    transport: "wss",
    proxy: `127.0.0.1:${proxy.port}`,
  });
  expect([both, agent, server].flatMap(({ ut }) => ut.lines).filter(({ level }) => level === "warn")).toEqual([]);
});
