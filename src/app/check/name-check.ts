import { isIP } from "node:net";
import type { UtError } from "../../core/error.ts";
import type { Check } from "./check.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";
import { RESOLVE } from "./look-commands.ts";

/** Whether the names in `tcp.server_addr`, or that of the proxy which looks those up, have addresses. */
export const nameCheck: Check = {
  name: "name",
  doing: "looking the server's name up",
  async run(scene) {
    const servers = await scene.servers;
    // With one that works there is somewhere to go.
    const trouble = servers.some(({ addresses }) => addresses.length > 0) ? warning : failed;
    return servers.flatMap(({ named, hop, addresses, problem }) => {
      const { host } = hop;
      if (isIP(host) !== 0) return [];
      if (problem !== undefined)
        return [unknown(host, hop === named ? "tcp.server_addr" : "tcp.proxy", problem, trouble)];
      return [ok(`${host} is ${addresses.map(({ address }) => address).join(", ")}`)];
    });
  },
};

/** By the system's own words at the end of the error. */
function unknown(host: string, key: string, { message }: UtError, trouble: typeof failed): Finding {
  const byAddress = `or name an IP address in ${key}`;
  if (/EAI_AGAIN|ETIMEOUT/.test(message))
    return trouble("no-name-server", `no name server answers for ${host}`, "cat /etc/resolv.conf", byAddress);
  if (/ENOTFOUND|ENODATA/.test(message))
    return trouble("no-such-name", `there is no name ${host}`, `${RESOLVE} ${host}`, byAddress);
  return trouble("no-address", message.replace(/; check the name.*$/, ""), `${RESOLVE} ${host}`, byAddress);
}
