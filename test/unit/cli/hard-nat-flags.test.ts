import { describe, expect, test } from "bun:test";
import { parseFlags } from "../../../src/cli/command.ts";
import { HARD_NAT_FLAGS, withHardNatFlags } from "../../../src/cli/hard-nat-flags.ts";
import { parseConfig } from "../../../src/config/load.ts";
import { refusalOf, TLS } from "../config/config-text.ts";

const FILE = parseConfig(`role: server\n${TLS}`, "ut.yaml").hard_nat;
const read = (argv: string, file = FILE) => withHardNatFlags(file, parseFlags(argv.split(" "), HARD_NAT_FLAGS));

describe("--p2p-hardnat…", () => {
  test("leaves the file as it is where nothing is said", () =>
    expect(withHardNatFlags(FILE, parseFlags([], HARD_NAT_FLAGS))).toEqual(FILE));

  test("overrides the file, with one dash or two", () =>
    expect(
      read(
        "--p2p-hardnat assist -p2p-hardnat-role nat4 --p2p-hardnat-socket-count 1 --p2p-hardnat-scan-count=4096 --p2p-hardnat-interval 20 --p2p-hardnat-batch-interval 300000 --p2p-hardnat-ttl 255",
      ),
    ).toEqual({
      ...FILE,
      mode: "assist",
      role: "nat4",
      socket_count: 1,
      scan_count: 4_096,
      interval_ms: 20,
      batch_interval_ms: 300_000,
      ttl: 255,
    }));

  test("a time to live, or none, takes the place of both", () => {
    expect(read("--p2p-hardnat-ttl 3", { ...FILE, no_ttl: true })).toEqual({ ...FILE, ttl: 3, no_ttl: false });
    expect(read("--p2p-hardnat-no-ttl", { ...FILE, ttl: 3 })).toEqual({ ...FILE, ttl: "auto", no_ttl: true });
  });

  test.each([
    ["--p2p-hardnat on", "Cannot use --p2p-hardnat on: expected off, fallback, assist, force"],
    ["--p2p-hardnat-role nat1", "Cannot use --p2p-hardnat-role nat1: expected auto, nat3, nat4"],
    ["--p2p-hardnat-socket-count 0", "Cannot use --p2p-hardnat-socket-count 0: expected a whole number from 1 to 1024"],
    [
      "--p2p-hardnat-scan-count 4097",
      "Cannot use --p2p-hardnat-scan-count 4097: expected a whole number from 1 to 4096",
    ],
    ["--p2p-hardnat-interval 19", "Cannot use --p2p-hardnat-interval 19: expected a whole number from 20 to 60000"],
    [
      "--p2p-hardnat-batch-interval 99",
      "Cannot use --p2p-hardnat-batch-interval 99: expected a whole number from 100 to 300000",
    ],
    ["--p2p-hardnat-ttl 256", "Cannot use --p2p-hardnat-ttl 256: expected a whole number from 1 to 255"],
    ["--p2p-hardnat-ttl 5 --p2p-hardnat-no-ttl", "Cannot use --p2p-hardnat-ttl with --p2p-hardnat-no-ttl: one of them"],
  ])("refuses %s", (argv, message) => expect(refusalOf(() => read(argv))).toBe(`usage.bad-value\n${message}`));
});
