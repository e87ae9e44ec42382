import type { NodeIdentity } from "../../../src/app/role.ts";
import { serverIdentity } from "./identities.ts";
import { type ConfigFolder, configFolder, startUt, type UtProcess } from "./ut-process.ts";

/** `ut` as a process, with the folder that its config is in. Ended by signal, or at the end of the test. */
export interface PeerProcess extends AsyncDisposable {
  readonly ut: UtProcess;
  /** The ports of its start line's `listen`. */
  readonly ports: readonly number[];
  /** Of `/api/status`. */
  status(): Promise<StatusJson>;
}

/** The part of `/api/status` that is about pipes; the rest is any JSON. */
export interface StatusJson {
  readonly ready: boolean;
  readonly roles: readonly { readonly role: string; readonly ready: boolean; readonly sessions: readonly unknown[] }[];
  readonly traversal: {
    readonly stats: Readonly<Record<string, unknown>>;
    readonly plane: { readonly paths: Readonly<Record<string, number>> } | null;
    readonly pipes: readonly {
      readonly peer: string;
      readonly service: string;
      readonly route: string;
      readonly state: string;
      readonly ownNat: { readonly type: string };
      readonly peerNat: { readonly type: string } | null;
      readonly verdict: string;
      readonly direct: { readonly remote: string; readonly meta: { readonly winner: string } } | null;
      readonly attempts: readonly { readonly report: { readonly verdict: string } | null }[];
      readonly counters: Readonly<Record<string, number>> | null;
    }[];
  };
}

/** A server with STUN on loopback. `port`: of an earlier one that is gone. `wireGuard`: where the tunnel leads. `tcp`: more of it. */
export async function serverProcess(
  port = 0,
  stunPort = 0,
  wireGuard = 9,
  tcp: Record<string, unknown> = {},
): Promise<PeerProcess & { readonly stun: string }> {
  const peer = await start(serverIdentity, {
    role: "server",
    tcp: { listen_addr: `127.0.0.1:${port}`, ...tcp },
    udp: { wg_udp_addr: `127.0.0.1:${wireGuard}` },
    server: { stun: { listen: [`127.0.0.1:${stunPort}`] } },
  });
  const started = await peer.ut.logged("start");
  return { ...peer, stun: String((started.stun as string[])[0]) };
}

/** An agent or relay, or several roles, whose server is `server`. */
export function peerProcess(
  identity: NodeIdentity,
  server: { readonly ports: readonly number[]; readonly stun: string },
  settings: Record<string, unknown>,
  args: readonly string[] = [],
): Promise<PeerProcess> {
  return start(
    identity,
    {
      nat: { stun_servers: [server.stun] },
      p2p: { listen_addr: "127.0.0.1:0", port_mapping: false, include_loopback: true },
      ...settings,
      tcp: { server_addr: `127.0.0.1:${server.ports[0]}`, ...(settings.tcp as object) },
    },
    args,
  );
}

async function start(
  identity: NodeIdentity,
  settings: Record<string, unknown>,
  args: readonly string[] = [],
): Promise<PeerProcess> {
  const folder: ConfigFolder = await configFolder(identity, settings);
  const ut = startUt(...args, "-config", folder.path);
  const started = await ut.logged("start");
  const { port } = started.metrics as { readonly port: number };
  const ports = (started.listen as string[])
    .flatMap((text) => text.split(", "))
    .map((text) => Number(text.split(":").at(-1)));
  return {
    ut,
    ports,
    async status() {
      const response = await fetch(`http://127.0.0.1:${port}/api/status`);
      return (await response.json()) as StatusJson;
    },
    async [Symbol.asyncDispose]() {
      await ut[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
