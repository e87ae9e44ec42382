import { expect, test } from "bun:test";
import { EXAMPLES } from "../../../src/config/examples.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { UtError } from "../../../src/core/error.ts";

const ROUNDS = 400;
/** What typing accidents, editors and merges leave behind. */
const LITTER = [
  "\t",
  "  ",
  "\n",
  ":",
  "- ",
  "#",
  '"',
  "[",
  "}",
  "&a ",
  "*a",
  "!x ",
  "---\n",
  "\0",
  "\u202e",
  "~",
  "<<: ",
  "5",
];

test("a damaged config is accepted or refused line by line, whatever the damage", () => {
  const seed = Number(process.env.UT_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = randomOf(seed);
  for (let round = 0; round < ROUNDS; round++) {
    const text = damaged(EXAMPLES[round % 2 === 0 ? "client" : "server"].replace(/^( *)#(\w+: )/gm, "$1$2"), random);
    try {
      parseConfig(text, "ut.yaml");
    } catch (error) {
      const context = `UT_SEED=${seed} round ${round}: ${String(error)}`;
      expect(error, context).toBeInstanceOf(UtError);
      const { kind, message } = error as UtError;
      expect(kind, context).toMatch(/^config\.(syntax|invalid)$/);
      for (const line of message.split("\n"))
        expect(line, context).toMatch(/^ut\.yaml:[1-9]\d*:[1-9]\d*: (.+: )?expected /);
      expect(message, context).not.toMatch(/Invalid input|undefined|[\0\u202e]/);
    }
  }
});

function damaged(text: string, random: (below: number) => number): string {
  let result = text;
  for (let hits = 1 + random(3); hits > 0; hits--) {
    const at = random(result.length);
    const cut = random(2) === 0 ? 0 : random(12);
    const litter = random(3) === 0 ? "" : (LITTER[random(LITTER.length)] ?? "");
    result = result.slice(0, at) + litter + result.slice(at + cut);
  }
  return result;
}

/** Mulberry32: small, and the same everywhere for one seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}
