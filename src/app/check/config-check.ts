import { formatAddress } from "../../config/address.ts";
import type { Check } from "./check.ts";
import { ok } from "./finding.ts";

/** That there is a config at all is known by now: it says what the others look at. */
export const configCheck: Check = {
  name: "config",
  doing: "reading the config",
  async run({ config, configPath, dials }) {
    const servers = dials ? (config.tcp.server_addr ?? []).map(formatAddress).join(", ") : "";
    const roles = config.roles.join(" and ");
    return [ok(`${configPath} is valid: ${roles}${servers === "" ? "" : ` of ${servers}`}`)];
  },
};
