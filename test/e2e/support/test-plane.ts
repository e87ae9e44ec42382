import { startNatWatch } from "../../../src/app/nat/nat-watch.ts";
import { type P2pUdpConn, PeerPlane, type PipeUser } from "../../../src/app/peers/peer-plane.ts";
import type { NodeIdentity } from "../../../src/app/role.ts";
import { Uplink } from "../../../src/app/tunnel/uplink.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { TraversalStats } from "../../../src/core/nat/traversal-stats.ts";
import type { PipeId } from "../../../src/core/peer/peer-event.ts";
import { createLog } from "../../../src/io/log/log.ts";

/** An end of pipes in the test's own process, which others may find under its CN; it echoes what they send. */
export interface TestPlane extends AsyncDisposable {
  readonly plane: PeerPlane;
  /** It knows what NAT it is behind, or that nobody tells. */
  readonly isChecked: boolean;
  open(to: string): TestPipe;
}

export interface TestPlaneOptions {
  /** Of the UDP socket. */
  readonly listen: string;
  readonly hardNat?: Record<string, unknown>;
}

const FLOW = 2;
const WORD = new TextEncoder().encode("hello");

export async function testPlane(
  who: NodeIdentity,
  server: { readonly ports: readonly number[]; readonly stun: string },
  { listen, hardNat = {} }: TestPlaneOptions,
): Promise<TestPlane> {
  const config = parseConfig(
    JSON.stringify({
      role: "agent",
      tls: { ca_cert: "unused", cert: "unused", key: "unused" },
      services: { udp: [] },
      nat: { stun_servers: [server.stun] },
      p2p: { listen_addr: listen, port_mapping: false, include_loopback: true },
      tcp: { server_addr: `127.0.0.1:${server.ports[0]}`, lanes: 1 },
      hard_nat: hardNat,
    }),
    who.cn,
  );
  // Lines that are kept would count as memory.
  const log = createLog({ level: "error", role: who.cn });
  const stats = new TraversalStats();
  const uplink = new Uplink(config, who, { log, node: "ut test", handshakeDone: () => {} });
  const watch = await startNatWatch({ config, log, stats });
  const plane: PeerPlane = new PeerPlane({
    ...{ config, identity: who, log, stats, watch, uplink, node: "ut test" },
    authorise: () => true,
    accept: (pipe) => ({
      deliver: (flow, datagrams) => {
        for (const datagram of datagrams) plane.send(pipe, flow, datagram);
      },
      direct: () => {},
      closed: () => {},
    }),
    certificateSeen: () => {},
  });
  return {
    plane,
    get isChecked() {
      return watch.status().checks > 0;
    },
    open: (to) => new TestPipe(plane, to),
    async [Symbol.asyncDispose]() {
      plane[Symbol.dispose]();
      await watch[Symbol.asyncDispose]();
      await uplink[Symbol.asyncDispose]();
    },
  };
}

/** A pipe that was asked for, and what has become of it. */
export class TestPipe implements PipeUser {
  readonly #plane: PeerPlane;
  readonly #id: PipeId;
  echoes = 0;
  conn: P2pUdpConn | undefined;
  isClosed = false;

  constructor(plane: PeerPlane, to: string) {
    this.#plane = plane;
    this.#id = plane.open(to, "echo", this);
  }

  send(): void {
    this.#plane.send(this.#id, FLOW, WORD);
  }

  close(): void {
    this.#plane.close(this.#id);
  }

  deliver(_flow: number, datagrams: readonly Uint8Array[]): void {
    this.echoes += datagrams.length;
  }

  direct(conn: P2pUdpConn | undefined): void {
    this.conn = conn;
  }

  closed(): void {
    this.isClosed = true;
  }
}
