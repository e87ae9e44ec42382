import { expect, test } from "bun:test";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { SocksWays } from "./socks-ways.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

const SECONDS = 3;

describeLab("ut socks over a WAN that loses one packet in a hundred", () => {
  test("is several times as fast as ssh -D beside it, over the direct path and over the relay path", async () => {
    await using lab = await Lab.open();
    const ways = await SocksWays.open(lab, { ...DEFAULT_WAN, lossPercent: 1 });
    const [ssh, relay, direct] = [
      await ways.measure("ssh", SECONDS),
      await ways.measure("relay", SECONDS),
      await ways.measure("direct", SECONDS),
    ];
    console.log(`Mbit/s: ssh -D ${ssh.toFixed(1)}, relay ${relay.toFixed(1)}, direct ${direct.toFixed(1)}`);
    expect(direct / ssh).toBeGreaterThan(3);
    expect(relay / ssh).toBeGreaterThan(2);
  }, 120_000);
});
