import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { readSections } from "./readme-blocks.ts";

/** The example of docs/udpmon.md, word for word, on a host whose ports are free. */
const ROOT = join(import.meta.dir, "../..");
const document = await Bun.file(join(ROOT, "docs/udpmon.md")).text();
const PRELUDE = `ut() { exec "${process.execPath}" "${join(ROOT, "src/main.ts")}" "$@"; }\n`;

describeLab("docs/udpmon.md", () => {
  test("the example: fifty probes, fifty answers", async () => {
    await using lab = await Lab.open();
    const host = await lab.namespace("host");
    const [far, near] = readSections(document).find(({ heading }) => heading === "Try it")?.blocks ?? [];
    expect(far?.keepsRunning).toBe(true);
    await host.start("reflector", ["bash", "-ec", PRELUDE + far?.text]).line(/udpmon_start/);
    const lines = (await host.run(["bash", "-ec", PRELUDE + near?.text])).trim().split("\n");
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ event: "udpmon_summary", sent: 50, received: 50 });
  }, 20_000);
});
