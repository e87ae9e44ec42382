import { expect, test } from "bun:test";
import { formatMs, formatNumber, formatTable } from "../../../src/cli/table.ts";

test("columns are as wide as their widest cell, numbers stand right", () => {
  const rows = [
    { name: "a", count: "1,000" },
    { name: "longer", count: "2" },
  ];
  const columns = [
    { title: "", cell: (row: (typeof rows)[number]) => row.name, align: "left" },
    { title: "n", cell: (row: (typeof rows)[number]) => row.count },
  ] as const;
  expect(formatTable(columns, rows)).toEqual(["            n", "──────  ─────", "a       1,000", "longer      2"]);
});

test("numbers have as many decimals as mean something", () => {
  expect([formatNumber(1_234_567.8), formatNumber(0.5, 2), formatNumber(Number.NaN), formatNumber(undefined)]).toEqual([
    "1,234,568",
    "0.50",
    "-",
    "-",
  ]);
  expect([0.123, 12.34, 123.4, Number.NaN].map(formatMs)).toEqual(["0.12", "12.3", "123", "-"]);
});
