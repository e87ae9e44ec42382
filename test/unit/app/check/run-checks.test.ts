import { expect, test } from "bun:test";
import type { Check } from "../../../../src/app/check/check.ts";
import { type Finding, failed, ok } from "../../../../src/app/check/finding.ts";
import { runChecks } from "../../../../src/app/check/run-checks.ts";
import { Scene } from "../../../../src/app/check/scene.ts";
import { parseConfig } from "../../../../src/config/load.ts";

const config = parseConfig(
  JSON.stringify({ role: "client", tcp: { server_addr: "a:1" }, tls: { ca_cert: "a", cert: "b", key: "c" } }),
  "ut.yaml",
);

function check(name: string, findings: Promise<readonly Finding[]>): Check {
  return { name, doing: `doing ${name}`, run: () => findings };
}

test("checks run side by side and are told in their order", async () => {
  const slow = Promise.withResolvers<readonly Finding[]>();
  const seen: unknown[] = [];
  const checks = [
    check("slow", slow.promise),
    check("nothing", Promise.resolve([])),
    check("quick", Promise.resolve([failed("broken", "it is", "mend it")])),
  ];
  const running = runChecks(checks, new Scene(config, "ut.yaml", new AbortController().signal), {
    told: (findings) => seen.push(findings),
    waiting: (doing) => seen.push(doing),
  });
  slow.resolve([ok("in the end")]);
  const slowly = { check: "slow", verdict: "ok", text: "in the end" };
  const quickly = { check: "quick", verdict: "failed", reason: "broken", text: "it is", remedy: ["mend it"] };
  expect(await running).toEqual([slowly, quickly] as never);
  expect(seen).toEqual(["doing slow", [slowly], "doing nothing", [], "doing quick", [quickly]]);
});

test("an interruption ends it with its reason", async () => {
  const abort = new AbortController();
  const scene = new Scene(config, "ut.yaml", abort.signal);
  const never = new Promise<readonly Finding[]>((_, reject) =>
    abort.signal.addEventListener("abort", () => reject(abort.signal.reason)),
  );
  const running = runChecks([check("endless", never)], scene, { told: () => {}, waiting: () => {} });
  abort.abort(new Error("enough"));
  await expect(running).rejects.toThrow("enough");
});
