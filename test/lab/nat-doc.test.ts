import { expect, test } from "bun:test";
import { join } from "node:path";
import { ADDRESSES } from "../contract/world.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { type Block, readSections } from "./readme-blocks.ts";

/** The example of docs/nat.md, word for word, on two NATs that have the addresses it speaks of. */
const ROOT = join(import.meta.dir, "../..");
const document = await Bun.file(join(ROOT, "docs/nat.md")).text();
const blocks = readSections(document).find(({ heading }) => heading === "ut nat4")?.blocks ?? [];

/** `ut` as the document has it, from source. */
const PRELUDE = `ut() { "${process.execPath}" "${join(ROOT, "src/main.ts")}" "$@"; }\n`;

describeLab("docs/nat.md", () => {
  test("the example of ut nat4: the dry run says what stands there, and the two ends meet", async () => {
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "symmetric", b: "port-restricted" });
    expect(document).toContain(`\`${ADDRESSES.natA}\``);
    expect(document).toContain(`\`${ADDRESSES.natB}\``);
    const hosts = { nat4: world.namespaceOf("a1"), nat3: world.namespaceOf("b1") };
    const run = ({ on: [host = ""], text }: Block) =>
      hosts[host as keyof typeof hosts].run(["bash", "-ec", PRELUDE + text], { timeoutMs: 30_000 });

    const [dryRun, odds, nat4, nat3] = blocks as [Block, Block, Block, Block];
    expect((await run(dryRun)).trim()).toBe(odds.text.trim());
    // 2,048 ports miss once in 3,400 times.
    const [many, one] = await Promise.all([run(nat4), run(nat3)]);
    expect(many).toContain('says "hello from nat3"');
    expect(one).toMatch(/says "hello from nat4"\n✓ both ways: 0\.0\.0\.0:4000 ⇄ 198\.51\.100\.2:\d+, after /);
  }, 60_000);
});
