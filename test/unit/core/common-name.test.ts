import { describe, expect, test } from "bun:test";
import { commonNameOf, isCommonName } from "../../../src/core/common-name.ts";

describe("common name", () => {
  test("one CN of letters, digits, dots and hyphens is an identity", () => {
    expect(commonNameOf({ CN: "ec2.Example-1" })).toEqual({ ok: true, cn: "ec2.Example-1" });
    expect(commonNameOf({ CN: ["home"] })).toEqual({ ok: true, cn: "home" });
    expect(commonNameOf({ CN: "x".repeat(64) })).toEqual({ ok: true, cn: "x".repeat(64) });
  });

  test("none, several or an empty list are told apart", () => {
    expect(commonNameOf(undefined)).toEqual({ ok: false, kind: "missing", found: [] });
    expect(commonNameOf({})).toEqual({ ok: false, kind: "missing", found: [] });
    expect(commonNameOf({ CN: [] })).toEqual({ ok: false, kind: "missing", found: [] });
    expect(commonNameOf({ CN: ["a", "b"] })).toEqual({ ok: false, kind: "several", found: ["a", "b"] });
    expect(commonNameOf({ CN: ["a", "a"] })).toEqual({ ok: false, kind: "several", found: ["a", "a"] });
  });

  test.each(["", "x".repeat(65), "a b", "a\n", "a\0b", "ä", "a/b", "a,b", "../a", "a_b", "*"])("%j is none", (cn) => {
    expect(isCommonName(cn)).toBe(false);
    expect(commonNameOf({ CN: cn })).toEqual({ ok: false, kind: "malformed", found: [cn] });
  });
});
