import { describe, expect, test } from "bun:test";
import { allScenarios, chooseScenarios } from "../../scripts/bench/scenarios.ts";
import { formatNumber, formatTable, median } from "../../scripts/bench/table.ts";
import { chooseVariants } from "../../scripts/bench/variants.ts";
import { overlay, sumMetric } from "./ut-tunnel.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

describe("variants", () => {
  const none = { ends: ["default/default"], set: [], setClient: [], setServer: [], vary: [] };

  test("straight UDP stands first, and `default` sets nothing", () => {
    expect(chooseVariants(none, true)).toEqual([
      { name: "straight UDP", tunnel: "straight" },
      { name: "ut default/default", tunnel: "ut", client: {}, server: {} },
    ]);
  });

  test("the ends' congestion control, settings of both ends and of one, and every combination of what varies", () => {
    const flags = {
      ends: ["cubic/auto"],
      set: ["tcp.lanes=3"],
      setClient: ["tcp.pick=hash"],
      setServer: ["log.level=debug"],
      vary: ["tcp.reorder_ms=0,30", "tcp.tcp_buf=8192"],
    };
    const tcp = (reorder_ms: number) => ({ lanes: 3, reorder_ms, tcp_buf: 8192 });
    const variant = (reorder_ms: number) => ({
      name: `ut cubic/auto reorder_ms=${reorder_ms} tcp_buf=8192`,
      tunnel: "ut" as const,
      client: { tcp: { ...tcp(reorder_ms), pick: "hash", congestion: "cubic" } },
      server: { tcp: { ...tcp(reorder_ms), congestion: "auto" }, log: { level: "debug" } },
    });
    expect(chooseVariants(flags, false)).toEqual([variant(0), variant(30)]);
  });

  test("what is not CLIENT/SERVER or key=value is refused", () => {
    expect(() => chooseVariants({ ...none, ends: ["bbr"] }, true)).toThrow("expected CLIENT/SERVER");
    expect(() => chooseVariants({ ...none, set: ["tcp.lanes"] }, true)).toThrow("expected key.path=value");
  });
});

describe("scenarios", () => {
  test("are the rows of FINDINGS.md, chosen by kind and by parts of their names", () => {
    const all = allScenarios(DEFAULT_WAN);
    const names = (kinds: string[], words: string[]) => chooseScenarios(all, kinds, words).map(({ name }) => name);
    expect(names(["datagrams"], [])).toEqual(["d2k-loss1", "d8k-loss0.1", "d9.3k-clean"]);
    expect(names(["tcp"], ["cubic"])).toEqual(["cubic-1-clean", "cubic-8-clean", "cubic-1-loss", "cubic-8-loss"]);
    expect(names([], ["d2k", "bbr-8"])).toEqual(["d2k-loss1", "bbr-8-clean", "bbr-8-loss"]);
  });
});

describe("the table", () => {
  test("is aligned: text to the left, numbers to the right", () => {
    const lines = formatTable<{ name: string; value: number }>(
      [
        { title: "tunnel", cell: ({ name }) => name, align: "left" },
        { title: "ms", cell: ({ value }) => formatNumber(value, 1) },
      ],
      [
        { name: "ut", value: 1234.56 },
        { name: "straight", value: Number.NaN },
      ],
    );
    expect(lines).toEqual(["tunnel         ms", "--------  -------", "ut        1,234.6", "straight        -"]);
  });

  test("the median is the middle, or the mean of the two in the middle", () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3]), median([7])]).toEqual([2, 2.5, 7]);
    expect(median([])).toBeNaN();
  });
});

describe("configs and metrics", () => {
  test("an overlay replaces leaves and keeps their neighbours", () => {
    const base = { role: "client", tcp: { lanes: 5, pick: "hash" }, list: [1, 2] };
    expect(overlay(base, { tcp: { lanes: 1 }, list: [3] })).toEqual({
      role: "client",
      tcp: { lanes: 1, pick: "hash" },
      list: [3],
    });
    expect(base.tcp.lanes).toBe(5);
  });

  test("a sum covers all series of a name, and of no longer name", () => {
    const metrics = { 'ut_a{dir="up"}': 1, 'ut_a{dir="down"}': 2, ut_a: 4, ut_ab: 8 };
    expect([sumMetric(metrics, "ut_a"), sumMetric(metrics, "ut_a", 'dir="up"')]).toEqual([7, 1]);
  });
});
