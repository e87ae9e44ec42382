import { expect, test } from "bun:test";
import { BASE_BYTES, PathSize } from "../../../../src/core/pipe/path-size.ts";
import { NEVER } from "../../../../src/core/time.ts";

/** Lets a path of `limit` bytes live until `until`; returns what was sent when. */
function live(size: PathSize, limit: number, until: number): string[] {
  const sent: string[] = [];
  for (let now = size.nextTimeout(true); now <= until; now = size.nextTimeout(true)) {
    // The first of all timeouts is due since ever.
    const at = Math.max(0, now);
    const sizes = size.handleTimeout(at);
    if (sizes.length > 0) sent.push(`${at}: ${sizes.length === 1 ? sizes[0] : `${sizes.length} sizes`}`);
    for (const bytes of sizes) size.note(`${at}/${bytes}`, bytes);
    for (const bytes of sizes) if (bytes <= limit) size.answered(at, `${at}/${bytes}`);
  }
  return sent;
}

test("a search asks for all sizes twice; the largest that was answered is confirmed every two seconds", () => {
  const size = new PathSize();
  expect(size.bytes).toBe(BASE_BYTES);
  expect(live(size, 1_420, 6_100)).toEqual(["0: 7 sizes", "1000: 7 sizes", "4000: 1412", "6000: 1412"]);
  expect(size.bytes).toBe(1_412);
});

test("what stops getting through is found out in three tries, and the search begins anew", () => {
  const size = new PathSize();
  live(size, 1_500, 3_000);
  expect(live(size, 1_300, 8_000)).toEqual([
    ...["4000: 1472", "4500: 1472", "5000: 1472", "5500: 7 sizes", "6500: 7 sizes"],
  ]);
  expect(size.bytes).toBe(1_280);
});

test("a path that takes no more than everybody has nothing to confirm, and is searched again after ten minutes", () => {
  const size = new PathSize();
  expect(live(size, 1_200, 602_000)).toEqual(["0: 7 sizes", "1000: 7 sizes", "602000: 7 sizes"]);
  expect(live(size, 1_500, 604_000)).toEqual(["603000: 7 sizes"]);
  expect(size.bytes).toBe(1_472);
});

test("nothing is due while no datagrams flow, and answers to nothing say nothing", () => {
  const size = new PathSize();
  expect([size.nextTimeout(false), size.answered(0, "made up"), size.bytes]).toEqual([NEVER, false, BASE_BYTES]);
});
