import { expect, test } from "bun:test";
import { join } from "node:path";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import type { Namespace } from "./namespace.ts";
import { utBinary } from "./ut-binary.ts";
import { UtTunnel } from "./ut-tunnel.ts";
import { DEFAULT_WAN } from "./wan-link.ts";

/*
 *   udpmon probe ── client ══ wan: 20 ms each way, 1 % of packets lost ══ server ── udpmon reflector
 *
 * Straight, and through a tunnel at the same time: what the path loses, and what it costs to lose nothing.
 */
const UT = [process.execPath, join(import.meta.dir, "../../src/main.ts")];
const PROBES = 600;

type Summary = Readonly<Record<string, number>>;

async function probe(client: Namespace, target: string): Promise<Summary> {
  const flags = ["-target", target, "-interval", "10ms", "-timeout", "10s", "-count", String(PROBES)];
  const lines = await client.run([...UT, "udpmon", "probe", ...flags], { timeoutMs: 60_000 });
  return JSON.parse(lines.trim().split("\n").at(-1) ?? "");
}

describeLab("ut udpmon on a path that loses", () => {
  test("straight it shows the loss, through a tunnel its repair", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    const client = await lab.namespace("client");
    const server = await lab.namespace("server");
    const wan = await lab.wan(client, server, { ...DEFAULT_WAN, lossPercent: 1 });
    await using tunnel = await UtTunnel.open(lab, { binary, client, server, serverAddress: wan.addresses.b });
    const { host, port } = tunnel.exit;
    for (const listen of [`${host}:${port}`, `${wan.addresses.b}:7007`])
      await server.start("reflector", [...UT, "udpmon", "reflector", "-listen", listen]).line(/udpmon_start/);
    const [straight, tunnelled] = await Promise.all([
      probe(client, `${wan.addresses.b}:7007`),
      probe(client, `${tunnel.entry.host}:${tunnel.entry.port}`),
    ]);
    for (const [name, { dropped, rtt_p50_ms, rtt_p95_ms, rtt_p99_ms, jitter_ms }] of Object.entries({
      straight,
      tunnelled,
    }))
      console.log(
        `${name}: lost ${dropped} of ${PROBES}, P50 ${rtt_p50_ms} ms, P95 ${rtt_p95_ms} ms, P99 ${rtt_p99_ms} ms, jitter ${jitter_ms} ms`,
      );
    expect(straight.received).toBeGreaterThan(0);
    expect(straight.dropped).toBeGreaterThan(0);
    expect(tunnelled).toMatchObject({ sent: PROBES, received: PROBES, dropped: 0, duplicates: 0, unexpected: 0 });
  }, 120_000);
});
