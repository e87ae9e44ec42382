import { describe, test } from "bun:test";
import { existsSync } from "node:fs";

/** What tests ask of the system beside the lab, and the Debian package that brings it. */
const PACKAGES = {
  curl: "curl",
  openssl: "openssl",
  nginx: "nginx-light libnginx-mod-stream",
  tinyproxy: "tinyproxy",
  node: "nodejs",
  "systemd-analyze": "systemd",
  plistutil: "libplist-utils",
  prometheus: "prometheus",
  promtool: "prometheus",
  buildah: "buildah",
  "apt-get": "apt",
  pip: "python3-pip",
  chromium: "chromium",
} as const;

/** What nginx needs to pass connections on as they are; Debian packs it by itself. */
export const NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so";

/**
 * A `describe` for tests that need programs of others. Where one is missing a user sees them skipped with the reason in
 * their name; with `CI=true` they fail instead, because a gate that silently tests less is no gate.
 */
export function describeWith(tools: readonly (keyof typeof PACKAGES)[], name: string, body: () => void): void {
  const missing = tools.filter((tool) => Bun.which(tool) === null || (tool === "nginx" && !existsSync(NGINX_STREAM)));
  const packages = [...new Set(missing.map((tool) => PACKAGES[tool]))].join(" ");
  const problem = `${missing.join(", ")} not found: apt-get install ${packages}`;
  if (missing.length === 0) describe(name, body);
  else if (process.env.CI === "true")
    test(name, () => {
      throw new Error(`Cannot test what CI must test: ${problem}`);
    });
  else test.skip(`${name} (skipped: ${problem})`, () => {});
}
