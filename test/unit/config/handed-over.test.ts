import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withHandedOver } from "../../../src/config/handed-over.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { refusalOf, TLS } from "./config-text.ts";

const config = parseConfig(`role: server\n${TLS}`, "ut.yaml");

function folderWith(...names: string[]): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "ut-handed-"));
  for (const name of names) writeFileSync(join(path, name), "");
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

test("what is in the folder stands before what the file says; what is not remains", () => {
  using folder = folderWith("tls.key", "tls.cert", "other");
  expect(withHandedOver(config, folder.path)).toEqual({
    ...config,
    tls: { ...config.tls, cert: join(folder.path, "tls.cert"), key: join(folder.path, "tls.key") },
  });
});

test("a folder with none of them, or none at all, is a mistake", () => {
  using folder = folderWith("node.key");
  for (const path of [folder.path, join(folder.path, "nowhere")])
    expect(refusalOf(() => withHandedOver(config, path))).toBe(
      `usage.bad-value\nCannot use --credentials ${path}: expected some of the files tls.ca_cert, tls.cert, tls.key in it`,
    );
});
