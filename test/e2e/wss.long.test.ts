import { expect, test } from "bun:test";
import { identity } from "./support/identities.ts";
import { lanesUp, type TestNode, testClient, testServer } from "./support/nodes.ts";
import { marked, type UdpEnd, udpEnd } from "./support/udp-end.ts";
import { turn } from "./support/until.ts";

/** What `wss` costs beside `tcp`, in CPU time of one process that holds both ends: others on the machine hardly change it. */

const ROUNDS = 5;
const DATAGRAMS = 20_000;
/** Under way at a time: enough for full batches, less than any queue holds. */
const WINDOW = 256;
const BURST = 64;
const TRANSPORTS = ["tcp", "wss"] as const;

const home = await identity({ cn: "home" });

interface Bed extends AsyncDisposable {
  readonly client: TestNode;
  readonly end: UdpEnd;
  readonly far: UdpEnd;
  /** Of the session, at the server. */
  readonly port: number;
}

async function openBed(transport: (typeof TRANSPORTS)[number]): Promise<Bed> {
  await using opening = new AsyncDisposableStack();
  const [far, end] = [opening.use(await udpEnd()), opening.use(await udpEnd())];
  const server = opening.use(await testServer(far.port, { tcp: { transport } }));
  const client = opening.use(await testClient(server.port, home, { tcp: { transport }, queue: { target_ms: 0 } }));
  end.sendTo(client.port, marked(0));
  await far.count(1);
  await lanesUp(client, "home", 5);
  const owned = opening.move();
  const port = Number(server.session("home")?.udp.split(":").at(-1));
  return { client, end, far, port, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** Microseconds of CPU for each datagram on its way through both ends, those of this test included. */
async function cost(from: UdpEnd, port: number, to: UdpEnd): Promise<number> {
  const datagram = marked(1, 1_200);
  const burst = Array.from({ length: BURST }, () => datagram);
  const start = to.received.length;
  const before = process.cpuUsage();
  for (let sent = 0; to.received.length - start < DATAGRAMS; await turn())
    while (sent < DATAGRAMS && sent - (to.received.length - start) < WINDOW) {
      from.sendTo(port, ...burst);
      sent += BURST;
    }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / (to.received.length - start);
}

test("a datagram costs little more over wss than over tcp, either way", async () => {
  await using tcp = await openBed("tcp");
  await using wss = await openBed("wss");
  const best = { tcp: { up: Infinity, down: Infinity }, wss: { up: Infinity, down: Infinity } };
  for (let round = 0; round < ROUNDS; round++)
    for (const name of TRANSPORTS) {
      const { client, end, far, port } = { tcp, wss }[name];
      best[name].up = Math.min(best[name].up, await cost(end, client.port, far));
      best[name].down = Math.min(best[name].down, await cost(far, port, end));
    }
  const ratios = { up: best.wss.up / best.tcp.up, down: best.wss.down / best.tcp.down };
  console.log("wss beside tcp, µs of CPU for a datagram:", best, ratios);
  // Measured: 0.9 to 1.1, on a crowded machine.
  expect(ratios.up).toBeLessThan(1.5);
  expect(ratios.down).toBeLessThan(1.5);
}, 120_000);
