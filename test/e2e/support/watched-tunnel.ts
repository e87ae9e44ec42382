import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { StatusReport } from "../../../src/io/http/status-report.ts";
import { openUdp } from "../../../src/io/udp/udp.ts";
import { identity, serverIdentity } from "./identities.ts";
import { type ConfigFolder, configFolder, startUt, type UtProcess } from "./ut-process.ts";

/** A node as a process of its own, with its status address. */
export interface WatchedNode extends AsyncDisposable {
  readonly ut: UtProcess;
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** The first port of its start line's `listen`. */
  readonly port: number;
  /** Its config. */
  readonly path: string;
  status(): Promise<StatusReport>;
}

/** A client, a network that can cut single lanes, a server, and an echo behind it. */
export interface WatchedTunnel extends AsyncDisposable {
  readonly client: WatchedNode;
  readonly server: WatchedNode;
  readonly gate: LaneGate;
  /** Datagrams of 1,200 bytes into the tunnel, so many a second, until stopped. */
  traffic(perSecond: number): { stop(): void };
}

export async function watchedTunnel(settings: Record<string, unknown> = {}): Promise<WatchedTunnel> {
  const stack = new AsyncDisposableStack();
  const wg = stack.use(await echo());
  const server = stack.use(
    await watchedNode(serverIdentity, {
      role: "server",
      tcp: { listen_addr: "127.0.0.1:0" },
      udp: { wg_udp_addr: `127.0.0.1:${wg.port}` },
    }),
  );
  const gate = stack.use(await laneGate(server.port));
  const client = stack.use(
    await watchedNode(await identity({ cn: "home" }), {
      role: "client",
      udp: { listen_addr: "127.0.0.1:0" },
      ...settings,
      tcp: { server_addr: `127.0.0.1:${gate.port}`, ...(settings.tcp as object) },
    }),
  );
  const source = stack.use(await sender());
  return {
    client,
    server,
    gate,
    traffic(perSecond) {
      const datagram = new Uint8Array(1_200);
      const started = performance.now();
      let sent = 0;
      const timer = setInterval(() => {
        const due = Math.floor(((performance.now() - started) * perSecond) / 1_000) - sent;
        source.send(client.port, Array<Uint8Array>(Math.min(due, 500)).fill(datagram));
        sent += due;
      }, 5);
      return { stop: () => clearInterval(timer) };
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function watchedNode(who: typeof serverIdentity, settings: Record<string, unknown>): Promise<WatchedNode> {
  const folder: ConfigFolder = await configFolder(who, settings);
  const ut = startUt("-config", folder.path);
  const started = await ut.logged("start");
  const { port: metricsPort } = started.metrics as { readonly port: number };
  const url = `http://127.0.0.1:${metricsPort}`;
  const [listen = ""] = started.listen as string[];
  return {
    ut,
    url,
    port: Number(listen.split(":").at(-1)),
    path: folder.path,
    status: async () => (await (await fetch(`${url}/api/status`)).json()) as StatusReport,
    async [Symbol.asyncDispose]() {
      await ut[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A network that passes connections on, until it is told to break one, or to let no more in. */
export interface LaneGate extends AsyncDisposable {
  readonly port: number;
  isOpen: boolean;
  /** Reset the connection that the server sees coming from `port`. */
  cut(port: number): void;
}

async function laneGate(serverPort: number): Promise<LaneGate> {
  const pairs = new Set<readonly [Socket, Socket]>();
  const listener = createServer((near) => {
    if (!gate.isOpen) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(serverPort, "127.0.0.1");
    const pair = [near, far] as const;
    pairs.add(pair);
    near.pipe(far).pipe(near);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.resetAndDestroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const gate: LaneGate = {
    port: (listener.address() as AddressInfo).port,
    isOpen: true,
    cut(port) {
      for (const [near, far] of pairs) if (far.localPort === port) near.resetAndDestroy();
    },
    async [Symbol.asyncDispose]() {
      for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
  return gate;
}

/** As `udpEnd` with `echo`, but what comes is forgotten: there may be millions of it. */
async function echo(): Promise<{ port: number } & Disposable> {
  const socket = await openUdp({
    host: "127.0.0.1",
    port: 0,
    onDatagram: (datagram, port, address) => socket.sendTo([datagram], port, address),
    onDrop() {},
    onSent() {},
  });
  return socket;
}

async function sender(): Promise<{ send(port: number, datagrams: Uint8Array[]): void } & Disposable> {
  const socket = await openUdp({ host: "127.0.0.1", port: 0, onDatagram() {}, onDrop() {}, onSent() {} });
  return {
    send: (port, datagrams) => socket.sendTo(datagrams, port, "127.0.0.1"),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}
