import { formatAddress, isWildcard, parseAddress } from "../../config/address.ts";
import { loadConfig } from "../../config/load.ts";
import { UtError } from "../../core/error.ts";
import { type ParsedFlags, stringFlag } from "../command.ts";

/** Where a node answers unless told otherwise. */
export const DEFAULT_STATUS = "127.0.0.1:5080";

/**
 * Where the node is asked that a command line means: by `--FLAG HOST:PORT`, by `--config FILE`, or the default. Throws
 * `usage.*` for both at once and for what is no address, `config.*` for a file that is no config.
 */
export function statusAddress(flags: ParsedFlags, flag: "addr" | "status"): string {
  const named = stringFlag(flags, flag);
  const path = stringFlag(flags, "config");
  if (named !== undefined && path !== undefined)
    throw new UtError("usage.bad-flag", `Cannot use --${flag} with --config: either says where to ask`);
  if (named !== undefined) return formatAddress(parseAddress(named, "target"));
  if (path === undefined) return DEFAULT_STATUS;
  const { host, port } = loadConfig(path).metrics.listen_addr;
  if (port === 0)
    throw new UtError(
      "usage.bad-value",
      `Cannot find the node of ${path}: its metrics.listen_addr takes any free port. Its log's "start" line has it under "metrics"; give it by --${flag}`,
    );
  return formatAddress({ host: isWildcard(host) ? (host === "::" ? "::1" : "127.0.0.1") : host, port });
}
