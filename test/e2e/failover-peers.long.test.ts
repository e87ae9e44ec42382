import { afterAll, expect, test } from "bun:test";
import { identity, serverIdentity } from "./support/identities.ts";
import { type PeerProcess, peerProcess, serverProcess } from "./support/peers.ts";
import { expectNoSecretsInLogs } from "./support/secrets.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { until } from "./support/until.ts";

/** Ends of pipes with a list of servers, as processes. */

const home = await identity({ cn: "home" });
const office = await identity({ cn: "office" });

afterAll(() => expectNoSecretsInLogs(home, office, serverIdentity));

test("agent and relay meet again at the next server, and once more at the first: through it, and straight", async () => {
  using echo = await udpEnd({ echo: true });
  await using life = new AsyncDisposableStack();
  const first = life.use(await serverProcess());
  await using second = await serverProcess();
  const tcp = { server_addr: [first, second].map(({ ports }) => `127.0.0.1:${ports[0]}`) };
  const p2p = { listen_addr: "127.0.0.1:0", port_mapping: false, include_loopback: true, prefer: "direct" };
  const udp = [{ name: "echo", target: `127.0.0.1:${echo.port}`, allow: ["home"] }];
  await using agent = await peerProcess(office, first, { role: "agent", services: { udp }, tcp, p2p });
  const relay = [{ listen_addr: "127.0.0.1:0", to: "office", service: "echo" }];
  await using near = await peerProcess(home, first, { role: "relay", relay, tcp, p2p });
  const viaServer = { ...p2p, prefer: "relay" };
  await using far = await peerProcess(home, first, { role: "relay", relay, tcp, p2p: viaServer });
  using end = await udpEnd();
  using through = await udpEnd();
  const says = (peer: PeerProcess, event: string) => peer.ut.lines.some((line) => line.event === event);
  const allSay = (event: string) => until(event, () => [agent, near, far].every((peer) => says(peer, event)), 15_000);
  await echoes(end, near.ports[0]);
  await echoes(through, far.ports[0]);
  await until("a direct path", () => says(near, "pipe_direct"));
  await life.disposeAsync();
  await allSay("server_moved");
  await echoes(through, far.ports[0]);
  await echoes(end, near.ports[0]);
  await using _again = await serverProcess(first.ports[0]);
  await allSay("server_returned");
  await echoes(through, far.ports[0]);
  await echoes(end, near.ports[0]);
}, 40_000);

/** Datagrams come back again, however many are lost before one does. */
async function echoes(end: UdpEnd, port = 0): Promise<void> {
  const before = end.received.length;
  for (let i = 0; i < 500 && end.received.length === before; i++) {
    end.sendTo(port, marked(i));
    await Bun.sleep(20);
  }
  expect(end.received.length).toBeGreaterThan(before);
}
