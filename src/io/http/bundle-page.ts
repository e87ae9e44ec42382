import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

export interface StatusPage {
  /** Everything in one document: it asks for nothing but `/api/events`. */
  readonly html: string;
  /** The Content-Security-Policy that it works under. */
  readonly policy: string;
}

const WEB = new URL("../../web/", import.meta.url).pathname;

/**
 * A macro (`with { type: "macro" }`): it runs when the file that calls it is compiled, into the binary or by
 * `bun run`, and what it returns stands there instead of the call. Bundles `src/web` into one document.
 */
export function bundlePage(): StatusPage {
  const style = bundled("style.css");
  const script = bundled("page.ts");
  const html = readFileSync(`${WEB}index.html`, "utf8")
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${style}</style>`)
    .replace(/<script type="module"[^>]*>/, (tag) => `${tag.replace(/ src="[^"]*"/, "")}${script}`);
  return { html, policy: policyFor(script, style) };
}

/** Of another process: a macro is not allowed to use the bundler that waits for it. */
function bundled(file: string): string {
  const { success, stdout, stderr } = Bun.spawnSync([
    process.execPath,
    "build",
    "--minify",
    "--target=browser",
    WEB + file,
  ]);
  if (!success) throw new Error(`Cannot bundle the status page: ${stderr}`);
  return stdout.toString().trim();
}

/** Nothing from anywhere but this very script and style, and events of the same address; and no text that becomes HTML. */
function policyFor(script: string, style: string): string {
  return [
    "default-src 'none'",
    `script-src '${hash(script)}'`,
    `style-src '${hash(style)}'`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
}

function hash(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}
