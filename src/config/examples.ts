import agentYaml from "../../config/agent.yaml" with { type: "text" };
import clientYaml from "../../config/client.yaml" with { type: "text" };
import relayYaml from "../../config/relay.yaml" with { type: "text" };
import serverYaml from "../../config/server.yaml" with { type: "text" };
import socksYaml from "../../config/socks.yaml" with { type: "text" };
import type { Role } from "./roles.ts";

/**
 * The commented example of each role, word for word the file in `config/`: bundled as text, so the compiled binary
 * prints what the repository shows. A setting that is commented out as `#key: value` shows its default.
 */
export const EXAMPLES: Readonly<Record<Role, string>> = {
  client: clientYaml,
  server: serverYaml,
  agent: agentYaml,
  relay: relayYaml,
  socks: socksYaml,
};
