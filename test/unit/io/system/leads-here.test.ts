import { expect, test } from "bun:test";
import { leadsHere } from "../../../../src/io/system/leads-here.ts";

// The laboratory has hosts with more to tell: test/lab/socks-own.test.ts.
test.skipIf(process.platform !== "linux")(
  "what Linux keeps on this host: loopback, and nothing that is elsewhere",
  () => {
    const addresses = ["127.0.0.1", "127.9.9.9", "198.51.100.9", "224.0.0.251", "2001:db8::9", "no address"];
    expect(addresses.map(leadsHere)).toEqual([true, true, false, false, false, false]);
  },
);
