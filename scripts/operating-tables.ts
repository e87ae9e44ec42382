/**
 * Writes the tables of docs/operating.md that say what exists: every config key as the schema has it, every log event
 * and every metric as the documents of their topics describe them. test/arch/docs.test.ts holds the latter to the code,
 * test/arch/operating.test.ts this file to what would be written now.
 *
 *     bun run scripts/operating-tables.ts
 */
import { join } from "node:path";
import { Glob } from "bun";
import { configJsonSchema, type SchemaNode } from "../src/config/json-schema.ts";

const DOCS = join(import.meta.dir, "../docs");
const OPERATING = join(DOCS, "operating.md");

type Row = readonly string[];

/** The document as it should be, from the document as it is: what stands between the markers is made anew. */
export async function withTables(text: string): Promise<string> {
  const tables: Record<string, string> = {
    config: format(["Key", "Default", "Means"], configRows()),
    events: format(["Event", "Level", "Means", "More"], await topicRows("Log", 3)),
    metrics: format(["Metric", "Type", "Means", "More"], await topicRows("Metrics", 3)),
  };
  return Object.entries(tables).reduce((whole, [name, table]) => {
    const [begin, end] = [`<!-- ${name}: made by scripts/operating-tables.ts -->`, `<!-- end of ${name} -->`];
    const [from, to] = [whole.indexOf(begin), whole.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`Cannot find "${begin}" and "${end}" in docs/operating.md`);
    return `${whole.slice(0, from + begin.length)}\n\n${table}\n\n${whole.slice(to)}`;
  }, text);
}

function configRows(): Row[] {
  const rows: Row[] = [];
  const walk = (node: SchemaNode, path: string): void => {
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const name = path === "" ? key : `${path}.${key}`;
      const entries = child.items?.properties === undefined ? undefined : child.items;
      // A section has no value of its own; what it is for stands in the examples.
      if (child.properties === undefined) rows.push([code(name), defaultOf(child), meaning(child)]);
      walk(entries ?? child, entries === undefined ? name : `${name}[]`);
    }
  };
  walk(configJsonSchema(), "");
  return rows;
}

function defaultOf({ default: value }: SchemaNode): string {
  if (value === undefined || value === null) return "";
  if (Array.isArray(value) && value.length > 3) return `${value.length} entries`;
  return code(typeof value === "string" ? value : JSON.stringify(value));
}

function meaning({ description = "", minimum, maximum, enum: words, "x-unit": unit }: SchemaNode): string {
  const limits =
    minimum === undefined || maximum === undefined ? [] : [`${minimum} to ${maximum}${unit ? ` ${unit}` : ""}`];
  const choices = words === undefined ? [] : [words.map(code).join(", ")];
  const range = [...limits, ...choices].join("; ");
  return range === "" ? description : `${description} (${range})`;
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

/** The first cells of each row of the tables below a heading, in all documents, sorted by name. */
async function topicRows(heading: string, cells: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const file of [...new Glob("*.md").scanSync(DOCS)].sort()) {
    const text = await Bun.file(join(DOCS, file)).text();
    const section = text.split(new RegExp(`^#+ ${heading}$`, "m"))[1]?.split(/^#/m)[0] ?? "";
    const more = `[${file.replace(/\.md$/, "")}](${file}#${heading.toLowerCase()})`;
    for (const [line] of section.matchAll(/^\| [^|]*`.*\|$/gm)) {
      const all = line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim().replaceAll("](#", `](${file}#`));
      rows.push([...all.slice(0, cells), more]);
    }
  }
  return rows.sort(([left = ""], [right = ""]) => (left < right ? -1 : 1));
}

/** Columns as wide as their widest cell. */
function format(titles: Row, rows: readonly Row[]): string {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: Row) =>
    `| ${titles.map((_, column) => (cells[column] ?? "").padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(titles), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n");
}

if (import.meta.main) await Bun.write(OPERATING, await withTables(await Bun.file(OPERATING).text()));
