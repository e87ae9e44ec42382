import { expect, test } from "bun:test";
import { describeLab } from "./describe-lab.ts";
import { Ipv6Lines } from "./ipv6-lines.ts";
import { Lab } from "./lab.ts";
import { openNatWorld } from "./nat-world.ts";
import { NumberedStream } from "./numbered-stream.ts";
import { Peers, SERVER_V6 } from "./peers.ts";
import { utBinary } from "./ut-binary.ts";
import { UT_SERVER_PORT } from "./ut-tunnel.ts";

/*
 * Two homes that IPv4 can never bring together (symmetric NATs), with IPv6 behind firewalls that let nothing in that was
 * not asked for. The server has IPv4 alone.
 */
describeLab("two ends with IPv6", () => {
  test("go direct over it, although both NATs are symmetric: both ends' checks open both firewalls", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "symmetric", b: "symmetric" });
    const lines = await Ipv6Lines.open(world);
    await using peers = await Peers.open(lab, world, { binary });
    using stream = await NumberedStream.start(peers.entry, peers.exit);
    const direct = await peers.relay.logged("pipe_direct");
    await peers.agent.logged("pipe_direct");
    const sentBefore = stream.sent;
    while (stream.sent < sentBefore + 50) await Bun.sleep(20);
    const report = await stream.finish();
    console.log(`direct over IPv6 after ${direct.elapsed_ms} ms; ${report.sent} datagrams, ${report.lost.length} lost`);
    expect(direct).toMatchObject({ winner: "ice", remote: expect.stringContaining(`[${lines.addresses.b1}]:`) });
    expect([report.lost, report.doubled]).toEqual([[], []]);
    const [pipe] = (await peers.relay.status()).traversal.pipes;
    expect(pipe).toMatchObject({ route: "direct", ownNat: { type: "symmetric" }, peerNat: { type: "symmetric" } });
  }, 60_000);

  test("and nothing else: the server, and then each other", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "symmetric", b: "symmetric" });
    const lines = await Ipv6Lines.open(world);
    await lines.alone();
    const peer = { tcp: { server_addr: `[${SERVER_V6}]:${UT_SERVER_PORT}` } };
    const server = { tcp: { listen_addr: `[::]:${UT_SERVER_PORT}` } };
    await using peers = await Peers.open(lab, world, { binary, peer, server });
    using stream = await NumberedStream.start(peers.entry, peers.exit);
    const direct = await peers.relay.logged("pipe_direct");
    const { lost, doubled } = await stream.finish();
    console.log(`direct after ${direct.elapsed_ms} ms, without any IPv4`);
    expect(direct).toMatchObject({ winner: "ice", remote: expect.stringContaining(`[${lines.addresses.b1}]:`) });
    expect([lost, doubled]).toEqual([[], []]);
  }, 60_000);

  test("whose IPv6 leads nowhere: IPv4 is found beside it", async () => {
    const binary = await utBinary();
    await using lab = await Lab.open();
    await using world = await openNatWorld(lab, { a: "port-restricted", b: "port-restricted" });
    const lines = await Ipv6Lines.open(world);
    await lines.cut();
    await using peers = await Peers.open(lab, world, { binary });
    using stream = await NumberedStream.start(peers.entry, peers.exit);
    const direct = await peers.relay.logged("pipe_direct");
    const { lost, doubled } = await stream.finish();
    console.log(`direct over IPv4 after ${direct.elapsed_ms} ms, beside IPv6 that swallows everything`);
    expect(direct).toMatchObject({ winner: "ice", remote: expect.stringMatching(/^198\.51\.100\./) });
    expect([lost, doubled]).toEqual([[], []]);
  }, 60_000);
});
