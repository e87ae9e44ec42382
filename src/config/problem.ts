import { stringify } from "yaml";
import type { z } from "zod";
import { type SchemaNode, schemaAt } from "./json-schema.ts";
import { withoutPasswords } from "./proxy.ts";
import type { IssueHints, KeyPath } from "./rules.ts";
import type { ConfigSource, Position } from "./source.ts";
import { nearestKey, suggestKey, suggestValue } from "./suggest.ts";

/** One thing that is wrong with a config, and where. `key` is empty for the text as a whole. */
export interface ConfigProblem extends Position {
  readonly key: string;
  /** What was expected, what was there, and what to do: `expected X, got Y; did you mean "Z"`. */
  readonly message: string;
}

const MAX_SHOWN_TEXT = 60;
/** For a file that is not a config at all. */
export const WHERE_TO_START = `; "ut config example client" prints a config to start from`;
/** What a terminal would obey or hide: C1 controls, direction marks. JSON leaves them as they are. */
const HIDDEN = /[\p{Cc}\p{Cf}]/u;
const PEM_START = "-----BEGIN";

/** `file:line:column: key.path: expected X, got Y`, the form that editors and terminals make clickable. */
export function formatProblem(file: string, problem: ConfigProblem): string {
  const key = problem.key === "" ? "" : `${problem.key}: `;
  return `${file}:${problem.line}:${problem.column}: ${key}${problem.message}`;
}

/** What zod found, in the words of the config file. One problem a key: the first that was found. */
export function issueProblems(issues: readonly z.core.$ZodIssue[], source: ConfigSource): ConfigProblem[] {
  const meant = misspeltKeys(issues);
  const problems = issues.flatMap((issue) => {
    const path = issue.path.map((key) => (typeof key === "number" ? key : String(key)));
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(source, path, key));
    // A key that is there under a misspelt name is not missing as well: one mistake, one line.
    if (meant.has(formatKeyPath(path)) && valueIn(source.value, path) === undefined) return [];
    const hints: IssueHints = issue.code === "custom" ? (issue.params ?? {}) : {};
    return hints.conflictsWith === undefined
      ? [wrongValue(source, path, issue.message, hints)]
      : [conflict(source, issue.message, path, hints.conflictsWith)];
  });
  return problems.filter((problem, index) => problems.findIndex(({ key }) => key === problem.key) === index);
}

/** The known keys that unknown ones were meant to be. */
function misspeltKeys(issues: readonly z.core.$ZodIssue[]): ReadonlySet<string> {
  const meant = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const section = issue.path.map(String);
    for (const key of issue.keys) meant.add(formatKeyPath([...section, nearestKey(section, key) ?? key]));
  }
  return meant;
}

/** A key that stands twice in one mapping. */
export function duplicateProblem(duplicate: ConfigSource["duplicates"][number]): ConfigProblem {
  const message = `expected the key once, got it again; the first is on line ${duplicate.first.line}`;
  return { ...duplicate.at, key: formatKeyPath(duplicate.path), message };
}

/** `tcp.lanes`, `relay[0].to`; a key with anything unusual in it is quoted. */
export function formatKeyPath(path: KeyPath): string {
  return path
    .map((key, index) => {
      if (typeof key === "number") return `[${key}]`;
      return `${index === 0 ? "" : "."}${/^[\w-]+$/.test(key) ? key : shortText(key)}`;
    })
    .join("");
}

function unknownKey(source: ConfigSource, section: KeyPath, key: string): ConfigProblem {
  const path = [...section, key];
  const expected = section.length === 0 ? "a key of the config" : `a key of ${formatKeyPath(section)}`;
  const message = `expected ${expected}, got ${shortText(key)}; ${suggestKey(section, key)}`;
  return { ...source.keyAt(path), key: formatKeyPath(path), message };
}

function wrongValue(source: ConfigSource, path: KeyPath, expected: string, hints: IssueHints): ConfigProblem {
  const node = schemaAt(path) ?? {};
  const value = valueIn(source.value, path);
  const key = formatKeyPath(path);
  if (value === undefined || value === null)
    return { ...source.keyAt(path), key, message: nothing(expected, path, node, hints) };
  const message = `expected ${expected}, got ${describe(value, node)}${advice(path, node, value, hints)}`;
  return { ...source.valueAt(path), key, message };
}

