import { expect, test } from "bun:test";
import { judgeMtu } from "../../../../src/app/check/wireguard-check.ts";

const wg0 = (mtu: number | undefined) => ({ name: "wg0", listenPort: undefined, endpoints: [], mtu });

/** Verdict, and what was found. */
function judged(mtu: number | undefined, isPipe: boolean): string {
  const { verdict, text } = judgeMtu(wg0(mtu), isPipe);
  return `${verdict}: ${text}`;
}

test.each([
  [1_420, "ok: wg0 has MTU 1420"],
  [1_500, "ok: wg0 has MTU 1500"],
  [1_380, "ok: wg0 has MTU 1380"],
  [1_280, "warning: wg0 has MTU 1280: 11 % more packets than needed"],
  [1_000, "warning: wg0 has MTU 1000: 42 % more packets than needed, and no IPv6"],
  [65_456, "warning: wg0 has MTU 65456: what hosts behind the other end send does not fit there"],
  [undefined, "skipped: wg0: because this system does not tell its MTU"],
])("over lanes: %p", (mtu, text) => expect(judged(mtu, false)).toBe(text));

test.each([
  [1_380, "ok: wg0 has MTU 1380"],
  [1_420, "warning: wg0 has MTU 1420: full packets go in two parts on a direct path"],
  [1_280, "warning: wg0 has MTU 1280: 8 % more packets than needed"],
])("over a pipe: %p", (mtu, text) => expect(judged(mtu, true)).toBe(text));

test("both ends are to have the same", () => {
  expect(judgeMtu(wg0(1_420), true)).toMatchObject({
    reason: "mtu-splits",
    remedy: ["sudo ip link set dev wg0 mtu 1380", "in wg0.conf at both ends: MTU = 1380"],
  });
});
