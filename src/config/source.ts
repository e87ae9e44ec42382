import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  visit,
} from "yaml";
import type { KeyPath } from "./rules.ts";

/** Where in the file, both from 1. Columns count UTF-16 units, as editors do. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Something wrong with the text itself. */
export interface SourceProblem {
  readonly at: Position;
  readonly message: string;
}

/** A YAML text that was read, with the way back from each key to its place. */
export interface ConfigSource {
  /** What the text says, as plain objects, lists and scalars; `undefined` for a file without a value. */
  readonly value: unknown;
  /** Wrong YAML. What `value` holds then is a guess. */
  readonly syntaxProblems: readonly SourceProblem[];
  /** Keys given twice; the last one is in `value`. */
  readonly duplicates: readonly { readonly path: KeyPath; readonly at: Position; readonly first: Position }[];
  /** Place of a value, or of the nearest thing above it that the file has. */
  valueAt(path: KeyPath): Position;
  /** Place of a key, or of the nearest key above it that the file has. */
  keyAt(path: KeyPath): Position;
}

/** Reads YAML 1.2. Never throws: what is wrong is in `syntaxProblems`. */
export function readSource(text: string): ConfigSource {
  const lines = new LineCounter();
  // Twice-given keys are told with their path and both places, which the parser's own check cannot.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  const place = (offset: number | undefined): Position => {
    const { line, col } = lines.linePos(offset ?? 0);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const syntaxProblems = [...parserProblems(document, place), ...keyProblems(document, place)];
  const { value, problem } = syntaxProblems.length > 0 ? {} : plainValue(document, place);
  return {
    value,
    syntaxProblems: problem === undefined ? syntaxProblems : [problem],
    duplicates: findDuplicates(document, place),
    valueAt: (path) => place(findOffset(document, path, "value")),
    keyAt: (path) => place(findOffset(document, path, "key")),
  };
}

type Place = (offset: number | undefined) => Position;

/** The parser's own words, where they would not help somebody who has never read the YAML specification. */
const PLAIN_WORDS: Record<string, string> = {
  TAB_AS_INDENT: "expected spaces as indentation, got a tab",
  MULTILINE_IMPLICIT_KEY: `expected "key: value", got a line without ": "`,
  BLOCK_AS_IMPLICIT_KEY: "expected one value after the key, got deeper indented keys below it",
  MULTIPLE_DOCS: `expected one YAML document, got a second one after "---"`,
  UNEXPECTED_TOKEN: "expected the end of the value, got more text; a value that starts with [ or { needs quotes",
  BAD_DQ_ESCAPE: "expected no backslash in double quotes; single quotes take it as it is",
};

function parserProblems(document: Document, place: Place): SourceProblem[] {
  const problems: SourceProblem[] = [];
  for (const error of [...document.errors, ...document.warnings]) {
    const at = place(error.pos[0]);
    // One mistake often upsets the parser several times in a row.
    if (problems.some((problem) => problem.at.line === at.line)) continue;
    const hint = error.code === "BAD_SCALAR_START" ? "; put it in quotes" : "";
    problems.push({ at, message: PLAIN_WORDS[error.code] ?? `expected valid YAML: ${error.message}${hint}` });
  }
  return problems;
}

function keyProblems(document: Document, place: Place): SourceProblem[] {
  const problems: SourceProblem[] = [];
  visit(document, {
    Pair(_, { key }) {
      if (isCollection(key) || isAlias(key))
        problems.push({ at: place(key.range?.[0]), message: "expected a plain word as key, got something else" });
    },
  });
  return problems;
}

/** Aliases that are unknown, or that multiply to more than any config holds, only show when they are followed. */
function plainValue(document: Document, place: Place): { value?: unknown; problem?: SourceProblem } {
  try {
    const value: unknown = document.toJS();
    return { value: value ?? undefined };
  } catch (error) {
    let at = place(0);
    visit(document, {
      Alias(_, alias) {
        if (alias.resolve(document) !== undefined) return undefined;
        at = place(alias.range?.[0]);
        return visit.BREAK;
      },
    });
    const cause = error instanceof Error ? error.message : String(error);
    return { problem: { at, message: `expected aliases that can be followed: ${cause}` } };
  }
}

function findDuplicates(document: Document, place: Place): ConfigSource["duplicates"] {
  const found: { path: KeyPath; at: Position; first: Position }[] = [];
  const walk = (node: unknown, path: KeyPath): void => {
    if (!isMap(node)) return;
    const firsts = new Map<string, Position>();
    for (const { key, value } of node.items) {
      const name = keyText(key);
      const at = place(nodeOffset(key));
      const first = firsts.get(name);
      if (first === undefined) firsts.set(name, at);
      else found.push({ path: [...path, name], at, first });
      walk(value, [...path, name]);
    }
  };
  walk(document.contents, []);
  return found;
}

function findOffset(document: Document, path: KeyPath, which: "key" | "value"): number | undefined {
  let node: unknown = document.contents;
  let offset = nodeOffset(node);
  for (const step of path) {
    const child = childAt(isAlias(node) ? node.resolve(document) : node, step);
    if (child === undefined) return offset;
    offset = nodeOffset(which === "value" && hasText(child.value) ? child.value : child.key) ?? offset;
    node = child.value;
  }
  return offset;
}

/** One step down. An element of a list is its own key. */
function childAt(parent: unknown, step: string | number): { key: unknown; value: unknown } | undefined {
  if (isMap(parent)) return parent.items.findLast(({ key }) => keyText(key) === String(step));
  const element = isSeq(parent) ? parent.items[Number(step)] : undefined;
  return element === undefined ? undefined : { key: element, value: element };
}

/** A key without a value (`lanes:`) has an empty node behind it, whose place nobody would look at. */
function hasText(node: unknown): boolean {
  return !(isScalar(node) && node.value === null && node.source === "");
}

function nodeOffset(node: unknown): number | undefined {
  return (node as Node | null)?.range?.[0];
}

function keyText(key: unknown): string {
  return String(isScalar(key) ? key.value : key);
}
