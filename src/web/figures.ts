import type { LoadSample } from "../core/tunnel/load-history.ts";
import type { StatusReport } from "../io/http/status-report.ts";
import { byId, element, setAttribute, setText } from "./dom.ts";
import { formatCount, formatMs, formatRate, formatThings } from "./format.ts";
import { KeyedList } from "./keyed-list.ts";
import type { Tone } from "./table.ts";

interface Figure {
  readonly name: string;
  readonly text: string;
  readonly note: string;
  readonly tone?: Tone;
  readonly mark?: "first" | "second";
}

const MINUTE_MS = 60_000;

/** The handful of numbers that one looks for first. */
export class Figures {
  readonly #list = new KeyedList<Figure>(byId("figures"), ({ name }) => name, figureView);

  update(status: StatusReport, samples: readonly LoadSample[]): void {
    const latest = samples.at(-1);
    this.#list.update([
      { name: "Up", text: formatRate(latest?.upBitsPerSecond ?? 0), note: "client to server", mark: "first" },
      { name: "Down", text: formatRate(latest?.downBitsPerSecond ?? 0), note: "server to client", mark: "second" },
      { name: "Round trip", text: formatMs(latest?.rttMs), note: `slowest lane ${formatMs(latest?.slowestRttMs)}` },
      queueFigure(status, latest),
      laneFigure(status),
      dropFigure(samples),
    ]);
  }
}

function figureView() {
  const text = element("dd");
  const note = element("dd", { class: "note" });
  const name = element("dt");
  return {
    root: element("div", {}, name, text, note),
    update(figure: Figure) {
      setText(name, figure.name);
      setAttribute(name, "class", figure.mark ?? "");
      setText(text, figure.text);
      setAttribute(text, "data-tone", figure.tone ?? "plain");
      setText(note, figure.note);
    },
  };
}

function queueFigure({ roles }: StatusReport, latest: LoadSample | undefined): Figure {
  const packets = roles.flatMap(({ sessions }) => sessions).reduce((sum, { queue }) => sum + queue.packets, 0);
  const wait = latest?.waitMs ?? null;
  return {
    name: "Queue",
    text: formatCount(packets),
    note: wait === null ? "nothing waits" : `waits ${formatMs(wait)} on average`,
  };
}

function laneFigure({ roles }: StatusReport): Figure {
  const sessions = roles.flatMap((role) => role.sessions);
  const open = sessions.flatMap(({ lanes }) => lanes).filter(({ state }) => state === "open").length;
  const down = sessions.flatMap(({ downLanes }) => downLanes);
  const broken = down.filter(({ state }) => state !== "idle").length;
  const idle = down.length - broken;
  return {
    name: "Lanes open",
    text: down.length === 0 ? `${open}` : `${open} of ${open + down.length}`,
    note:
      broken > 0
        ? `${broken} down`
        : idle > 0
          ? `${idle} idle until something is to be sent`
          : `in ${formatThings(sessions.length, "session")}`,
    tone: broken > 0 ? "bad" : "plain",
  };
}

function dropFigure(samples: readonly LoadSample[]): Figure {
  const since = (samples.at(-1)?.at ?? 0) - MINUTE_MS;
  const drops = samples.filter(({ at }) => at > since).reduce((sum, sample) => sum + sample.drops, 0);
  return { name: "Dropped", text: formatCount(drops), note: "in the last minute", tone: drops > 0 ? "warn" : "plain" };
}
