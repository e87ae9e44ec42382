import { isIP } from "node:net";
import type { Check } from "./check.ts";
import { failed, ok, warning } from "./finding.ts";

/** Whether the names in `tcp.server_addr` have addresses. */
export const nameCheck: Check = {
  name: "name",
  doing: "looking the server's name up",
  async run(scene) {
    const servers = await scene.servers;
    // With one that works there is somewhere to go.
    const trouble = servers.some(({ addresses }) => addresses.length > 0) ? warning : failed;
    return servers.flatMap(({ named: { host }, addresses, problem }) => {
      if (isIP(host) !== 0) return [];
      if (problem === undefined) return [ok(`${host} is ${addresses.map(({ address }) => address).join(", ")}`)];
      const cause = problem.message.replace(/; check the name.*$/, "");
      return [trouble("no-address", cause, `getent ahosts ${host}`, "correct tcp.server_addr, or name an IP address")];
    });
  },
};
