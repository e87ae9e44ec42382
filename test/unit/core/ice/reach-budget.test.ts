import { expect, test } from "bun:test";
import { ReachBudget } from "../../../../src/core/ice/reach-budget.ts";

const at = (port: number, address = "203.0.113.1") => ({ address, port });
const count = (spend: () => boolean) => {
  let spent = 0;
  for (let i = 0; i < 1_000; i++) if (spend()) spent += 1;
  return spent;
};

test("an address that never answers gets 7 checks and 28 answers", () => {
  const budget = new ReachBudget();
  expect([count(() => budget.spendCheck(at(1))), count(() => budget.spendAnswer(at(1)))]).toEqual([7, 28]);
});

test("each address has its own, and none is lost by the others", () => {
  const budget = new ReachBudget();
  const spent = [at(1), at(2), at(1, "203.0.113.2"), at(1, "2001:db8::1")].map((to) =>
    count(() => budget.spendCheck(to)),
  );
  expect(spent).toEqual([7, 7, 7, 7]);
});

test("one that has answered has no bound, even if it was used up", () => {
  const budget = new ReachBudget();
  count(() => budget.spendCheck(at(1)));
  budget.prove(at(1));
  expect([count(() => budget.spendCheck(at(1))), count(() => budget.spendAnswer(at(1)))]).toEqual([1_000, 1_000]);
});

test("64 addresses of each kind, whatever ports a peer sends from", () => {
  const budget = new ReachBudget();
  let port = 0;
  expect([count(() => budget.spendAnswer(at(port++))), count(() => budget.spendCheck(at(port++)))]).toEqual([64, 64]);
  expect([budget.spendAnswer(at(0)), budget.spendAnswer(at(64))]).toEqual([true, false]);
});
