/**
 * A program for the lab, run in a namespace by Bun: a page of several parts, and a real browser that visits it.
 *
 *   browse.ts serve ADDRESS           prints `serving URL`
 *   browse.ts visit PROXY-PORT URL    prints the title that the page gives itself once it has all of its parts
 */
import { openBrowser } from "../e2e/support/browser.ts";

const PARTS = 8;
const PART_BYTES = 500_000;
const PAGE = `<!doctype html><title>loading</title><main>A page</main><script type="module">
  const parts = await Promise.all([...Array(${PARTS}).keys()].map(async (part) => {
    const bytes = new Uint8Array(await (await fetch("/part/" + part)).arrayBuffer());
    return bytes.every((byte) => byte === part) ? bytes.length : NaN;
  }));
  document.title = "whole " + parts.reduce((sum, length) => sum + length, 0);
</script>`;
export const PAGE_BYTES = PARTS * PART_BYTES;
export const WHOLE = `whole ${PAGE_BYTES}`;

const [mode, ...rest] = process.argv.slice(2);
if (import.meta.main && mode === "serve") serve(rest[0] ?? "");
else if (import.meta.main && mode === "visit") await visit(Number(rest[0]), rest[1] ?? "");
else if (import.meta.main) throw new Error("usage: browse.ts serve ADDRESS | visit PROXY-PORT URL");

function serve(hostname: string): void {
  const server = Bun.serve({
    hostname,
    port: 0,
    fetch(request) {
      const part = /\/part\/(\d+)$/.exec(request.url)?.[1];
      if (part === undefined) return new Response(PAGE, { headers: { "content-type": "text/html" } });
      return new Response(new Uint8Array(PART_BYTES).fill(Number(part)));
    },
  });
  console.log(`serving ${server.url.href}`);
}

async function visit(proxyPort: number, url: string): Promise<void> {
  await using browser = await openBrowser([`--proxy-server=socks5://127.0.0.1:${proxyPort}`]);
  const page = await browser.newPage();
  await page.goto(url);
  await page.waitForFunction('document.title !== "loading"');
  console.log(await page.title());
}
