import { closeSync, openSync, readSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { UtError } from "../core/error.ts";
import { deepFreeze } from "./freeze.ts";
import { schemaAt } from "./json-schema.ts";
import {
  type ConfigProblem,
  comparePositions,
  duplicateProblem,
  formatProblem,
  issueProblems,
  WHERE_TO_START,
} from "./problem.ts";
import type { Role } from "./roles.ts";
import { type Config, configSchema } from "./schema.ts";
import { readSource } from "./source.ts";

/** Far more than any config needs, so that a wrong name (a log, `/dev/zero`) is an error and not all of memory. */
const MAX_FILE_BYTES = 1024 * 1024;
/** `server.stun`: deeper than this no section stands. */
const MAX_SECTION_DEPTH = 2;

/**
 * The config in a YAML file. Throws `config.unreadable` where there is no readable file, else as `parseConfig`.
 *
 * @param role of the example that somebody without a file is sent to
 */
export function loadConfig(path: string, role: Role = "client"): Config {
  return parseConfig(decodeUtf8(readBytes(path, role), path), path);
}

/**
 * The config in a YAML text. `fileName` stands in messages, and paths in the config are relative to its folder.
 *
 * Throws `config.syntax` for text that is not YAML and `config.invalid` for YAML that is not a config. The message
 * lists every problem, one a line, as `file:line:column: key.path: expected X, got Y`; `details.problems` holds the
 * same as `ConfigProblem[]`.
 */
export function parseConfig(text: string, fileName: string): Config {
  const source = readSource(text);
  if (source.syntaxProblems.length > 0) {
    const problems = source.syntaxProblems.map(({ at, message }) => ({ ...at, key: "", message }));
    throw configError("config.syntax", fileName, problems);
  }
  if (source.value === undefined) {
    const message = `expected a mapping of keys to values, got an empty file${WHERE_TO_START}`;
    throw configError("config.invalid", fileName, [{ line: 1, column: 1, key: "", message }]);
  }
  const result = configSchema.safeParse(withoutEmptySections(source.value));
  const problems = source.duplicates.map(duplicateProblem);
  if (!result.success) problems.push(...issueProblems(result.error.issues, source));
  if (!result.success || problems.length > 0) throw configError("config.invalid", fileName, problems);
  return deepFreeze(withAbsolutePaths(result.data, dirname(resolve(fileName))));
}

function configError(kind: "config.syntax" | "config.invalid", file: string, problems: ConfigProblem[]): UtError {
  problems.sort(comparePositions);
  const message = problems.map((problem) => formatProblem(file, problem)).join("\n");
  return new UtError(kind, message, { details: { file, problems } });
}

/**
 * A section whose keys are all commented out (`tcp:` and nothing below) is a section left at its defaults. The schema is
 * only asked about keys without a value: a good config never needs it.
 */
function withoutEmptySections(value: unknown, path: readonly string[] = []): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  if (path.length === MAX_SECTION_DEPTH) return value;
  const entries = Object.entries(value).flatMap(([key, child]) => {
    const childPath = [...path, key];
    if (child === null && schemaAt(childPath)?.properties !== undefined) return [];
    return [[key, withoutEmptySections(child, childPath)]];
  });
  return Object.fromEntries(entries);
}

function withAbsolutePaths(config: Config, folder: string): Config {
  const absolute = (path: string) => resolve(folder, path.replace(/^~(?=\/|$)/, process.env.HOME ?? "~"));
  const { ca_cert, cert, key } = config.tls;
  return { ...config, tls: { ...config.tls, ca_cert: absolute(ca_cert), cert: absolute(cert), key: absolute(key) } };
}

function readBytes(path: string, role: Role): Uint8Array {
  const unreadable = (reason: string, cause?: unknown) =>
    new UtError("config.unreadable", `Cannot read config ${path}: ${reason}`, { cause, details: { path } });
  let bytes: Uint8Array;
  try {
    bytes = readUpTo(MAX_FILE_BYTES + 1, path);
  } catch (cause) {
    throw unreadable(READ_FAILURES[(cause as NodeJS.ErrnoException).code ?? ""]?.(path, role) ?? String(cause), cause);
  }
  if (bytes.length <= MAX_FILE_BYTES) return bytes;
  throw unreadable(`it is larger than ${MAX_FILE_BYTES} bytes; name the YAML file`);
}

/** The start of a file. Asks no size first: a pipe (`-config <(make-config)`) has none. */
function readUpTo(limit: number, path: string): Uint8Array {
  const file = openSync(path, "r");
  try {
    const buffer = new Uint8Array(limit);
    let length = 0;
    while (length < limit) {
      const count = readSync(file, buffer, length, limit - length, null);
      if (count === 0) break;
      length += count;
    }
    return buffer.subarray(0, length);
  } finally {
    closeSync(file);
  }
}

const READ_FAILURES: Record<string, (path: string, role: Role) => string> = {
  ENOENT: (path, role) => `there is no such file; "ut config example ${role} > ${path}" writes one to start from`,
  EISDIR: (path) => `it is a directory; name the file in it, such as ${path.replace(/\/+$/, "")}/ut.yaml`,
  ENOTDIR: () => "a part of the path is a file, not a directory; check the path",
  EACCES: () => "permission denied; run as a user who may read it",
};

function decodeUtf8(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // The decoder does not say where: the first replacement character of a lenient one does.
    const before = new TextDecoder().decode(bytes).split("\ufffd")[0] ?? "";
    const lines = before.split("\n");
    const isUtf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
    const message = `expected UTF-8 text, got ${isUtf16 ? "UTF-16" : "a byte that is none"}; save the file as UTF-8`;
    const at = { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
    throw configError("config.syntax", file, [{ ...at, key: "", message }]);
  }
}
