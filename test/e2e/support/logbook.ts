import { createLog, type Log, type LogFields, type LogLevel } from "../../../src/io/log/log.ts";
import type { LogDestination } from "../../../src/io/log/log-sink.ts";

export interface LogLine extends LogFields {
  readonly level: LogLevel;
  readonly event: string;
}

/** Keeps what nodes log, at the most talkative level, so that tests can ask for it. */
export class Logbook implements LogDestination {
  /** Every line that any logbook of this test file has seen, as text. */
  static readonly everything: string[] = [];
  readonly lines: LogLine[] = [];

  write(line: string): void {
    Logbook.everything.push(line);
    this.lines.push(JSON.parse(line) as LogLine);
  }

  log(role: string): Log {
    return createLog({ level: "debug", role, destination: this });
  }

  /** The lines of one event that have all of `fields`. */
  find(event: string, fields: LogFields = {}): LogLine[] {
    const wanted = Object.entries(fields);
    return this.lines.filter((line) => line.event === event && wanted.every(([key, value]) => line[key] === value));
  }

  has(event: string, fields: LogFields = {}): boolean {
    return this.find(event, fields).length > 0;
  }
}
