import { write, writeSync } from "node:fs";

/** Where finished log lines go. A line ends with its newline. */
export interface LogDestination {
  write(line: string): void;
}

/** Lines that wait while the reader does not read. Beyond this, new lines are dropped and counted. */
const MAX_PENDING_CHARS = 1 << 20;
/** A write that has been under way for longer has a reader that does not read. */
const STALL_MS = 250;
/** How long the end of the process waits for a write that had only just begun. */
const LAST_WRITE_MS = 50;

/**
 * Log lines into a file descriptor, without ever making the tunnel wait for whoever reads them.
 *
 * A blocking write to stdout stops the whole event loop as soon as the pipe is full (a paused `docker logs`, a busy
 * journald, Ctrl-S), so one asynchronous write is under way at a time and further lines wait here, bounded. What is
 * dropped is counted, and said in one `log_dropped` line when the reader is back. A closed pipe ends the log, never
 * the process. At the end of the process what waits is written synchronously, unless the reader is stalled.
 *
 * No worker threads, unlike pino's transports: those do not survive `bun build --compile`.
 */
export class LogSink implements LogDestination {
  readonly #fd: number;
  #pending: string[] = [];
  #pendingChars = 0;
  #dropped = 0;
  #startedAt: number | undefined;
  #broken = false;
  #idle = Promise.withResolvers<void>();

  constructor(fd: number) {
    this.#fd = fd;
    this.#idle.resolve();
  }

  write(line: string): void {
    if (this.#broken) return;
    if (this.#pendingChars + line.length > MAX_PENDING_CHARS) {
      this.#dropped += 1;
      return;
    }
    this.#pending.push(line);
    this.#pendingChars += line.length;
    if (this.#startedAt === undefined) {
      this.#idle = Promise.withResolvers<void>();
      this.#next();
    }
  }

  /** Resolves when everything is written, or after `timeoutMs` with a reader that does not read. */
  async flush(timeoutMs: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, timeoutMs);
    });
    await Promise.race([this.#idle.promise, timeout]);
    clearTimeout(timer);
  }

  /** For the `exit` event, where nothing asynchronous completes any more. */
  flushSync(): void {
    if (this.#broken) return;
    if (this.#startedAt !== undefined) {
      if (performance.now() - this.#startedAt > STALL_MS) return;
      // The write in the thread pool completes within microseconds, but its callback can no longer tell us.
      Bun.sleepSync(LAST_WRITE_MS);
    }
    try {
      for (let rest = Buffer.from(this.#takePending()); rest.length > 0; )
        rest = rest.subarray(writeSync(this.#fd, rest));
    } catch {
      this.#broken = true;
    }
  }

  #next(): void {
    const text = this.#takePending();
    if (text === "" || this.#broken) {
      this.#startedAt = undefined;
      this.#idle.resolve();
      return;
    }
    this.#startedAt = performance.now();
    this.#put(Buffer.from(text));
  }

  #put(bytes: Uint8Array): void {
    write(this.#fd, bytes, (error, written) => {
      // EAGAIN: somebody made the shared pipe non-blocking. Anything else (EPIPE, EIO) is the end of this log.
      if (error?.code === "EAGAIN") setTimeout(() => this.#put(bytes), 20);
      else if (error) {
        this.#broken = true;
        this.#next();
      } else if (written < bytes.length) this.#put(bytes.subarray(written));
      else this.#next();
    });
  }

  #takePending(): string {
    let text = this.#pending.join("");
    this.#pending = [];
    this.#pendingChars = 0;
    if (this.#dropped > 0) {
      const line = { level: "warn", time: new Date().toISOString(), event: "log_dropped", lines: this.#dropped };
      text += `${JSON.stringify(line)}\n`;
      this.#dropped = 0;
    }
    return text;
  }
}

let stdout: LogSink | undefined;

/** The one sink of this process's stdout, emptied when the process exits. */
export function stdoutSink(): LogSink {
  if (stdout === undefined) {
    const sink = new LogSink(1);
    process.on("exit", () => sink.flushSync());
    stdout = sink;
  }
  return stdout;
}
