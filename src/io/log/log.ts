import { type Logger, pino, stdTimeFunctions } from "pino";
import type { Instant } from "../../core/time.ts";
import { describeError, loggable } from "./log-fields.ts";
import { type LogDestination, stdoutSink } from "./log-sink.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/**
 * Fields beside the event. Keys are snake_case; the ones with a fixed meaning are `client_cn`, `session_id`, `lane_id`
 * and `err`. An `Error` as `err` becomes its text with its causes, beside `err_kind` (a `UtError`'s kind or the
 * system's code). Keys whose value is `undefined` are left out.
 */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * One JSON object a line: `{"level":"info","time":"2026-01-31T12:00:00.000Z","role":"client","event":"lane_open",…}`.
 * `event` is stable snake_case, for searching and alerting. Never a payload, never a key: bytes are written as their
 * number, private keys as `[private key]`, whatever the caller hands in.
 */
export interface Log {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A log whose lines all carry `fields`; what a line names itself wins. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  readonly level: LogLevel;
  /** `client`, `server`, …, or `ut` for lines of the whole process. */
  readonly role: string;
  /** Standard output unless given. */
  readonly destination?: LogDestination;
}

export function createLog(options: LogOptions): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? stdoutSink(),
  );
  return new PinoLog(logger, { role: options.role });
}

/** Resolves when every line so far has reached stdout, or after `timeoutMs` with a reader that does not read. */
export function flushLog(timeoutMs = 1000): Promise<void> {
  return stdoutSink().flush(timeoutMs);
}

/** A `Log` that writes each event at once, and then at most once per interval. */
export interface DebouncedLog extends Log {
  /** Write what is still held back, for the end of a session. */
  flush(): void;
}

/**
 * The same lines, at most one per `intervalMs` for each level and event, the first at once. A later one says in
 * `suppressed` how many were left out before it, and carries its own fields. Nothing runs in between: a burst's last
 * count comes with the next line of its event, or with `flush()`.
 *
 *     const noisy = debounced(log.child({ session_id }), 5000, clock.now);
 *     noisy.warn("queue_drop_oldest", { dropped_total });
 */
export function debounced(log: Log, intervalMs: number, now: () => Instant): DebouncedLog {
  const states = new Map<string, { quietUntil: Instant; suppressed: number; last: LogFields | undefined }>();

  function write(level: Severity, event: string, fields?: LogFields): void {
    const key = `${level} ${event}`;
    const state = states.get(key);
    const at = now();
    if (state !== undefined && at < state.quietUntil) {
      state.suppressed += 1;
      state.last = fields;
      return;
    }
    states.set(key, { quietUntil: at + intervalMs, suppressed: 0, last: undefined });
    log[level](event, withSuppressed(fields, state?.suppressed ?? 0));
  }

  function flush(): void {
    for (const [key, state] of states) {
      if (state.suppressed === 0) continue;
      const [level, event] = key.split(" ") as [Severity, string];
      // The newest of them is the line itself, the others are what it stands for.
      log[level](event, withSuppressed(state.last, state.suppressed - 1));
      states.set(key, { ...state, suppressed: 0, last: undefined });
    }
  }

  return {
    debug: (event, fields) => write("debug", event, fields),
    info: (event, fields) => write("info", event, fields),
    warn: (event, fields) => write("warn", event, fields),
    error: (event, fields) => write("error", event, fields),
    child: (fields) => debounced(log.child(fields), intervalMs, now),
    flush,
  };
}

type Severity = Exclude<LogLevel, "silent">;

function withSuppressed(fields: LogFields | undefined, suppressed: number): LogFields | undefined {
  return suppressed > 0 ? { ...fields, suppressed } : fields;
}

class PinoLog implements Log {
  readonly #logger: Logger;
  readonly #bound: LogFields;

  constructor(logger: Logger, bound: LogFields) {
    this.#logger = logger;
    this.#bound = bound;
  }

  debug(event: string, fields?: LogFields): void {
    if (this.#logger.isLevelEnabled("debug")) this.#logger.debug(this.#line(event, fields));
  }

  info(event: string, fields?: LogFields): void {
    if (this.#logger.isLevelEnabled("info")) this.#logger.info(this.#line(event, fields));
  }

  warn(event: string, fields?: LogFields): void {
    if (this.#logger.isLevelEnabled("warn")) this.#logger.warn(this.#line(event, fields));
  }

  error(event: string, fields?: LogFields): void {
    if (this.#logger.isLevelEnabled("error")) this.#logger.error(this.#line(event, fields));
  }

  child(fields: LogFields): Log {
    // Not pino's own child: it would write a key twice that a line names again.
    return new PinoLog(this.#logger, { ...this.#bound, ...fields });
  }

  #line(event: string, fields: LogFields = {}): Record<string, unknown> {
    const { role, ...bound } = this.#bound;
    const line: Record<string, unknown> = { role, event };
    for (const [key, value] of Object.entries({ ...bound, ...fields })) {
      if (key === "err" && value instanceof Error) Object.assign(line, describeError(value));
      // pino writes these two itself, and `event` stands already.
      else if (key === "level" || key === "time" || key === "event") line[`${key}_`] = loggable(value);
      else line[key] = loggable(value);
    }
    return line;
  }
}
