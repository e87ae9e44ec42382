import { formatAddress, isWildcard } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import { askStatus } from "../../io/http/ask-status.ts";
import type { StatusReport } from "../../io/http/status-report.ts";

/** The node of a config, found running at its status address. */
export interface RunningNode {
  readonly pid: number;
  /** Every port that it tells of, of whatever protocol. */
  readonly ports: ReadonlySet<number>;
}

/**
 * Asks for it; undefined where nobody answers, something that is not `ut`, or another node: of other roles, or of another
 * name than `cn`, if that is known.
 */
export async function runningNode(
  config: Config,
  cn: string | undefined,
  signal: AbortSignal,
): Promise<RunningNode | undefined> {
  const { host, port } = config.metrics.listen_addr;
  if (port === 0) return undefined;
  const reachable = isWildcard(host) ? "127.0.0.1" : host;
  const report = await askStatus(formatAddress({ host: reachable, port }), signal).catch(() => undefined);
  if (report?.pid === undefined || !isOf(config, cn, report)) return undefined;
  const ports = listensOf(report).map((text) => Number(text.split(":").at(-1)));
  return { pid: report.pid, ports: new Set([port, ...ports.filter(Number.isInteger)]) };
}

function isOf({ roles: wanted }: Config, cn: string | undefined, { roles = [] }: Partial<StatusReport>): boolean {
  const runs = new Set<string>(roles.map(({ role }) => role));
  const areSame = runs.size === wanted.length && wanted.every((role) => runs.has(role));
  return areSame && roles.every((role) => cn === undefined || role.cn === cn);
}

/** `address:port` of whatever it has bound. */
function listensOf({ roles = [], traversal }: Partial<StatusReport>): string[] {
  const { listen, listen6 } = traversal?.network ?? {};
  return [
    ...roles.flatMap((role) => [...role.listen.split(", "), ...(role.stun?.listen ?? [])]),
    ...[listen, listen6].filter((text) => typeof text === "string"),
  ];
}
