import { expect, test } from "bun:test";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { SOCKS_PORT, SocksPeers } from "./socks-peers.ts";

const PROXY = `127.0.0.1:${SOCKS_PORT}`;
const LIMIT_MS = 120_000;
/** "Failure in receiving network data", as a reset makes it; 0 would be an end that nobody has meant. */
const CURL_RECEIVE_ERROR = "56";

/** A download without a length, under way. Resolves to how curl ended. */
async function endlessDownload(peers: SocksPeers): Promise<{ readonly curl: Promise<string> }> {
  const { bytes } = await peers.socks();
  const url = await peers.endless();
  const get = `curl -s --socks5-hostname ${PROXY} --limit-rate 2M -o /dev/null ${url}; echo $?`;
  const curl = peers.run("bash", "-c", get).then((code) => code.trim());
  while ((await peers.socks()).bytes.down < bytes.down + 1_000_000) await Bun.sleep(20);
  return { curl };
}

describeLab("ut socks when something dies", () => {
  test(
    "an agent that is killed: the download breaks and does not end; the next one works when it is back",
    async () => {
      await using lab = await Lab.open();
      await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "port-restricted" });
      await peers.proxy.logged("pipe_direct");
      const { url, sha256 } = await peers.web(1_000_000);
      const { curl } = await endlessDownload(peers);
      const from = peers.proxy.lines.length;
      await peers.agent.restart("SIGKILL", 0);
      expect(await curl).toBe(CURL_RECEIVE_ERROR);
      await peers.proxy.logged("streams_up", {}, from);
      const get = `set -o pipefail; curl -sS --fail --socks5-hostname ${PROXY} ${url} | sha256sum`;
      expect(await peers.run("bash", "-c", get)).toBe(`${sha256}  -\n`);
    },
    LIMIT_MS,
  );

  test.each(["relay", "direct"] as const)(
    "a server that is killed and comes back, over the %s path: the download stays whole",
    async (route) => {
      await using lab = await Lab.open();
      const peer = { p2p: { direct: route === "direct", port_mapping: false } };
      await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "port-restricted", peer });
      if (route === "direct") await peers.proxy.logged("pipe_direct");
      const { url, sha256 } = await peers.web(12_000_000);
      const get = `set -o pipefail; curl -sS --fail --limit-rate 3M --socks5-hostname ${PROXY} ${url} | sha256sum`;
      const download = peers.run("bash", "-c", get);
      while ((await peers.socks()).bytes.down < 2_000_000) await Bun.sleep(20);
      await peers.server.restart("SIGKILL", 500);
      expect(await download).toBe(`${sha256}  -\n`);
      expect(peers.proxy.logs("streams_down")).toEqual([]);
    },
    LIMIT_MS,
  );
});
