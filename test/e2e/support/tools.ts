import { describe, test } from "bun:test";

/** Foreign programs that tests run, and the Debian package that brings each. */
const PACKAGES = { curl: "curl", openssl: "openssl", nginx: "nginx-light", tinyproxy: "tinyproxy", node: "nodejs" };

/**
 * A `describe` for tests that run programs of others. Where one is missing they are skipped with the reason in their
 * name; with `CI=true` they fail.
 */
export function describeWith(tools: readonly (keyof typeof PACKAGES)[], name: string, body: () => void): void {
  const missing = tools.filter((tool) => Bun.which(tool) === null);
  const problem = `${missing.join(", ")} not found: apt-get install ${missing.map((tool) => PACKAGES[tool]).join(" ")}`;
  if (missing.length === 0) describe(name, body);
  else if (process.env.CI === "true")
    test(name, () => {
      throw new Error(problem);
    });
  else test.skip(`${name} (skipped: ${problem})`, () => {});
}
