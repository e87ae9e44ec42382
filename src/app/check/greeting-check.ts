import type { Check } from "./check.ts";
import { type Finding, type failed, ok, warning } from "./finding.ts";
import type { TalkedServer } from "./scene.ts";
import { addressOf, adviceOf, troubleOf } from "./talked-server.ts";

/** Whether the server speaks `ut`, and can do what the roles of this node need. */
export const greetingCheck: Check = {
  name: "server",
  doing: "greeting the server",
  async run(scene) {
    const servers = await scene.talks;
    const trouble = troubleOf(servers, ({ stage }) => stage === "greeted");
    return servers.flatMap((server) => judge(server, scene.isPeer, trouble));
  },
};

function judge(server: TalkedServer, isPeer: boolean, trouble: typeof failed): Finding[] {
  const { talk } = server;
  const where = addressOf(server);
  switch (talk.stage) {
    case "not-tried":
    case "no-connection":
    case "no-tunnel":
    case "no-tls":
    case "denied":
    case "hung-up":
      return [];
    case "no-websocket":
      return [trouble("no-websocket", ...adviceOf(talk.error))];
    case "silent":
      return [
        warning(
          "no-greeting",
          `${where} does not answer a greeting: no ut server, or one that speaks nothing but plain data`,
          "on the server: ut version",
        ),
      ];
    case "gibberish":
      return [
        trouble(
          "not-ut",
          `${where} has a certificate of this CA, and speaks something else than ut`,
          "tcp: { transport: wss }, if that is what the server has",
        ),
      ];
    case "refused":
      return [
        talk.reason === "peers_off" ? peersOff(where, isPeer, trouble) : refused(where, talk.reason, talk.message),
      ];
    case "greeted": {
      const abilities = talk.caps.length > 0 ? `with ${talk.caps.join(", ")}` : "of an older version";
      return [ok(`${where} speaks ut, ${abilities} (round trip ${talk.rttMs.toFixed(1)} ms)`)];
    }
    default:
      return talk satisfies never;
  }
}

function peersOff(where: string, isPeer: boolean, trouble: typeof failed): Finding {
  if (!isPeer) return ok(`${where} speaks ut, and brings no peers together (server.peers: false)`);
  return trouble("peers-off", `${where} brings no peers together`, "in the server's config: server: { peers: true }");
}

function refused(where: string, reason: string, message: string): Finding {
  return warning(
    "greeting-refused",
    `${where} speaks ut, and refuses the greeting: ${reason} ${message}`,
    "ut version",
  );
}
