import type { UtError } from "../../core/error.ts";
import type { Check } from "./check.ts";
import { type Finding, type failed, ok, skipped } from "./finding.ts";
import { SHOW_ROUTES } from "./look-commands.ts";
import type { TalkedServer } from "./scene.ts";
import type { Talk } from "./server-talk.ts";
import { addressOf, adviceOf, troubleOf } from "./talked-server.ts";

/** Whether each address of the server accepts a TCP connection. */
export const tcpCheck: Check = {
  name: "tcp",
  doing: "connecting to the server",
  async run(scene) {
    const servers = await scene.talks;
    const routes = await scene.routes;
    const trouble = troubleOf(servers, ({ stage }) => !UNREACHED.has(stage));
    return servers.map((server) => {
      const isRouted = routes.some(({ address }) => address === server.address.address);
      const { talk } = server;
      if (talk.stage === "no-connection" && !isRouted) return unrouted(server, servers.length === 1, trouble);
      return judge(server, talk, trouble);
    });
  },
};

const UNREACHED = new Set<Talk["stage"]>(["no-connection", "no-tunnel", "not-tried"]);

/** Networks without IPv6 are everywhere, and names with an IPv6 address too. */
function unrouted(server: TalkedServer, isAlone: boolean, trouble: typeof failed): Finding {
  const where = addressOf(server);
  if (server.address.family === 6 && !isAlone)
    return skipped(`${where}: because this machine has no IPv6 route; other addresses are tried as well`);
  return trouble("no-route", `${where} cannot be reached: this machine has no route there`, SHOW_ROUTES);
}

function judge(server: TalkedServer, talk: Talk, trouble: typeof failed): Finding {
  const where = addressOf(server);
  if (talk.stage === "not-tried") return skipped(`${where}: because ${talk.because}`);
  if (talk.stage === "no-tunnel") return trouble("proxy-refused", ...adviceOf(talk.error));
  if (talk.stage !== "no-connection") return ok(`${where} is reached`);
  if (server.hop !== server.named) return trouble("proxy-unreachable", ...adviceOf(talk.error));
  return refusal(where, server.hop.port, talk.error, trouble);
}

function refusal(where: string, port: number, error: UtError, trouble: typeof failed): Finding {
  const { cause } = error;
  const code = cause instanceof Error && "code" in cause ? cause.code : "";
  const listens = `on the server: ss -ltnp 'sport = :${port}'`;
  const open = `open TCP ${port} in the server's firewall, and in its cloud's security group`;
  if (code === "ECONNREFUSED")
    return trouble(
      "tcp-refused",
      `${where} refuses connections: no ut server runs there, or not on that port`,
      listens,
    );
  if (code === "EHOSTUNREACH")
    return trouble(
      "host-unreachable",
      `${where} cannot be reached: a router on the way says so, or nobody is there`,
      open,
    );
  if (code === "ETIMEDOUT" || /no answer within/.test(error.message))
    return trouble("tcp-silent", `${where} does not answer: packets are dropped on the way there`, open, listens);
  return trouble("tcp-failed", error.message.replace(/; check that.*$/, ""), listens);
}
