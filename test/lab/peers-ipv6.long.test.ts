import { expect, test } from "bun:test";
import { describeLab } from "./describe-lab.ts";
import { Ipv6Lines } from "./ipv6-lines.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { NumberedStream } from "./numbered-stream.ts";
import { Peers } from "./peers.ts";
import { utBinary } from "./ut-binary.ts";

describeLab("two ends behind symmetric NATs, whose direct path over IPv6 dies", () => {
  test("go on through the server within 3 s, and are back on it when IPv6 is", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "symmetric", b: "symmetric" });
    const lines = await Ipv6Lines.open(world);
    await using peers = await Peers.open(lab, world, { binary });
    using stream = await NumberedStream.start(peers.entry, peers.exit);
    await peers.relay.logged("pipe_direct");
    const before = peers.relay.lines.length;
    await lines.cut();
    await peers.relay.logged("pipe_relay", {}, before);
    await lines.restore();
    const again = await peers.relay.logged("pipe_direct", {}, before);
    const { sent, lost, doubled, longestGapMs } = await stream.finish();
    console.log(
      `IPv6 cut and restored: ${lost.length} of ${sent} datagrams lost, longest gap ${longestGapMs.toFixed(0)} ms`,
    );
    expect(again.remote).toContain(`[${lines.addresses.b1}]:`);
    expect(doubled).toEqual([]);
    expect(longestGapMs).toBeLessThanOrEqual(3_000);
  }, 120_000);
});
