import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { mappingOwner, stateFolder } from "../../../src/io/mapping-owner.ts";

const MAPPING = { gateway: "10.1.0.1", transport: "udp", internalPort: 51_820 } as const;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "ut-owner-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("the secret outlives the process, for nobody else to read", async () => {
  const state = join(folder, "state", "ut");
  const [one, other] = [await mappingOwner(state), await mappingOwner(state)];
  expect([one.problem, other.problem]).toEqual([undefined, undefined]);
  expect(one.nonceOf(MAPPING)).toEqual(other.nonceOf(MAPPING));
  expect(one.nonceOf(MAPPING)).toHaveLength(12);
  expect(await readdir(state)).toEqual(["port-mapping.secret"]);
  const { mode } = await stat(join(state, "port-mapping.secret"));
  expect([mode & 0o777, await readFile(join(state, "port-mapping.secret"), "utf8")]).toEqual([
    0o600,
    expect.stringMatching(/^[0-9a-f]{64}\n$/),
  ]);
});

test("each mapping has its own nonce, and each user", async () => {
  const [one, other] = [await mappingOwner(folder), await mappingOwner(join(folder, "other"))];
  const nonces = [
    one.nonceOf(MAPPING),
    one.nonceOf({ ...MAPPING, gateway: "10.2.0.1" }),
    one.nonceOf({ ...MAPPING, transport: "tcp" }),
    one.nonceOf({ ...MAPPING, internalPort: 51_821 }),
    other.nonceOf(MAPPING),
  ];
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString("hex"))).size).toBe(nonces.length);
});

test("processes that start together come to the same one", async () => {
  const owners = await Promise.all(Array.from({ length: 8 }, () => mappingOwner(folder)));
  expect(new Set(owners.map((owner) => Buffer.from(owner.nonceOf(MAPPING)).toString("hex"))).size).toBe(1);
});

test("where it cannot be kept, it lives in this process, and why is told", async () => {
  const path = join(folder, "port-mapping.secret");
  await writeFile(path, "something else\n");
  const [one, other] = [await mappingOwner(folder), await mappingOwner(folder)];
  expect(one.problem).toBe(`${path} holds no secret of ut: delete it`);
  expect(one.nonceOf(MAPPING)).not.toEqual(other.nonceOf(MAPPING));
  expect((await mappingOwner(join(path, "below"))).problem).toContain("ENOTDIR");
});

test("the folder is systemd's, the XDG one, or below home", () => {
  expect(stateFolder({ STATE_DIRECTORY: "/var/lib/ut:/var/lib/x", XDG_STATE_HOME: "/s" })).toBe("/var/lib/ut");
  expect(stateFolder({ XDG_STATE_HOME: "/s" })).toBe("/s/ut");
  expect(stateFolder({})).toBe(join(homedir(), ".local/state/ut"));
});
