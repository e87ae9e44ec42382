import { expect, test } from "bun:test";
import { createIceCredentials } from "../../../../src/core/ice/credentials.ts";
import { Random } from "../../../random.ts";

test("8 characters and 24, of those that ICE allows, never the same (RFC 8445 §5.3)", () => {
  const random = new Random(1);
  const all = Array.from({ length: 200 }, () => createIceCredentials((length) => random.bytes(length)));
  const odd = all.filter(({ ufrag, pwd }) => !/^[A-Za-z0-9+/]{8}$/.test(ufrag) || !/^[A-Za-z0-9+/]{24}$/.test(pwd));
  expect(odd).toEqual([]);
  expect(new Set(all.flatMap(({ ufrag, pwd }) => [ufrag, pwd])).size).toBe(400);
});
