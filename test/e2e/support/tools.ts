import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

/** Foreign programs that tests run, and the Debian package that brings each. */
const PACKAGES = {
  curl: "curl",
  openssl: "openssl",
  nginx: "nginx-light libnginx-mod-stream",
  tinyproxy: "tinyproxy",
  node: "nodejs",
};

/** What nginx needs to pass connections on as they are; Debian packs it by itself. */
export const NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so";

/**
 * A `describe` for tests that run programs of others. Where one is missing they are skipped with the reason in their
 * name; with `CI=true` they fail.
 */
export function describeWith(tools: readonly (keyof typeof PACKAGES)[], name: string, body: () => void): void {
  const missing = tools.filter((tool) => Bun.which(tool) === null || (tool === "nginx" && !existsSync(NGINX_STREAM)));
  const problem = `${missing.join(", ")} not found: apt-get install ${missing.map((tool) => PACKAGES[tool]).join(" ")}`;
  if (missing.length === 0) describe(name, body);
  else if (process.env.CI === "true")
    test(name, () => {
      throw new Error(problem);
    });
  else test.skip(`${name} (skipped: ${problem})`, () => {});
}
