import { join } from "node:path";
import { formatAddress } from "../../src/config/address.ts";
import type { Job } from "./job.ts";
import type { Lab } from "./lab.ts";
import { type Namespace, runCommand } from "./namespace.ts";
import type { Endpoint } from "./pulse.ts";

/** What WireGuard takes from a 1,500 B path with IPv4 outside: the interface MTU that `wg-quick` picks too. */
export const WIREGUARD_MTU = 1420;

/**
 * Two real WireGuard hosts (wireguard-go) with a tunnel between them.
 *
 *   client namespace                            server namespace
 *   10.77.0.1 ── wg ──> clientEndpoint  . . .   serverPort ── wg ── 10.77.0.2
 *   fd77::1                                                         fd77::2
 *
 * Only the client knows where its peer is, as behind a NAT; the server answers wherever packets come from.
 */
export interface WireGuardPair extends AsyncDisposable {
  /** Inside the tunnel. */
  readonly client: string;
  readonly server: string;
  /** The same over IPv6. */
  readonly client6: string;
  readonly server6: string;
  cpuSeconds(): Promise<number>;
}

export interface WireGuardOptions {
  client: Namespace;
  server: Namespace;
  /** Where the client's WireGuard finds its peer: the far host, or a local `ut`. */
  clientEndpoint: Endpoint;
  serverPort: number;
  /** Of both ends; `WIREGUARD_MTU` unless told. */
  mtu?: number;
}

export async function openWireGuardPair(lab: Lab, options: WireGuardOptions): Promise<WireGuardPair> {
  const addresses = { client: "10.77.0.1", server: "10.77.0.2", client6: "fd77::1", server6: "fd77::2" };
  const [clientKeys, serverKeys] = [await makeKeys(), await makeKeys()];
  const endpoint = formatAddress(options.clientEndpoint);
  const { mtu = WIREGUARD_MTU } = options;
  const server = await openDevice(lab, options.server, serverKeys, {
    mtu,
    addresses: [`${addresses.server}/24`, `${addresses.server6}/64`],
    listenPort: options.serverPort,
    peer: ["peer", clientKeys.public, "allowed-ips", `${addresses.client}/32,${addresses.client6}/128`],
  });
  const client = await openDevice(lab, options.client, clientKeys, {
    mtu,
    addresses: [`${addresses.client}/24`, `${addresses.client6}/64`],
    peer: [
      ...["peer", serverKeys.public, "endpoint", endpoint],
      ...["allowed-ips", `${addresses.server}/32,${addresses.server6}/128`],
    ],
  });
  return {
    ...addresses,
    cpuSeconds: async () => (await client.cpuSeconds()) + (await server.cpuSeconds()),
    async [Symbol.asyncDispose]() {
      await client.stop();
      await server.stop();
    },
  };
}

interface Keys {
  private: string;
  public: string;
}

interface Device {
  mtu: number;
  /** With their prefix lengths. */
  addresses: readonly string[];
  listenPort?: number;
  peer: string[];
}

async function makeKeys(): Promise<Keys> {
  const secret = (await runCommand(["wg", "genkey"])).trim();
  return { private: secret, public: (await runCommand(["wg", "pubkey"], { input: secret })).trim() };
}

async function openDevice(lab: Lab, namespace: Namespace, keys: Keys, device: Device): Promise<Job> {
  // Its control socket is /run/wireguard/NAME.sock in every namespace, so the name must be unique on the machine.
  const name = lab.uniqueInterface();
  const job = namespace.start(`wireguard-go ${name}`, ["wireguard-go", "--foreground", name], {
    env: { LOG_LEVEL: "verbose" },
  });
  await job.line(/UAPI listener started/);
  const keyFile = join(lab.folder, `${name}.key`);
  await Bun.write(keyFile, keys.private, { mode: 0o600 });
  const port = device.listenPort === undefined ? [] : ["listen-port", String(device.listenPort)];
  await namespace.run(["wg", "set", name, "private-key", keyFile, ...port, ...device.peer]);
  await namespace.ip([
    ...device.addresses.map((address) => `addr add ${address} dev ${name}`),
    `link set ${name} mtu ${device.mtu} txqueuelen 1000 up`,
  ]);
  return job;
}
