import { UtError } from "../../core/error.ts";

/** A hostile peer chooses some of what is logged (reasons, names): no line grows with it. */
const MAX_TEXT = 1024;
const MAX_ENTRIES = 64;
const MAX_DEPTH = 6;

/** Also one that was cut off before its end. */
const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[\s\S]*?-----END [A-Z0-9 ]*PRIVATE KEY-----|[\s\S]*)/g;

/**
 * Any value as plain data for a log line. Bytes become `[N bytes]`, private keys `[private key]`, long texts and lists
 * are cut; maps become objects, errors their text. Never throws, also not for cycles or getters that do.
 */
export function loggable(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case "string":
      return safeText(value);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "boolean":
    case "undefined":
      return value;
    case "object":
      return value === null ? null : loggableObject(value, depth);
    case "bigint":
      return String(value);
    default:
      return `[${typeof value}]`;
  }
}

/** `err`, and beside it `err_kind`; for what looks like a mistake in this program also `err_stack`. */
export function describeError(error: Error): { err: string; err_kind?: string; err_stack?: string } {
  const err = safeText(errorText(error));
  if (error instanceof UtError) return { err, err_kind: error.kind };
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string") return { err, err_kind: safeText(code) };
  return { err, err_stack: safeText(error.stack ?? "") };
}

function loggableObject(value: object, depth: number): unknown {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return safeText(errorText(value));
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (isKey(value)) return "[private key]";
  // Also what ends a cycle.
  if (depth >= MAX_DEPTH) return "[…]";
  try {
    if (Array.isArray(value) || value instanceof Set) return loggableList([...value], depth);
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    const plain: Record<string, unknown> = {};
    for (const [key, item] of entries.slice(0, MAX_ENTRIES)) plain[safeText(String(key))] = loggable(item, depth + 1);
    if (entries.length > MAX_ENTRIES) plain["…"] = entries.length - MAX_ENTRIES;
    return plain;
  } catch (error) {
    return `[unreadable: ${safeText(String(error))}]`;
  }
}

function loggableList(items: unknown[], depth: number): unknown[] {
  const list = items.slice(0, MAX_ENTRIES).map((item) => loggable(item, depth + 1));
  if (items.length > MAX_ENTRIES) list.push(`… ${items.length - MAX_ENTRIES} more`);
  return list;
}

/** `KeyObject` and `CryptoKey`, secret ones too: a public key is no secret, but nobody needs it in a log. */
function isKey(value: object): boolean {
  const tag = Object.prototype.toString.call(value);
  return tag === "[object CryptoKey]" || /KeyObject$/.test(value.constructor?.name ?? "");
}

/** The message and those of its causes, unless a message already ends with its cause's. */
function errorText(error: Error): string {
  let text = error.message || error.name;
  let cause = error.cause;
  for (let depth = 0; depth < MAX_DEPTH && cause instanceof Error; depth++, cause = cause.cause) {
    if (!text.includes(cause.message)) text += `: ${cause.message}`;
  }
  return text;
}

function safeText(text: string): string {
  // Cut after the keys are out: a cut through a key's first line would hide it from the pattern.
  const clean = text.includes("PRIVATE KEY") ? text.replace(PRIVATE_KEY, "[private key]") : text;
  return clean.length > MAX_TEXT ? `${clean.slice(0, MAX_TEXT)}… (${clean.length - MAX_TEXT} more)` : clean;
}
