import { describe, expect, test } from "bun:test";
import { Glob } from "bun";

/**
 * Who may import whom, read from the source text (DESIGN "Folders"). Each rule says why it exists, because a rule
 * without a reason is the first one to be broken.
 */
const LAYERS: Record<string, { may: string[]; why: string }> = {
  core: { may: ["core"], why: "machines run unchanged on virtual networks, so they know no shell" },
  io: { may: ["io", "core"], why: "a shell serves any role and any config" },
  config: { may: ["config", "core"], why: "a config can be checked on a machine that could not run it" },
  app: { may: ["app", "core", "io", "config"], why: "roles wire machines to shells and know no command line" },
  cli: { may: ["cli", "app", "config", "core", "io"], why: "commands know everything but the process entry" },
  web: { may: ["web"], why: "the page is bundled for a browser" },
  main: { may: ["cli", "core"], why: "argv in, exit code out" },
};

/** Packages that a layer may use. `node:` and `bun:` modules are shells: never in core. */
const PACKAGES: Record<string, RegExp> = {
  // zod is pure computation; control messages are the one hostile structured input of core.
  core: /^(zod|node:crypto)$/,
  io: /^(node:|bun:|bun$|pino$|prom-client$|reflect-metadata$|@peculiar\/x509$)/,
  config: /^(zod|yaml|node:fs|node:path)$/,
  app: /^(node:|bun$)/,
  cli: /^(node:|bun$)/,
  web: /^$/,
  main: /^node:/,
};

const ONLY_IN: { what: RegExp; files: RegExp; why: string }[] = [
  { what: /from "zod"/, files: /^src\/(core\/wire|config)\//, why: "bytes elsewhere are not JSON" },
  { what: /from "node:crypto"/, files: /^src\/(core\/crypto|io\/|app\/|cli\/)/, why: "core has one door to crypto" },
  { what: /from "bun:ffi"/, files: /^src\/io\/system\/(sockopt|libc)[a-z-]*\.ts$/, why: "FFI can crash the process" },
  { what: /from "node:quic"/, files: /^src\/io\/quic\/quic\.ts$/, why: "it is experimental: one place to follow it" },
  { what: /process\.exit\(/, files: /^src\/main\.ts$/, why: "anywhere else it skips disposal" },
];

interface Source {
  path: string;
  layer: string;
  text: string;
}

const sources: Source[] = [];
for (const path of [...new Glob("src/**/*.ts").scanSync(".")].sort()) {
  const text = await Bun.file(path).text();
  sources.push({ path, layer: path === "src/main.ts" ? "main" : (path.split("/")[1] ?? ""), text });
}

/** What of the page is erased before it is bundled: it may know the shape of what it is told. */
const TYPE_ONLY = /^import type \{[^}]*\} from "\.\.\/(?:core|io)\/[^"]+";$/gm;

function imports(source: Source): string[] {
  if (source.layer === "web") return importsIn(source.text.replace(TYPE_ONLY, ""));
  return importsIn(source.text);
}

function importsIn(text: string): string[] {
  return [...text.matchAll(/^(?:import|export|\}) ?(?:.*from )?"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
    (match) => match[1] ?? match[2] ?? "",
  );
}

function layerOf(source: Source, specifier: string): string {
  const path = new URL(specifier, `file:///${source.path}`).pathname.slice(1);
  return path === "src/main.ts" ? "main" : (path.split("/")[1] ?? "");
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

describe("layers", () => {
  test("there is source to check", () => expect(sources.length).toBeGreaterThan(5));

  test("every file stands in a known layer", () => {
    expect(sources.filter((source) => !(source.layer in LAYERS)).map((source) => source.path)).toEqual([]);
  });

  test("imports go only where the layer may look", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      for (const specifier of imports(source)) {
        const allowed = specifier.startsWith(".")
          ? LAYERS[source.layer]?.may.includes(layerOf(source, specifier)) ||
            /package\.json$|^\.\.\/\.\.\/config\/\w+\.yaml$/.test(specifier)
          : PACKAGES[source.layer]?.test(specifier);
        if (!allowed) wrong.push(`${source.path} imports ${specifier}: ${LAYERS[source.layer]?.why}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("dangerous things stand in the files that are meant for them", () => {
    const wrong: string[] = [];
    for (const source of sources) {
      for (const rule of ONLY_IN) {
        if (rule.what.test(withoutComments(source.text)) && !rule.files.test(source.path))
          wrong.push(`${source.path} has ${rule.what}: ${rule.why}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

describe("purity", () => {
  const hands =
    /\b(Date|setTimeout|setInterval|setImmediate|queueMicrotask|Math\.random|performance|Bun|process|console)\b/;

  test("core has no clock, timer, randomness, process or console", () => {
    const wrong = sources
      .filter((source) => source.layer === "core")
      .flatMap((source) => {
        const match = hands.exec(withoutComments(source.text).replace(/"[^"\n]*"/g, '""'));
        return match ? [`${source.path}: ${match[0]}`] : [];
      });
    expect(wrong).toEqual([]);
  });

  test("the page knows no Bun, whose types its own ones bring along", () => {
    const wrong = sources.filter(
      ({ layer, text }) => layer === "web" && /\b(?:Bun|process)\b/.test(withoutComments(text)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("no `any` outside io", () => {
    const wrong = sources
      .filter(
        (source) =>
          source.layer !== "io" &&
          /(:\s*any\b(?! [a-z])|\bas any\b(?! [a-z])|<any>)/.test(withoutComments(source.text)),
      )
      .map((source) => source.path);
    expect(wrong).toEqual([]);
  });
});

describe("errors", () => {
  test("every kind is `area.problem`, named once, and used kinds exist", async () => {
    const text = await Bun.file("src/core/error.ts").text();
    const kinds = [...text.matchAll(/^\s+\| "([^"]+)"/gm)].map((match) => match[1] ?? match[2] ?? "");
    expect(kinds.length).toBeGreaterThan(5);
    expect(new Set(kinds).size).toBe(kinds.length);
    expect(kinds.filter((kind) => !/^[a-z0-9-]+(\.[a-z0-9-]+)?$/.test(kind))).toEqual([]);
  });
});
