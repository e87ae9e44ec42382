import { expect, test } from "bun:test";
import { PAGE_BYTES, WHOLE } from "./browse.ts";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { SOCKS_PORT, SocksPeers } from "./socks-peers.ts";

const PROXY = `127.0.0.1:${SOCKS_PORT}`;
const DOWNLOAD_BYTES = 200_000_000;

describeLab("ut socks, both peers behind NATs", () => {
  test("a download of 200 MB stays whole while its path is cut, and restored", async () => {
    await using lab = await Lab.open();
    await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "port-restricted" });
    await peers.proxy.logged("pipe_direct");
    const { url, sha256 } = await peers.web(DOWNLOAD_BYTES);
    // Long enough for both of the switches.
    const limit = "--limit-rate 9M";
    const get = `set -o pipefail; curl -sS --fail ${limit} --socks5-hostname ${PROXY} ${url} | sha256sum`;
    const download = peers.run("bash", "-c", get);
    await Bun.sleep(1_000);
    await peers.cut();
    await reached(peers, "relay");
    await Bun.sleep(1_000);
    await peers.restore();
    await reached(peers, "direct");
    const wasUnderWay = await stillRuns(download);
    expect(await download).toBe(`${sha256}  -\n`);
    expect(wasUnderWay).toBe(true);
    expect(peers.proxy.logs("streams_down")).toEqual([]);
  }, 120_000);

  test("fallback: ICE cannot work, hard-NAT punching opens the path, and SOCKS goes over it", async () => {
    await using lab = await Lab.open();
    const peer = { hard_nat: { mode: "fallback" }, p2p: { port_mapping: false } };
    await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "symmetric", peer });
    const { url, sha256 } = await peers.web(20_000_000);
    expect(await peers.proxy.logged("socks_hardnat_diag", { winner: "hardnat" })).toMatchObject({
      mode: "fallback",
      service: "socks",
      verdict: "direct",
      hardnat_role: "nat3",
    });
    await reached(peers, "direct");
    const get = `set -o pipefail; curl -sS --fail --socks5-hostname ${PROXY} ${url} | sha256sum`;
    const before = await sentDirect(peers);
    expect(await peers.run("bash", "-c", get)).toBe(`${sha256}  -\n`);
    expect(await sentDirect(peers)).toBeGreaterThan(before);
    expect((await peers.proxy.status()).traversal.stats).toMatchObject({ hardnat_success: 1 });
    expect(await peers.route()).toBe("direct");
  }, 120_000);

  test.each(["relay", "direct"] as const)(
    "Chromium loads a page over the %s path, its parts at the same time",
    async (route) => {
      await using lab = await Lab.open();
      const peer = { p2p: { direct: route === "direct" } };
      await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "port-restricted", peer });
      await reached(peers, route);
      const url = await peers.page();
      expect(await peers.runBun("browse.ts", "visit", String(SOCKS_PORT), url)).toBe(`${WHOLE}\n`);
      const { opened, bytes } = await peers.socks();
      // One connection for each part at a time, and what a browser asks of its maker, which is nowhere here.
      expect([opened.connect > 1, bytes.down > PAGE_BYTES]).toEqual([true, true]);
      expect(await peers.route()).toBe(route);
    },
    120_000,
  );
});

async function reached(peers: SocksPeers, route: string): Promise<void> {
  while ((await peers.route()) !== route) await Bun.sleep(50);
}

async function stillRuns(download: Promise<unknown>): Promise<boolean> {
  const running = Symbol();
  return (await Promise.race([download, Bun.sleep(0).then(() => running)])) === running;
}

async function sentDirect(peers: SocksPeers): Promise<number> {
  return (await peers.proxy.status()).traversal.pipes[0]?.counters?.sentDirect ?? 0;
}
