import type { UtError } from "../../core/error.ts";
import type { Check } from "./check.ts";
import { type Finding, type failed, ok, skipped } from "./finding.ts";
import { SHOW_ROUTES } from "./look-commands.ts";
import type { TalkedServer } from "./scene.ts";
import { addressOf, adviceOf, codeOf, troubleOf } from "./talked-server.ts";

/** Whether each address of the server accepts a TCP connection. */
export const tcpCheck: Check = {
  name: "tcp",
  doing: "connecting to the server",
  async run(scene) {
    const servers = await scene.talks;
    const trouble = troubleOf(servers, ({ stage }) => !/^(?:no-connection|no-tunnel|not-tried)$/.test(stage));
    const isAlone = servers.length === 1;
    return servers.map((server) => judge(server, trouble, isAlone));
  },
};

function judge(server: TalkedServer, trouble: typeof failed, isAlone: boolean): Finding {
  const { talk, hop, address } = server;
  const where = addressOf(server);
  if (talk.stage === "not-tried") return skipped(`${where}: because ${talk.because}`);
  if (talk.stage === "no-tunnel") return trouble("proxy-refused", ...adviceOf(talk.error));
  if (talk.stage !== "no-connection") return ok(`${where} is reached`);
  const code = codeOf(talk.error.cause);
  if (address.family === 6 && UNREACHABLE.test(code) && !isAlone)
    return skipped(`${where}: because this machine has no IPv6 route; other addresses are tried as well`);
  return refusal(where, hop.port, code, talk.error, trouble);
}

const UNREACHABLE = /^E(?:NET|HOST)UNREACH$/;

function refusal(where: string, port: number, code: string, error: UtError, trouble: typeof failed): Finding {
  const listens = `on the server: ss -ltnp 'sport = :${port}'`;
  const open = `open TCP ${port} in the server's firewall, and in its cloud's security group`;
  if (code === "ECONNREFUSED")
    return trouble(
      "tcp-refused",
      `${where} refuses connections: no ut server runs there, or not on that port`,
      listens,
    );
  if (UNREACHABLE.test(code))
    return trouble("no-route", `${where} cannot be reached: this machine has no route there (${code})`, SHOW_ROUTES);
  if (code === "ETIMEDOUT" || /no answer within/.test(error.message))
    return trouble("tcp-silent", `${where} does not answer: packets are dropped on the way there`, open, listens);
  return trouble("tcp-failed", error.message.replace(/; check that.*$/, ""), listens);
}
