import { existsSync } from "node:fs";
import { join } from "node:path";
import { UtError } from "../core/error.ts";
import type { Config } from "./schema.ts";

const FILES = ["ca_cert", "cert", "key"] as const;

/**
 * `config` with the certificates and the key that whoever starts the program hands over in a folder: systemd's
 * `LoadCredential=`, secrets of a container. Its files are called as the keys of a config are: `tls.ca_cert`,
 * `tls.cert`, `tls.key`; for one that is not there, what the config says remains.
 *
 * Throws `usage.bad-value` where the folder has none of them.
 */
export function withHandedOver(config: Config, folder: string): Config {
  const found = FILES.filter((key) => existsSync(join(folder, `tls.${key}`)));
  if (found.length === 0)
    throw new UtError(
      "usage.bad-value",
      `Cannot use --credentials ${folder}: expected some of the files ${FILES.map((key) => `tls.${key}`).join(", ")} in it`,
    );
  const paths = Object.fromEntries(found.map((key) => [key, join(folder, `tls.${key}`)]));
  return { ...config, tls: { ...config.tls, ...paths } };
}
