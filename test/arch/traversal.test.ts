import { describe, expect, test } from "bun:test";
import { Glob } from "bun";

/**
 * The error kinds of the direct plane are a contract with people's alerts (seed `net-mesh-traversal`), and none of them
 * is ever a loss of connectivity: traffic rides the lanes from its first packet, and goes on riding them.
 */
const KINDS = [
  "reflex-timeout",
  "peer-not-reachable",
  "transport",
  "rendezvous-no-relay",
  "rendezvous-rejected",
  "punch-failed",
  "port-map-unavailable",
  "unsupported",
];

const texts = new Map<string, string>();
for (const path of new Glob("src/**/*.ts").scanSync(".")) texts.set(path, await Bun.file(path).text());

describe("error kinds of the direct plane", () => {
  test("are the seed's, the only ones without an area", () => {
    const source = texts.get("src/core/error.ts") ?? "";
    const declared = [...source.matchAll(/^\s+\| "([^"]+)"/gm)].map(([, kind]) => kind ?? "");
    expect(declared.filter((kind) => !kind.includes("."))).toEqual(KINDS);
  });

  test("are said somewhere, as an error, a reason or a verdict", () => {
    const sources = [...texts].filter(([path]) => !/^src\/(?:core\/error\.ts|cli\/)/.test(path));
    const isSaid = (kind: string) => sources.some(([, text]) => text.includes(`"${kind}"`));
    expect(KINDS.filter((kind) => !isSaid(kind))).toEqual([]);
  });

  test("stand in docs/nat.md, with what says them", async () => {
    const text = await Bun.file("docs/nat.md").text();
    const section = text.split(/^## Errors$/m)[1]?.split(/^#/m)[0] ?? "";
    const rows = [...section.matchAll(/^\| `([^`]+)` .*\| ([^|]+) \|$/gm)];
    expect(rows.map(([, kind]) => kind ?? "")).toEqual(KINDS);
    expect(rows.filter(([, , saidBy]) => saidBy?.startsWith("nothing"))).toEqual([]);
  });
});

test("no comment makes going direct a condition of connectivity", () => {
  const claims =
    /(?:loss of|lost?|loses?|no|without|breaks?) connectivity|(?:required|needed|necessary) (?:for|to) (?:reach|connect|talk)|cannot (?:communicate|talk|connect to each other)/i;
  const plane =
    /^src\/(?:core\/(?:stun|nat|portmap|punch|ice|pipe)\/|(?:app|io|cli)\/.*(?:nat|punch|port-map|stun|gateway))/;
  const wrong: string[] = [];
  for (const [path, text] of texts) {
    if (!plane.test(path)) continue;
    const comments = [...text.matchAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm)].map(([comment]) =>
      comment.replace(/\s+\*?\s*/g, " "),
    );
    for (const comment of comments) {
      const claim = claims.exec(comment);
      if (claim !== null && !/\b(?:not|never) (?:a|of|the)?\s*$/.test(comment.slice(0, claim.index)))
        wrong.push(`${path}: ${claim[0]}`);
    }
  }
  expect(wrong).toEqual([]);
});
