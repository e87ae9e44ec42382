import { parseConfig } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { issueNode, makeCa, type NodeRequest } from "../io/pki/pki.ts";
import type { NodeIdentity } from "./role.ts";

/** The only address that anything of `ut demo` and `ut bench` listens on. */
export const LOOPBACK = "127.0.0.1";

export interface LoopbackIdentities {
  readonly client: NodeIdentity;
  readonly server: NodeIdentity;
}

/** A private CA and one certificate for each end, in memory only and good for a day. */
export async function throwAwayIdentities(): Promise<LoopbackIdentities> {
  const ca = await makeCa({ cn: "ut throw-away CA", days: 1 });
  const notAfter = new Date(Date.now() + 86_400_000);
  const issue = async (request: NodeRequest & { readonly cn: string }): Promise<NodeIdentity> => ({
    ...(await issueNode(ca, { ...request, days: 1 })),
    ca: ca.cert,
    cn: request.cn,
    notAfter,
  });
  return { client: await issue({ cn: "client" }), server: await issue({ cn: "server", hosts: [LOOPBACK] }) };
}

/** The client's config: every default, lanes to `serverPort`, any free UDP port. */
export function loopbackClient(serverPort: number, lanes: number): Config {
  return loopbackConfig({
    role: "client",
    tcp: { server_addr: `${LOOPBACK}:${serverPort}`, lanes },
    udp: { listen_addr: `${LOOPBACK}:0` },
  });
}

/** The server's config: every default, any free TCP port, datagrams to `targetPort`, no STUN for anybody. */
export function loopbackServer(targetPort: number): Config {
  return loopbackConfig({
    role: "server",
    tcp: { listen_addr: `${LOOPBACK}:0` },
    udp: { wg_udp_addr: `${LOOPBACK}:${targetPort}` },
    server: { stun: { listen: [] } },
  });
}

/** Through the same door as a file, so that defaults are the real ones. JSON is YAML. */
function loopbackConfig(settings: Record<string, unknown>): Config {
  // The roles get their certificates in memory; a config without paths is none.
  const tls = { ca_cert: "unused", cert: "unused", key: "unused" };
  return parseConfig(JSON.stringify({ ...settings, tls }), "loopback");
}
