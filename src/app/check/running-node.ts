import { formatAddress, isWildcard } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { askStatus } from "../../io/ask-status.ts";

/** A node that answers at this config's status address. */
export interface RunningNode {
  readonly pid: number;
  /** Every port that it tells of, of whatever protocol. */
  readonly ports: ReadonlySet<number>;
}

/** Asks for it; undefined where nobody answers, or something that is not `ut`. */
export async function runningNode(config: Config, signal: AbortSignal): Promise<RunningNode | undefined> {
  const { host, port } = config.metrics.listen_addr;
  if (port === 0) return undefined;
  const reachable = isWildcard(host) ? "127.0.0.1" : host;
  const report = await askStatus(formatAddress({ host: reachable, port }), signal).catch(() => undefined);
  if (report?.pid === undefined) return undefined;
  const listens = (report.roles ?? []).flatMap(({ listen, stun }) => [...listen.split(", "), ...(stun?.listen ?? [])]);
  const ports = listens.map((text) => Number(text.split(":").at(-1))).filter(Number.isInteger);
  return { pid: report.pid, ports: new Set([port, ...ports]) };
}
