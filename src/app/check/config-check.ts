import { stat } from "node:fs/promises";
import { formatAddress } from "../../config/address.ts";
import type { Config } from "../../config/schema.ts";
import type { Check } from "./check.ts";
import { ok, warning } from "./finding.ts";

const OTHERS_READ = 0o004;

/** That there is a config at all is known by now: it says what the others look at. */
export const configCheck: Check = {
  name: "config",
  doing: "reading the config",
  async run({ config, configPath, dials }) {
    const servers = dials ? (config.tcp.server_addr ?? []).map(formatAddress).join(", ") : "";
    const roles = config.roles.join(" and ");
    const valid = ok(`${configPath} is valid: ${roles}${servers === "" ? "" : ` of ${servers}`}`);
    const isPublic = ((await stat(configPath)).mode & OTHERS_READ) !== 0;
    if (!holdsPasswords(config) || !isPublic) return [valid];
    const text = `every user of this machine can read the passwords in ${configPath}`;
    return [valid, warning("config-is-public", text, `chmod 600 ${configPath}`)];
  },
};

function holdsPasswords({ tcp, socks }: Config): boolean {
  return tcp.proxy?.credentials !== undefined || Object.keys(socks.users).length > 0;
}
