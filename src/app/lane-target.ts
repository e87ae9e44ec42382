import type { Address } from "../config/address.ts";
import type { Config } from "../config/schema.ts";
import type { LaneDialOptions } from "../io/lane-dial.ts";

const HTTPS_PORT = 443;

/** How the config has a lane, or a control connection, dialled to the server at `address`. */
export function laneTarget(
  tcp: Config["tcp"],
  serverName: string | undefined,
  address: Address,
): Omit<LaneDialOptions, "identity"> {
  const name = serverName ?? address.host;
  return {
    host: address.host,
    port: address.port,
    serverName: name,
    proxy: tcp.proxy,
    webSocket:
      tcp.transport === "wss" ? { path: tcp.wss.path, host: tcp.wss.host ?? hostField(name, address.port) } : undefined,
  };
}

/** RFC 9110 §7.2: the port is left out where it goes without saying. */
function hostField(name: string, port: number): string {
  const host = name.includes(":") ? `[${name}]` : name;
  return port === HTTPS_PORT ? host : `${host}:${port}`;
}
