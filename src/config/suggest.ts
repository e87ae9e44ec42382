import { keyPaths, type SchemaNode, schemaAt } from "./json-schema.ts";
import { listWords, type Unit } from "./leaf.ts";
import { nearest, spellingDistance } from "./nearest.ts";
import type { KeyPath } from "./rules.ts";

const TRUE_WORDS = ["true", "yes", "on", "y"];
const FALSE_WORDS = ["false", "no", "off", "n"];

/** How many of the base unit one of each suffix is. */
const SCALES: Record<Unit, Record<string, number>> = {
  bytes: { "": 1, b: 1, k: 1024, kb: 1024, kib: 1024, m: 1024 ** 2, mb: 1024 ** 2, mib: 1024 ** 2 },
  seconds: { "": 1, s: 1, sec: 1, m: 60, min: 60, h: 3600 },
  milliseconds: { "": 1, ms: 1, s: 1000, sec: 1000, m: 60_000 },
};

/** A value that the key accepts and that a wrong one was probably meant to be, or undefined. */
export function suggestValue(node: SchemaNode, value: unknown): unknown {
  if (typeof value !== "string") return undefined;
  if (node.enum !== undefined) return nearest(value, node.enum);
  switch (node.type) {
    case "integer":
      return suggestInteger(node, value);
    case "boolean":
      if (TRUE_WORDS.includes(value.toLowerCase())) return true;
      return FALSE_WORDS.includes(value.toLowerCase()) ? false : undefined;
    case "array": {
      const word = node.items?.enum === undefined ? value : nearest(value, node.items.enum);
      return word === undefined ? undefined : [word];
    }
    default:
      return undefined;
  }
}

/** What to write in place of an unknown key: `did you mean "lanes"`, or the keys there are. */
export function suggestKey(section: KeyPath, key: string): string {
  const near = nearestKey(section, key);
  if (near !== undefined) return `did you mean "${near}"`;
  const elsewhere = keyPaths().filter((path) => spellingDistance(key, path.at(-1) ?? "") === 0);
  if (elsewhere.length > 0) return `did you mean ${listWords(elsewhere.map((path) => `"${path.join(".")}"`))}`;
  return `known here: ${keysOf(section).join(", ")}`;
}

/** The key of the same section that a misspelt one was meant to be, or undefined. */
export function nearestKey(section: KeyPath, key: string): string | undefined {
  return nearest(key, keysOf(section));
}

function keysOf(section: KeyPath): string[] {
  return Object.keys(schemaAt(section)?.properties ?? {});
}

/** `"5"`, `16KiB`, `2 m`: a number that was quoted, or written with its unit. */
function suggestInteger(node: SchemaNode, text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const scales: Record<string, number> = node["x-unit"] === undefined ? { "": 1 } : SCALES[node["x-unit"]];
  const scale = scales[match?.[2]?.toLowerCase() ?? ""];
  const value = Number(match?.[1]) * (scale ?? Number.NaN);
  const fits = Number.isInteger(value) && value >= (node.minimum ?? value) && value <= (node.maximum ?? value);
  return fits ? value : undefined;
}
