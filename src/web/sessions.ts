import type { SessionReport, StatusReport } from "../io/http/status-report.ts";
import { byId, element, setText } from "./dom.ts";
import { type Fact, FactList } from "./facts.ts";
import { formatBytes, formatMs, formatSpan, formatThings } from "./format.ts";
import { KeyedList, type View } from "./keyed-list.ts";
import { LANE_COLUMNS, lanesOf, type ShownLane } from "./lanes.ts";
import { Table } from "./table.ts";

/** Of more than these none is unfolded by itself: a server with hundreds of clients is a list to choose from. */
const MAX_UNFOLDED = 8;

/** Each session with its queue and its lanes. */
export class Sessions {
  readonly #none = byId("no-sessions");
  #isUnfolded = true;
  readonly #list = new KeyedList<ShownSession>(
    byId("session-list"),
    ({ clientCn, sessionId }) => `${clientCn} ${sessionId}`,
    () => this.#view(),
  );

  update({ roles }: StatusReport): void {
    const sessions = roles.flatMap(({ role, sessions }) =>
      sessions.map((session) => ({ ...session, isServer: role === "server" })),
    );
    this.#isUnfolded = sessions.length <= MAX_UNFOLDED;
    this.#list.update(sessions);
    this.#none.hidden = sessions.length > 0;
  }

  #view(): View<ShownSession> {
    const name = element("span", { class: "name" });
    const count = element("span", { class: "count" });
    const facts = new FactList();
    const table = new Table<ShownLane>("Lanes of this session", LANE_COLUMNS, ({ id }) => `${id}`);
    const root = element("details", {}, element("summary", {}, element("h3", {}, name), count), facts.root, table.root);
    let last: ShownSession | undefined;
    const fill = () => {
      if (last === undefined || !root.open) return;
      facts.update(factsOf(last));
      table.update(lanesOf(last, last.isServer));
    };
    root.addEventListener("toggle", fill);
    root.open = this.#isUnfolded;
    return {
      root,
      update(session) {
        last = session;
        setText(name, session.clientCn);
        setText(count, laneCount(session));
        fill();
      },
    };
  }
}

interface ShownSession extends SessionReport {
  readonly isServer: boolean;
}

function laneCount({ lanes, downLanes }: SessionReport): string {
  return `${lanes.length} of ${formatThings(lanes.length + downLanes.length, "lane")} open`;
}

function factsOf({ sessionId, udp, caps, congestion, queue, channels, held, idleMs }: SessionReport): Fact[] {
  const waiting = (packets: number, bytes: number) =>
    packets === 0 ? "none" : `${formatThings(packets, "datagram")}, ${formatBytes(bytes)}`;
  return [
    { name: "Waiting", text: waiting(queue.packets, queue.bytes) },
    { name: "The oldest for", text: formatMs(queue.oldestMs) },
    { name: "Waiting of pipes", text: waiting(channels.packets, channels.bytes) },
    { name: "Held for order", text: waiting(held.packets, held.bytes) },
    { name: "Last datagram", text: `${formatSpan(idleMs)} ago` },
    { name: "Congestion control", text: congestion },
    { name: "Agreed on", text: caps.length === 0 ? "nothing yet" : caps.join(", ") },
    { name: "Local UDP", text: udp === "" ? "none" : udp },
    { name: "Session", text: sessionId },
  ];
}
