import type { LoadColumns, LoadSample } from "../core/tunnel/load-history.ts";
import type { StatusEvent } from "../io/http/live-status.ts";
import type { StatusReport } from "../io/http/status-report.ts";

/** `paused`: nobody looks at this page, so the node is not asked. */
export type FeedState = "connecting" | "live" | "gone" | "paused";

export interface FeedListener {
  /** What was before: at each connection, since the node may be another one by then. */
  history(samples: LoadSample[]): void;
  status(status: StatusReport, sample: LoadSample | null): void;
  /** `heardAt`: when the node last said something; undefined if it never did. */
  state(state: FeedState, heardAt: number | undefined): void;
}

const RETRY_MS = 1_000;
const MAX_RETRY_MS = 5_000;
/** A node speaks each second, a very busy one at least every ten. */
const SILENCE_MS = 15_000;

/** The events of the node, as long as somebody looks: what breaks is tried again by itself. */
export class Feed {
  readonly #listener: FeedListener;
  #source: EventSource | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = RETRY_MS;
  #heardAt: number | undefined;

  constructor(listener: FeedListener) {
    this.#listener = listener;
    document.addEventListener("visibilitychange", () => this.#lookAgain());
    addEventListener("online", () => this.#lookAgain());
    this.#lookAgain();
  }

  #lookAgain(): void {
    if (document.hidden) {
      this.#close();
      this.#tell("paused");
    } else if (this.#source === undefined) this.#connect();
  }

  #connect(): void {
    this.#close();
    if (this.#heardAt === undefined) this.#tell("connecting");
    const source = new EventSource("api/events");
    this.#source = source;
    source.addEventListener("history", ({ data }) => this.#listener.history(samplesOf(JSON.parse(data))));
    source.addEventListener("status", ({ data }) => this.#heard(JSON.parse(data)));
    source.addEventListener("error", () => this.#lost());
    this.#timer = setTimeout(() => this.#lost(), SILENCE_MS);
  }

  #heard({ status, sample }: StatusEvent): void {
    this.#heardAt = Date.now();
    this.#retryMs = RETRY_MS;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), SILENCE_MS);
    this.#listener.status(status, sample);
    this.#tell("live");
  }

  #lost(): void {
    this.#close();
    this.#tell("gone");
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs);
    this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = undefined;
  }

  #tell(state: FeedState): void {
    this.#listener.state(state, this.#heardAt);
  }
}

function samplesOf(columns: LoadColumns): LoadSample[] {
  const keys = Object.keys(columns) as (keyof LoadSample)[];
  return columns.at.map((_, row) => Object.fromEntries(keys.map((key) => [key, columns[key][row]])) as never);
}
