import type { Instant } from "../../core/time.ts";
import { LaneRates } from "../../core/tunnel/lane-rates.ts";
import { type LoadColumns, LoadHistory, type LoadSample } from "../../core/tunnel/load-history.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import { now } from "../clock.ts";
import type { Log } from "../log/log.ts";
import type { StatusReport } from "./status-report.ts";

/** Browsers and terminals that look at once. */
export const MAX_LISTENERS = 16;
/** Whoever has not taken so many events looks no more, or over a line that is too slow for it. */
const MAX_BEHIND = 5;
const TICK_MS = 1_000;
/** A node with thousands of lanes looks at them less often, so that looking takes at most this share of a core. */
const MAX_SHARE = 0.005;
const MAX_TICK_MS = 10_000;

/** `data` of the first event, `history`: what was before. */
export type HistoryEvent = LoadColumns;

/** `data` of each further event, `status`. `sample` is what comes next in the history, null if that has it already. */
export interface StatusEvent {
  readonly status: StatusReport;
  readonly sample: LoadSample | null;
}

export interface LiveStatusOptions {
  readonly nodes: () => readonly NodeStatus[];
  readonly report: (nodes: readonly NodeStatus[], rates: LaneRates) => StatusReport;
  readonly log: Log | undefined;
}

/**
 * Looks at the process once a second: for the speeds of its lanes, for the plots of the last 15 minutes, and for those
 * who listen, all of whom get the same bytes. Without a listener no report is made.
 */
export class LiveStatus implements Disposable {
  readonly rates = new LaneRates();
  readonly #options: LiveStatusOptions;
  readonly #history = new LoadHistory();
  readonly #listeners = new Set<ReadableStreamDefaultController<Uint8Array>>();
  #timer: Timer | undefined;

  constructor(options: LiveStatusOptions) {
    this.#options = options;
  }

  start(): void {
    this.#wait(TICK_MS);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  /** Server-sent events: `HistoryEvent`, then a `StatusEvent` at once and each second. Undefined: too many listen. */
  listen(): ReadableStream<Uint8Array> | undefined {
    if (this.#listeners.size >= MAX_LISTENERS) return undefined;
    const past = encodeEvent("history", this.#history.columns() satisfies HistoryEvent);
    const present = this.#statusEvent(this.#options.nodes(), null);
    let own: ReadableStreamDefaultController<Uint8Array>;
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          own = controller;
          this.#listeners.add(controller);
          for (const event of [past, present]) controller.enqueue(event);
        },
        cancel: () => {
          this.#listeners.delete(own);
        },
      },
      { highWaterMark: MAX_BEHIND },
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#tick(), ms);
    this.#timer.unref();
  }

  #tick(): void {
    const time = now();
    try {
      this.#look(time);
    } catch (error) {
      this.#options.log?.error("http_error", { err: error });
      this.#wait(MAX_TICK_MS);
      return;
    }
    this.#wait(Math.min(MAX_TICK_MS, Math.max(TICK_MS, (now() - time) / MAX_SHARE)));
  }

  #look(time: Instant): void {
    const nodes = this.#options.nodes();
    this.rates.observe(time, nodes);
    const sample = this.#history.record(time, nodes);
    if (this.#listeners.size === 0 || sample === undefined) return;
    const event = this.#statusEvent(nodes, sample);
    for (const listener of this.#listeners) this.#tell(listener, event);
  }

  #tell(listener: ReadableStreamDefaultController<Uint8Array>, event: Uint8Array): void {
    if ((listener.desiredSize ?? 0) > 0) {
      listener.enqueue(event);
      return;
    }
    this.#listeners.delete(listener);
    listener.error(new Error("too slow"));
  }

  #statusEvent(nodes: readonly NodeStatus[], sample: LoadSample | null): Uint8Array {
    return encodeEvent("status", { status: this.#options.report(nodes, this.rates), sample } satisfies StatusEvent);
  }
}

const encoder = new TextEncoder();

function encodeEvent(name: string, data: HistoryEvent | StatusEvent): Uint8Array {
  return encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}
