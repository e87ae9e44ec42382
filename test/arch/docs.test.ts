import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { Glob } from "bun";
import { schemaAt } from "../../src/config/json-schema.ts";
import { ENTRY_REFUSALS, EXIT_FAULTS } from "../../src/core/socks/socks-counters.ts";
import { createMetrics } from "../../src/io/metrics/metrics.ts";
import { type Block, readSections } from "../lab/readme-blocks.ts";
import {
  busyCounters,
  networkStatus,
  nodeStatus,
  sessionStatus,
  socksStatusOf,
  traversalStatus,
} from "../unit/io/node-status.ts";

/**
 * What the documents say exists, and what exists the documents tell: an operator who finds an event in the log or a
 * series on a dashboard finds it in a table of docs/tunnel.md or, where it is about the network, of docs/nat.md. (That
 * the README's commands work is proven by test/lab/readme.test.ts.)
 */
const ROOT = join(import.meta.dir, "../..");
const DOCUMENTS = ["README.md", "README.zh-CN.md", "CHANGELOG.md", ...new Glob("docs/*.md").scanSync(ROOT)];
const texts = new Map<string, string>();
for (const path of DOCUMENTS) texts.set(path, await Bun.file(join(ROOT, path)).text());
const everything = [...texts.values()].join("\n");
/** Their tables below the same heading are one. */
const OPERATORS = [
  "docs/operating.md",
  "docs/tunnel.md",
  "docs/nat.md",
  "docs/streams.md",
  "docs/socks.md",
  "docs/udpmon.md",
];

const build = { version: "0", commit: "0", bun: "0", platform: "linux-x64" };
const page = await createMetrics({
  status: () => [
    nodeStatus({ clients: new Map([["home", busyCounters()]]), sessions: [sessionStatus()] }),
    nodeStatus({ role: "socks", socks: socksStatusOf(ENTRY_REFUSALS) }),
    nodeStatus({ role: "agent", socks: socksStatusOf(EXIT_FAULTS) }),
  ],
  traversal: () => traversalStatus({ network: networkStatus() }),
  build,
  perClientCn: true,
  perLane: true,
}).scrape();

describe("the operators' tables", () => {
  test("tells every event of the log, and no other", async () => {
    const events = new Set<string>();
    for (const path of new Glob("src/**/*.ts").scanSync(ROOT)) {
      const source = await Bun.file(join(ROOT, path)).text();
      for (const [, event] of source.matchAll(/\.(?:debug|info|warn|error)\(\s*"([a-z_]+)"|\bevent: "([a-z_]+)"/g))
        events.add(event ?? "");
      for (const [, event] of source.matchAll(/\bevent: "([a-z_]+)"/g)) events.add(event ?? "");
    }
    events.delete("");
    expect(firstColumn("Log")).toEqual([...events].sort());
  });

  test("tells every metric, and no other", () => {
    const families = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
    expect(firstColumn("Metrics")).toEqual(families.sort());
  });

  test.each([
    ["Drop reasons", "ut_udp_drop_total", "reason"],
    ["Channel drop reasons", "ut_channel_drop_total", "reason"],
    ["Handshake failures", "ut_tls_handshake_fail_total", "reason"],
    ["Frame errors", "ut_frame_err_total", "kind"],
    ["Refusals", "ut_socks_refused_total", "reason"],
  ])("%s: all values of %s{%s}", (heading, family, label) => {
    const series = new RegExp(`^${family}\\{.*\\b${label}="([^"]+)"`, "gm");
    const values = new Set([...page.matchAll(series)].map(([, value]) => value ?? ""));
    expect(firstColumn(heading)).toEqual([...values].sort());
  });
});

describe("the documents", () => {
  test("name only commands that exist", async () => {
    const help = await Bun.$`${process.execPath} ${join(ROOT, "src/main.ts")} --help`.text();
    const commands = new Set([...help.matchAll(/^ {2}ut (\w+)/gm)].map(([, name]) => name ?? ""));
    const named = code().flatMap((text) => [...text.matchAll(/^ut ([a-z]\w*)/gm)].map(([, name]) => name ?? ""));
    expect(named.filter((name) => !commands.has(name))).toEqual([]);
    expect(named).not.toEqual([]);
  });

  test("README: both languages have the same commands and files", () => {
    const blocks = (path: string) =>
      readSections(texts.get(path) ?? "").flatMap((section) => section.blocks.filter(({ on }) => on.length > 0));
    const withoutLine = ({ line, ...block }: Block) => block;
    const english = blocks("README.md").map(withoutLine);
    expect(blocks("README.zh-CN.md").map(withoutLine)).toEqual(english);
    expect(english).not.toEqual([]);
  });

  test("name only npm scripts that exist", async () => {
    const { scripts } = await Bun.file(join(ROOT, "package.json")).json();
    const named = code().flatMap((text) => [...text.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name ?? ""));
    expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
    expect(named).not.toEqual([]);
  });

  test("name only config keys that exist", () => {
    const keys = code().flatMap(
      (text) =>
        /^((?:tcp|udp|queue|metrics|tls|log|server|p2p|nat|socks|services)(?:\.[a-z_]+)+)\b/.exec(text)?.[1] ?? [],
    );
    expect(keys.filter((key) => schemaAt(key.split(".")) === undefined)).toEqual([]);
    expect(keys).not.toEqual([]);
  });

  test("name only metrics that exist", () => {
    const known = [...page.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? "");
    const named = [...everything.matchAll(/\but_[a-z0-9_]*[a-z]/g)].map(([name]) => name);
    const base = (name: string) => name.replace(/_(?:bucket|sum|count)$/, "");
    expect(named.filter((name) => !known.includes(name) && !known.includes(base(name)))).toEqual([]);
  });

  test.each(DOCUMENTS)("%s: links lead somewhere", (document) => {
    const text = texts.get(document) ?? "";
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
    const dead = links.filter(([, path, anchor]) => !leads(document, path ?? "", anchor)).map(([link]) => link);
    expect(dead).toEqual([]);
  });
});

/** The names in code of each row's first cell, of the tables below a heading; labels and paths are left out. */
function firstColumn(heading: string): string[] {
  const sections = OPERATORS.map((path) => sectionOf(texts.get(path) ?? "", heading));
  const lines = sections.join("\n").split("\n");
  const cells = lines.flatMap((line) => /^\| ([^|]*`[^|]*) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => [...cell.matchAll(/`([a-z0-9_]+)/g)].map(([, name]) => name ?? "")).sort();
}

function sectionOf(text: string, heading: string): string {
  return text.split(new RegExp(`^#+ ${heading}$`, "m"))[1]?.split(/^#/m)[0] ?? "";
}

/** Every piece of code: fenced blocks as a whole, and what stands in backticks. */
function code(): string[] {
  const fences = /^ *```[^\n]*\n([\s\S]*?)^ *```$/gm;
  const blocks = [...everything.matchAll(fences)].map(([, text]) => (text ?? "").replace(/^ +/gm, ""));
  const inline = [...everything.replace(fences, "").matchAll(/`([^`\n]+)`/g)].map(([, text]) => text ?? "");
  return [...blocks, ...inline];
}

function leads(from: string, path: string, anchor: string | undefined): boolean {
  const target = path === "" ? from : join(dirname(from), path);
  if (!existsSync(join(ROOT, target))) return false;
  if (anchor === undefined) return true;
  const headings = [...(texts.get(target) ?? "").matchAll(/^#+ (.*)$/gm)].map(([, text]) => text ?? "");
  return headings.map(slug).includes(anchor);
}

/** GitHub's anchors: lower case, no punctuation, hyphens for spaces. */
function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}
