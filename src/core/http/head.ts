/**
 * The head of an HTTP/1.1 message (RFC 9112): its first line and its fields, from bytes in any split, within a bound.
 * Bodies are not read: nobody here sends one.
 */
export interface HttpRequest {
  readonly method: string;
  readonly target: string;
  /** 0 or 1: HTTP/1.0 or HTTP/1.1. */
  readonly minor: number;
  /** By lower-case name; a field that came twice has both values, joined by ", " (RFC 9110 §5.3). */
  readonly fields: ReadonlyMap<string, string>;
}

export interface HttpResponse {
  readonly status: number;
  readonly reason: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** `rest`: what stood behind the head in the chunk that ended it. */
export type HeadReading =
  | { readonly state: "need-more" }
  | { readonly state: "whole"; readonly text: string; readonly rest: Uint8Array }
  | { readonly state: "bad"; readonly kind: "malformed" | "too-large" };

const MAX_FIELDS = 100;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
/** RFC 9110 §5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const FIELD = new RegExp(`^(${TOKEN}):[ \\t]*(.*?)[ \\t]*$`);
const REQUEST_LINE = new RegExp(`^(${TOKEN}) (\\S+) HTTP/1\\.([01])$`);
const STATUS_LINE = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/;

/** Collects one head. After it is whole or bad the reader has done its work: the next one takes another reader. */
export class HeadReader {
  readonly #bytes: Uint8Array;
  #length = 0;

  constructor(maxBytes: number) {
    this.#bytes = new Uint8Array(maxBytes);
  }

  feed(chunk: Uint8Array): HeadReading {
    for (const [offset, byte] of chunk.entries()) {
      // RFC 9112 §2.2: an empty line before the first one is passed over.
      if (this.#length === 0 && (byte === CR || byte === LF)) continue;
      if ((byte < SPACE && byte !== TAB && byte !== CR && byte !== LF) || byte === DEL)
        return { state: "bad", kind: "malformed" };
      if (this.#length === this.#bytes.length) return { state: "bad", kind: "too-large" };
      this.#bytes[this.#length++] = byte;
      if (byte === LF && this.#endsWithEmptyLine()) {
        const text = new TextDecoder("latin1").decode(this.#bytes.subarray(0, this.#length));
        return { state: "whole", text, rest: chunk.subarray(offset + 1) };
      }
    }
    return { state: "need-more" };
  }

  /** RFC 9112 §2.2: a line may also end with LF alone. */
  #endsWithEmptyLine(): boolean {
    const before = this.#bytes[this.#length - 2];
    return before === LF || (before === CR && this.#bytes[this.#length - 3] === LF);
  }
}

/** Undefined for a head that is no request. */
export function parseRequest(head: string): HttpRequest | undefined {
  const [first = "", ...lines] = head.trimEnd().split(/\r?\n/);
  const line = REQUEST_LINE.exec(first);
  const fields = parseFields(lines);
  if (line === null || fields === undefined) return undefined;
  const [, method = "", target = "", minor] = line;
  return { method, target, minor: Number(minor), fields };
}

/** Undefined for a head that is no response. */
export function parseResponse(head: string): HttpResponse | undefined {
  const [first = "", ...lines] = head.trimEnd().split(/\r?\n/);
  const line = STATUS_LINE.exec(first);
  const fields = parseFields(lines);
  if (line === null || fields === undefined) return undefined;
  return { status: Number(line[1]), reason: line[2] ?? "", fields };
}

/** Whether a list field such as `Connection` names `token`, in whatever case. */
export function names(fields: ReadonlyMap<string, string>, field: string, token: string): boolean {
  const words = (fields.get(field) ?? "").split(",");
  return words.some((word) => word.trim().toLowerCase() === token.toLowerCase());
}

function parseFields(lines: readonly string[]): Map<string, string> | undefined {
  if (lines.length > MAX_FIELDS) return undefined;
  const fields = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ""] = FIELD.exec(line) ?? [];
    if (name === undefined) return undefined;
    const key = name.toLowerCase();
    const before = fields.get(key);
    fields.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  return fields;
}
