/**
 * The fenced blocks of a Markdown document that say where they belong, in the words behind their language:
 *
 *     ```sh on=client,server               run on each of these hosts, to its end
 *     ```sh on=server keeps-running        a program that stays in the foreground
 *     ```sh on=client,server prints=A,B    what each prints stands for A and B in files behind it
 *     ```yaml on=server file=/etc/ut.yaml  the whole content of that file
 *     ```ini on=client merge=/etc/x.conf   keys that replace those of the same section, or join it
 *     ```sh on=repo                        run in the source folder; ```sh on=kernel changes the machine as a whole
 *
 * Markdown viewers look at the first word only. `text` blocks are pictures and need nothing.
 */
export interface Block {
  readonly language: string;
  readonly on: readonly string[];
  readonly keepsRunning: boolean;
  /** For each of `on`. */
  readonly prints: readonly string[];
  readonly file: string | undefined;
  readonly merge: string | undefined;
  readonly text: string;
  /** Of its first fence, counted from 1. */
  readonly line: number;
}

/** A heading and the blocks below it, up to the next heading of whatever level. */
export interface Section {
  readonly heading: string;
  readonly blocks: readonly Block[];
}

/** Sections in document order, those without blocks left out. Throws for words that it does not know. */
export function readSections(markdown: string): Section[] {
  const sections: { heading: string; blocks: Block[] }[] = [{ heading: "", blocks: [] }];
  const lines = markdown.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const heading = /^#+ (.*)$/.exec(lines[at] ?? "")?.[1];
    if (heading !== undefined) sections.push({ heading, blocks: [] });
    const fence = /^( *)```(\S.*)$/.exec(lines[at] ?? "");
    if (fence === null) continue;
    const [, indent = "", words = ""] = fence;
    const end = lines.indexOf(`${indent}\`\`\``, at);
    if (end < 0) throw new Error(`line ${at + 1}: this block has no end`);
    const text = lines.slice(at + 1, end).map((line) => line.slice(indent.length));
    sections.at(-1)?.blocks.push(parseBlock(words, `${text.join("\n")}\n`, at + 1));
    at = end;
  }
  return sections.filter((section) => section.blocks.length > 0);
}

/** `base` with the keys of `changes` in their sections: those of the same name go, the new ones come at the end. */
export function mergeIni(base: string, changes: string): string {
  const sections = readIni(base);
  for (const [name, lines] of readIni(changes)) {
    const changed = new Set(lines.map(keyOf));
    const kept = (sections.get(name) ?? []).filter((line) => !changed.has(keyOf(line)));
    sections.set(name, [...kept, ...lines]);
  }
  return [...sections].map(([name, lines]) => `${[name, ...lines].join("\n")}\n`).join("\n");
}

/** The lines of each section, without empty ones. */
function readIni(text: string): Map<string, string[]> {
  const sections = new Map<string, string[]>();
  let lines: string[] = [];
  for (const line of text.split("\n").filter((one) => one.trim() !== "")) {
    if (line.startsWith("[")) {
      lines = [];
      sections.set(line, lines);
    } else lines.push(line);
  }
  return sections;
}

function keyOf(line: string): string {
  return (line.split("=", 1)[0] ?? "").trim();
}

const WORDS = new Set(["on", "keeps-running", "prints", "file", "merge"]);

function parseBlock(info: string, text: string, line: number): Block {
  const [language = "", ...words] = info.trim().split(/ +/);
  const values = new Map(words.map((word) => [word.split("=", 1)[0] ?? "", word.split("=").slice(1).join("=")]));
  for (const word of values.keys())
    if (!WORDS.has(word)) throw new Error(`line ${line}: "${word}" is none of ${[...WORDS].join(", ")}`);
  const on = values.get("on")?.split(",") ?? [];
  if (on.length === 0 && language !== "text")
    throw new Error(`line ${line}: say where this block belongs: \`\`\`${language} on=client, server, repo or kernel`);
  return {
    language,
    on,
    keepsRunning: values.has("keeps-running"),
    prints: values.get("prints")?.split(",") ?? [],
    file: values.get("file"),
    merge: values.get("merge"),
    text,
    line,
  };
}