function advice(path: KeyPath, node: SchemaNode, value: unknown, hints: IssueHints): string {
  // `lanes:5` is one word to YAML, however many such lines follow.
  if (node.type === "object" && typeof value === "string" && /^\w+:\S/.test(value))
    return `; put a space after each ":"`;
  if (path.length === 0) return WHERE_TO_START;
  const suggestion = hints.suggestion ?? suggestValue(node, value);
  const text = JSON.stringify(suggestion) ?? "";
  return text === "" || HIDDEN.test(text) ? "" : `; did you mean ${text}`;
}

/** A key that has to be there, or one that stands there with nothing behind it. */
function nothing(expected: string, path: KeyPath, node: SchemaNode, hints: IssueHints): string {
  const name = String(path.at(-1));
  const required = schemaAt(path.slice(0, -1))?.required?.includes(name) ?? false;
  const advice: string[] = [];
  if (hints.neededBy !== undefined) advice.push(`the ${hints.neededBy} role needs it`);
  else if (required) advice.push(path.length > 2 ? "every entry needs it" : "every role needs it");
  if (node.examples !== undefined) advice.push(`for example ${oneLineYaml({ [name]: node.examples[0] })}`);
  else if (node.default !== undefined && hints.neededBy === undefined)
    advice.push(`without the key it is ${JSON.stringify(node.default)}`);
  return [`expected ${expected}, got nothing`, advice.join(", ")].filter((part) => part !== "").join("; ");
}

/** Both keys are named with what they say; the later one in the file is to blame. A default is never to blame. */
function conflict(source: ConfigSource, expected: string, one: KeyPath, other: KeyPath): ConfigProblem {
  const [innocent, blamed] = [one, other].sort((a, b) => blameOrder(source, a, b)) as [KeyPath, KeyPath];
  const stated = valueIn(source.value, innocent);
  const origin = stated === undefined ? "the default" : `line ${source.keyAt(innocent).line}`;
  const innocentText = shortText(stated ?? defaultAt(innocent));
  const message = `expected ${expected}, got ${shortText(valueIn(source.value, blamed))}`;
  return {
    ...source.valueAt(blamed),
    key: formatKeyPath(blamed),
    message: `${message}; ${formatKeyPath(innocent)} is ${innocentText} (${origin})`,
  };
}

function defaultAt(path: KeyPath): unknown {
  const index = path.at(-1);
  return typeof index === "number" ? valueIn(schemaAt(path.slice(0, -1))?.default, [index]) : schemaAt(path)?.default;
}

/** What the file says comes after what it leaves at the default, then by place. */
function blameOrder(source: ConfigSource, a: KeyPath, b: KeyPath): number {
  const [isA, isB] = [a, b].map((path) => valueIn(source.value, path) !== undefined);
  return isA === isB ? comparePositions(source.keyAt(a), source.keyAt(b)) : isA ? 1 : -1;
}

/** Order in the file. */
export function comparePositions(a: Position, b: Position): number {
  return a.line - b.line || a.column - b.column;
}

function valueIn(value: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (parent, key) =>
      typeof parent === "object" && parent !== null && Object.hasOwn(parent, key)
        ? (parent as Record<string | number, unknown>)[key]
        : undefined,
    value,
  );
}

/** What stands there, never a key's contents. */
function describe(value: unknown, node: SchemaNode): string {
  if (Array.isArray(value) && node.type !== "array") return "a list";
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return "a mapping";
  const wantsText = node.type === undefined || node.type === "string";
  return typeof value === "string" && !wantsText && !value.includes(PEM_START)
    ? `the text ${shortText(value)}`
    : shortText(value);
}

function shortText(value: unknown): string {
  // People paste a key where its path belongs.
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? "nothing");
  if (text.includes(PEM_START)) return "PEM text";
  const open = withoutPasswords(text);
  const shown = open.length <= MAX_SHOWN_TEXT ? open : `${open.slice(0, MAX_SHOWN_TEXT)}…`;
  return shown.replace(new RegExp(HIDDEN, "gu"), (character) => {
    const code = character.codePointAt(0) ?? 0;
    return `\\u{${code.toString(16)}}`;
  });
}

function oneLineYaml(value: Record<string, unknown>): string {
  const text = stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
  return text.replace(/^\{ (.*) \}$/, "$1");
}
