import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { health } from "../../../../src/cli/status/health.ts";
import { fakeTerminal } from "../fake-terminal.ts";

/** A node that is alive and not ready. */
let server: Bun.Server<undefined>;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "ut-health-"));
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: ({ url }) =>
      url.endsWith("/healthz")
        ? new Response("ok\n")
        : Response.json({ ready: false, notReady: ["client: no lane"] }, { status: 503 }),
  });
});
afterAll(async () => {
  await server.stop(true);
  await rm(folder, { recursive: true });
});

async function ask(...argv: string[]): Promise<{ code: number; out: string[]; err: string[] }> {
  const terminal = fakeTerminal();
  const code = await health.run(argv, terminal);
  return {
    code,
    out: terminal.printed,
    err: terminal.complained.map((text) => text.replaceAll(`:${server.port}`, ":P")),
  };
}

test("a node that answers is well", async () => {
  expect(await ask("--addr", `127.0.0.1:${server.port}`)).toEqual({ code: 0, out: ["ok"], err: [] });
});

test("one that cannot do its work is not ready, and says why", async () => {
  expect(await ask("--ready", "--addr", `127.0.0.1:${server.port}`)).toEqual({
    code: 1,
    out: [],
    err: ['http://127.0.0.1:P/readyz: 503 {"ready":false,"notReady":["client: no lane"]}'],
  });
});

test("its address is found in its config, where it listens everywhere, too", async () => {
  const path = join(folder, "ut.yaml");
  const tls = "tls: { ca_cert: a, cert: b, key: c }";
  await writeFile(path, `role: server\n${tls}\nmetrics: { listen_addr: "0.0.0.0:${server.port}" }\n`);
  expect(await ask("-config", path)).toEqual({ code: 0, out: ["ok"], err: [] });
});

test("nobody there is a failure", async () => {
  const asked = ask("--addr", "127.0.0.1:1");
  await expect(asked).rejects.toThrow(
    `Cannot ask http://127.0.0.1:1/healthz: nobody listens there
Next: does ut run there?`,
  );
  await expect(asked).rejects.toMatchObject({ kind: "io.connect" });
});

test("a proxy of the environment is not asked", async () => {
  const main = join(import.meta.dir, "../../../../src/main.ts");
  const env = {
    ...process.env,
    HTTP_PROXY: "http://127.0.0.1:1",
    http_proxy: "http://127.0.0.1:1",
    NO_PROXY: "",
    no_proxy: "",
  };
  const child = Bun.spawn([process.execPath, main, "health", "--addr", `127.0.0.1:${server.port}`], {
    env,
    stdout: "pipe",
  });
  expect([await child.stdout.text(), await child.exited]).toEqual(["ok\n", 0]);
});
