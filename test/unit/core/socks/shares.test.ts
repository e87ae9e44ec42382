import { expect, test } from "bun:test";
import { Shares } from "../../../../src/core/socks/shares.ts";

test("no peer has more than a share, all together no more than there is, and what is brought back can be had again", () => {
  const shares = new Shares({ inAll: 5, ofOnePeer: 2 });
  const take = (names: string) => [...names].map((peer) => shares.take(peer));
  expect(take("aaabbb")).toEqual([true, true, false, true, true, false]);
  expect(take("cc")).toEqual([true, false]);
  shares.bringBack("a");
  expect(take("bca")).toEqual([false, true, false]);
  for (const peer of "abbcc") shares.bringBack(peer);
  expect(take("aabbcc")).toEqual([true, true, true, true, true, false]);
});
