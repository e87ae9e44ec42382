import type { Address } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { LaneDialOptions } from "../../io/lanes/lane-dial.ts";

/** What the config says of the way to servers. */
export type LaneWay = Pick<Config["tcp"], "transport" | "wss" | "proxy">;

export type LaneTarget = Omit<LaneDialOptions, "identity" | "resolve">;

const HTTPS_PORT = 443;

/** How a lane, or a control connection, to the server at `address` is dialled. */
export function laneTarget(way: LaneWay, serverName: string | undefined, { host, port }: Address): LaneTarget {
  const name = serverName ?? host;
  const webSocket = { path: way.wss.path, host: way.wss.host ?? hostField(name, port) };
  return {
    host,
    port,
    serverName: name,
    proxy: way.proxy,
    webSocket: way.transport === "wss" ? webSocket : undefined,
  };
}

/** RFC 9110 §7.2: the port is left out where it goes without saying. */
function hostField(name: string, port: number): string {
  const host = name.includes(":") ? `[${name}]` : name;
  return port === HTTPS_PORT ? host : `${host}:${port}`;
}
