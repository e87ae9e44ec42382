import type { Check } from "./check.ts";
import { type Finding, failed, ok, skipped, warning } from "./finding.ts";

/** Whether the agents that the ports of a relay, or a proxy, lead to are there now. */
export const peerCheck: Check = {
  name: "peer",
  doing: "asking the server for the agents",
  async run(scene) {
    const { credentials } = await scene.credentials;
    const answers = (await scene.talks).flatMap(({ talk }) => (talk.stage === "greeted" ? [talk.registered] : []));
    return scene.peers.map((to) => {
      if (to === credentials?.cn) return self(to);
      const told = answers.flatMap((registered) => registered.get(to) ?? []);
      if (told.length === 0) return skipped(`${to}: because no server told whether it is there`);
      return told.includes(true) ? ok(`${to} is there`) : absent(to);
    });
  },
};

function self(to: string): Finding {
  const text = `${to}, where pipes are to lead, is this node's own certificate name`;
  return failed("peer-is-self", text, "relay[].to and socks.to name the certificate of an agent");
}

function absent(to: string): Finding {
  const text = `no agent "${to}" is registered with the server: datagrams for it wait, and are lost`;
  return warning("peer-absent", text, `on ${to}: ut agent -config FILE`, "the name is the one in its certificate");
}
