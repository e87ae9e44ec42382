import { expect, test } from "bun:test";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { Pulse } from "./pulse.ts";
import { longestGapMs } from "./stream-stats.ts";
import { utBinary } from "./ut-binary.ts";
import { UtTunnel } from "./ut-tunnel.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

/*
 * pulse ── 127.0.0.1:15000 ut client ══ lanes ══ wan 5 ms ══ ut server ── 127.0.0.1:51820 pulse
 *
 * A sender that never slows down, unlike the TCP inside WireGuard in wireguard.test.ts.
 */
describeLab("a server restarted under a steady stream", () => {
  // Once a client that got a datagram every millisecond put its redial timer off with each of them, for ever.
  test.each(["SIGTERM", "SIGKILL"] as const)(
    "%s: 2,000 datagrams a second find their way back",
    async (signal) => {
      const binary = await utBinary();
      await using lab = await Lab.open();
      const client = await lab.namespace("client");
      const server = await lab.namespace("server");
      const wan = await lab.wan(client, server, { ...DEFAULT_WAN, delayMs: 5 });
      await using tunnel = await UtTunnel.open(lab, { binary, client, server, serverAddress: wan.addresses.b });
      const far = await Pulse.bind(lab, server, tunnel.exit);
      const near = await Pulse.connect(lab, client, tunnel.entry);
      await near.greet();
      const { run, startNs } = await near.send({ perSecond: 2_000, bytes: 1_200 });
      await far.settle(500, 1_000, 2_000);
      const before = performance.now();
      await tunnel.restartServer(signal, 100);
      const downMs = performance.now() - before;
      // The greeting waits in line behind the stream: its answer shows that both directions stand again.
      await near.greet(10_000).catch((cause) => {
        throw new Error(`The client did not come back:\n${tunnel.logs}`, { cause });
      });
      await near.stop();
      const { count } = await near.sent(2_000);
      await far.settle(count, 500, 3_000);
      const gapMs = longestGapMs(await far.take(run), startNs, (await far.now()) - 500e6);
      console.log(`${signal}: down for ${downMs.toFixed(0)} ms, longest gap ${gapMs.toFixed(0)} ms`);
      expect(gapMs).toBeLessThanOrEqual(downMs + 6_000);
    },
    40_000,
  );
});
