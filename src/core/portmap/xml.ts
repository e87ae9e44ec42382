/** Names are local ones, without their prefix: gateways put any in front. Attributes are left out, UPnP needs none. */
export interface XmlElement {
  readonly name: string;
  /** Its own text, without that of its children, trimmed. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

export type XmlProblem = "too-long" | "doctype" | "too-deep" | "too-many" | "cut-off" | "syntax";
export type XmlResult =
  | { readonly ok: true; readonly root: XmlElement }
  | { readonly ok: false; readonly kind: XmlProblem };

/** Several times what the largest known description of a router has. */
export const XML_LIMITS = { chars: 64 * 1024, depth: 24, elements: 2_000 } as const;

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
/** A start or end tag; quoted values may hold `>`. A name ends in one way only, or a long one would be tried at length. */
const TAG = /<(\/?)([^\s/>"'=<]+)((?:[\s/](?:[^<>"']|"[^"]*"|'[^']*')*)?)>/y;

interface Open {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

/**
 * Reads what UPnP gateways send, which is hostile or merely bad XML: bounded in length, depth and number of elements,
 * in time linear to its length. No DTD, so no entity but the five and the numeric ones: a document with one is refused.
 * What gateways get wrong is forgiven where it can be read in one way only: a bare `&`, an end tag too many, anything
 * before or after the root.
 *
 * Own code, because `fast-xml-parser` and its like have neither of these limits, make objects with keys that the sender
 * chose, and had the entity expansions that this must not have; what is needed of XML here is this much.
 */
export function parseXml(text: string): XmlResult {
  if (text.length > XML_LIMITS.chars) return { ok: false, kind: "too-long" };
  return new Reader(text).read();
}

/** The first element of that name below `element`, at any depth, in the document's order. */
export function findElement(element: XmlElement, name: string): XmlElement | undefined {
  return findElements(element, name)[0];
}

/** All elements of that name below `element`, at any depth, in the document's order. */
export function findElements(element: XmlElement, name: string): XmlElement[] {
  return element.children.flatMap((child) => [...(child.name === name ? [child] : []), ...findElements(child, name)]);
}

/** For text between tags. */
export function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

class Reader {
  readonly #text: string;
  readonly #open: Open[] = [];
  #elements = 0;
  #root: XmlElement | undefined;
  #problem: XmlProblem | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  read(): XmlResult {
    let at = 0;
    while (this.#root === undefined && this.#problem === undefined) {
      const next = this.#text.indexOf("<", at);
      if (next < 0) this.#problem = "cut-off";
      else {
        this.#addText(decodeEntities(this.#text.slice(at, next)));
        at = this.#readMarkup(next);
      }
    }
    return this.#root === undefined ? { ok: false, kind: this.#problem ?? "cut-off" } : { ok: true, root: this.#root };
  }

  /** Reads what starts at `at` with `<`: where it ends. */
  #readMarkup(at: number): number {
    if (this.#text.startsWith("<!--", at)) return this.#skipTo("-->", at + 4);
    if (this.#text.startsWith("<?", at)) return this.#skipTo("?>", at + 2);
    if (this.#text.startsWith("<![CDATA[", at)) {
      const end = this.#skipTo("]]>", at + 9);
      this.#addText(this.#text.slice(at + 9, end - 3));
      return end;
    }
    if (this.#text.startsWith("<!", at)) {
      this.#problem = "doctype";
      return at;
    }
    return this.#readTag(at);
  }

  #readTag(at: number): number {
    TAG.lastIndex = at;
    const [tag = "", slash, qualified = "", attributes = ""] = TAG.exec(this.#text) ?? [];
    if (tag === "") this.#problem = this.#text.indexOf(">", at) < 0 ? "cut-off" : "syntax";
    else {
      const name = qualified.slice(qualified.lastIndexOf(":") + 1);
      if (slash === "/") this.#close(name);
      else {
        this.#start(name);
        if (attributes.endsWith("/")) this.#close(name);
      }
    }
    return at + tag.length;
  }

  #start(name: string): void {
    this.#elements += 1;
    if (this.#elements > XML_LIMITS.elements) this.#problem = "too-many";
    else if (this.#open.length === XML_LIMITS.depth) this.#problem = "too-deep";
    else this.#open.push({ name, text: "", children: [] });
  }

  /** Ends the innermost element of that name, and what was left open in it; nothing if there is none. */
  #close(name: string): void {
    const level = this.#open.findLastIndex((open) => open.name === name);
    while (level >= 0 && this.#open.length > level) {
      const ended = this.#open.pop();
      if (ended === undefined) return;
      const element = { ...ended, text: ended.text.trim() };
      const parent = this.#open.at(-1);
      if (parent === undefined) this.#root = element;
      else parent.children.push(element);
    }
  }

  #addText(text: string): void {
    const open = this.#open.at(-1);
    if (open !== undefined) open.text += text;
  }

  #skipTo(mark: string, from: number): number {
    const end = this.#text.indexOf(mark, from);
    if (end < 0) this.#problem = "cut-off";
    return end < 0 ? this.#text.length : end + mark.length;
  }
}

function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{2,4}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return Object.hasOwn(ENTITIES, name) ? (ENTITIES[name] ?? whole) : whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    const isCharacter = code > 0 && code <= 0x10_ffff && (code < 0xd800 || code > 0xdfff);
    return isCharacter ? String.fromCodePoint(code) : whole;
  });
}
