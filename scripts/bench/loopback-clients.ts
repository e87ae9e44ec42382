/**
 * Many clients in one process, for the memory of a server: reads one JSON line `ManyClients` from stdin, starts the
 * real client role so often, and has a datagram of each come back before the next one dials. Then `up N`; then every
 * client sends at a steady pace until stdin ends, and `done SENT BACK` is the last line.
 */

import { loopbackClient } from "../../src/app/loopback.ts";
import type { Role } from "../../src/app/role.ts";
import { startClient } from "../../src/app/tunnel/client.ts";
import { until } from "../../src/app/wait.ts";
import { createLog } from "../../src/io/log/log.ts";
import { issueNode, type KeyedCertificate } from "../../src/io/pki/pki.ts";

export interface ManyClients {
  readonly ca: KeyedCertificate;
  /** CNs, one client each. */
  readonly names: readonly string[];
  readonly serverPort: number;
  readonly lanes: number;
  readonly bytes: number;
  /** Of each client. */
  readonly perSecond: number;
}

const DIAL_MS = 20_000;

const lines = console[Symbol.asyncIterator]();
const first = await lines.next();
const many = JSON.parse(first.value ?? "{}") as ManyClients;
const log = createLog({
  level: "error",
  role: "client",
  destination: { write: (line) => void process.stderr.write(line) },
});
const never = new AbortController().signal;
const datagram = new Uint8Array(many.bytes);
let sent = 0;
let back = 0;

interface Talker {
  readonly role: Role;
  readonly socket: Bun.udp.ConnectedSocket<"uint8array">;
  heard: number;
}

const talkers: Talker[] = [];
// One after the other: the server takes 32 connections of one address that have shown no certificate yet, and other
// processes like this one are dialling, too.
for (const name of many.names) talkers.push(await open(name));
console.log(`up ${talkers.length}`);

const timer = setInterval(() => {
  for (const talker of talkers) send(talker);
}, 1_000 / many.perSecond);
await lines.next();
clearInterval(timer);
await until(() => back >= sent, 1_000, never);
console.log(`done ${sent} ${back}`);
process.exit(0);

async function open(cn: string): Promise<Talker> {
  const identity = {
    ...(await issueNode(many.ca, { cn })),
    ca: many.ca.cert,
    cn,
    notAfter: new Date(Date.now() + 86_400_000),
  };
  const context = { log, node: "ut bench", handshakeDone: () => {} };
  const role = await startClient(loopbackClient(many.serverPort, many.lanes), identity, context);
  let talker: Talker | undefined;
  const socket = await Bun.udpSocket({
    binaryType: "uint8array",
    connect: { hostname: "127.0.0.1", port: role.port },
    socket: {
      data: () => {
        back++;
        if (talker !== undefined) talker.heard++;
      },
    },
  });
  talker = { role, socket, heard: 0 };
  send(talker);
  const open = () => role.status().sessions[0]?.lanes.length === many.lanes;
  if (!(await until(() => talker.heard > 0 && open(), DIAL_MS, never)))
    throw new Error(`${cn}: no answer, or not all lanes`);
  return talker;
}

function send(talker: Talker): void {
  talker.socket.send(datagram);
  sent++;
}
