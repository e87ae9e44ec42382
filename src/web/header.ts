import type { StatusReport } from "../io/http/status-report.ts";
import { byId, setAttribute, setText } from "./dom.ts";
import type { FeedState } from "./feed.ts";
import { formatClock, formatSpan } from "./format.ts";

/** Which node this is, whether it is ready, and whether what is shown is what is now. */
export class Header {
  readonly #name = byId("node");
  readonly #about = byId("about");
  readonly #ready = byId("ready");
  readonly #reasons = byId("reasons");
  readonly #link = byId("link");

  update({ roles, build, pid, uptimeSeconds, ready, notReady }: StatusReport): void {
    const [first] = roles;
    const cn = first?.cn ?? "starting";
    setText(this.#name, cn);
    document.title = `${cn} – ut`;
    const words = [
      roles.map(({ role, listen }) => (listen === "" ? role : `${role} on ${listen}`)).join(", "),
      serverWords(roles),
      serverOf(roles),
      `ut ${build.version} (${build.commit}, ${build.platform})`,
      `pid ${pid}`,
      `up for ${formatSpan(uptimeSeconds * 1_000)}`,
    ];
    setText(this.#about, words.filter((word) => word !== "").join(" · "));
    setAttribute(this.#ready, "data-tone", ready ? "good" : "bad");
    setText(this.#ready, ready ? "ready" : "not ready");
    setText(this.#reasons, notReady.join("; "));
  }

  /** Said aloud by screen readers only when it changes. */
  show(state: FeedState, heardAt: number | undefined): void {
    setAttribute(document.documentElement, "data-feed", state);
    setText(this.#link, wordsFor(state, heardAt));
  }
}

/** Which server of several is in use. */
function serverWords(roles: StatusReport["roles"]): string {
  const { addresses = [], current = 0 } = roles.find(({ servers }) => servers !== undefined)?.servers ?? {};
  return addresses.length < 2 ? "" : `over ${addresses[current]}, server ${current + 1} of ${addresses.length}`;
}

/** The one in use, where there are several. */
function serverOf(roles: StatusReport["roles"]): string {
  const { addresses = [], current = 0 } = roles.find(({ servers }) => servers != null)?.servers ?? {};
  return addresses.length < 2 ? "" : `over ${addresses[current]}, server ${current + 1} of ${addresses.length}`;
}

function wordsFor(state: FeedState, heardAt: number | undefined): string {
  switch (state) {
    case "connecting":
      return "Asking the node …";
    case "live":
      return "Live, each second";
    case "paused":
      return "Paused while nobody looks";
    case "gone":
      return heardAt === undefined
        ? "The node does not answer, or as many look as may; trying again"
        : `The node has not answered since ${formatClock(heardAt)}: this is what it said last; trying again`;
    default:
      return state satisfies never;
  }
}
