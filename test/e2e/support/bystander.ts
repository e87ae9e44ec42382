import { numberOf } from "../../bytes.ts";
import { identity } from "./identities.ts";
import { type Settings, type TestNode, testClient } from "./nodes.ts";
import { marked, udpEnd } from "./udp-end.ts";
import { turn } from "./until.ts";

/** How many of its datagrams are under way at a time: enough to be hurt, too few to overload anything. */
const WINDOW = 16;

/** Another client of the same server, with traffic going to and fro all the time, that nothing may happen to. */
export interface Bystander extends AsyncDisposable {
  readonly node: TestNode;
  /** Stop sending and wait for the rest. Returns the numbers sent and those that came back, in order of arrival. */
  finish(): Promise<{ sent: number; back: number[] }>;
}

/** Its server must have an echo for WireGuard. `way` is how it gets there. */
export async function bystander(serverPort: number, way: Settings["tcp"] = {}): Promise<Bystander> {
  const node = await testClient(serverPort, await identity({ cn: "bystander" }), { tcp: { ...way, lanes: 3 } });
  const end = await udpEnd();
  let sent = 0;
  let stopping = false;
  const running = (async () => {
    while (!stopping) {
      while (sent - end.received.length < WINDOW) end.sendTo(node.port, marked(sent++));
      await turn();
    }
  })();
  await end.count(WINDOW);
  return {
    node,
    async finish() {
      stopping = true;
      await running;
      await end.count(sent);
      return { sent, back: end.received.map(numberOf) };
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      await running;
      await node[Symbol.asyncDispose]();
      end[Symbol.dispose]();
    },
  };
}
