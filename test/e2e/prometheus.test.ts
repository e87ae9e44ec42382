import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeWith } from "./support/describe-with.ts";

/** Prometheus's own judge of what config/prometheus holds. */
const ROOT = join(import.meta.dir, "../..");

describeWith(["promtool"], "promtool", () => {
  test.each([
    [
      "accepts the scrape example",
      "check config config/prometheus/prometheus.yml",
      "is valid prometheus config file syntax",
    ],
    ["accepts the alert rules", "check rules config/prometheus/ut.rules.yml", "rules found"],
    [
      "sees each alert fire at its cause, and at nothing else",
      "test rules test/vectors/prometheus/alerts.yml",
      "SUCCESS",
    ],
  ])("%s", (_, command, verdict) => {
    const { stdout, stderr, exitCode } = Bun.spawnSync(["promtool", ...command.split(" ")], { cwd: ROOT });
    expect(`${stderr}${stdout}`).toContain(verdict);
    expect(exitCode).toBe(0);
  });
});
