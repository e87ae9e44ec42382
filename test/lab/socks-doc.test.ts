import { expect, test } from "bun:test";
import { join } from "node:path";
import { ADDRESSES } from "../contract/world.ts";
import { describeLab } from "./describe-lab.ts";
import { DocBed } from "./doc-bed.ts";
import { Lab } from "./lab.ts";
import { readSections } from "./readme-blocks.ts";

/** The quick start of docs/socks.md, word for word; only the office's own service is the test's. */
const document = await Bun.file(join(import.meta.dir, "../../docs/socks.md")).text();
const blocks = readSections(document).find(({ heading }) => heading === "Quick start")?.blocks ?? [];

describeLab("docs/socks.md", () => {
  test("quick start: the office's own service answers at home, through both kinds of proxy", async () => {
    expect(document).toContain(`\`${ADDRESSES.stun}\``);
    await using lab = await Lab.open();
    await using bed = await DocBed.open(lab, "port-restricted");
    const { office } = bed.hosts;
    const serve = `Bun.serve({ hostname: "127.0.0.1", port: 8080, fetch: () => new Response("office\\n") }); console.log("serving")`;
    await office.start("web at office", `${process.execPath} -e '${serve}'`, () => {}).line(/^serving$/);
    expect(await bed.follow(blocks)).toMatch(/^office, socks: /m);
    const printed = await bed.hosts.home.run("curl -sS --fail --socks5-hostname 127.0.0.1:1080 http://127.0.0.1:8080/");
    expect(printed).toBe("office\n");
  }, 90_000);
});
