import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { describeLab } from "./describe-lab.ts";
import { Lab } from "./lab.ts";
import { KNOWN_NAME, SOCKS_PORT, SocksPeers } from "./socks-peers.ts";

const PROXY = `127.0.0.1:${SOCKS_PORT}`;

describeLab("ut socks, both peers behind NATs", () => {
  test.each(["relay", "direct"] as const)(
    "curl, ssh and a DNS client, over the %s path",
    async (route) => {
      await using lab = await Lab.open();
      const peer = { p2p: { direct: route === "direct", port_mapping: false } };
      await using peers = await SocksPeers.open(lab, { natA: "port-restricted", natB: "port-restricted", peer });
      if (route === "direct") await peers.proxy.logged("pipe_direct");
      const { url, sha256 } = await peers.web(300_000);
      const sum = `set -o pipefail; curl -sS --fail --socks5-hostname ${PROXY} ${url} | sha256sum`;
      expect(await peers.run("bash", "-c", sum)).toBe(`${sha256}  -\n`);
      const tunnel = `set -o pipefail; curl -sS --fail --proxytunnel --proxy http://${PROXY} ${url} | sha256sum`;
      expect(await peers.run("bash", "-c", tunnel)).toBe(`${sha256}  -\n`);
      const ssh = await peers.ssh();
      expect(await peers.run(...ssh, "head -c 100000 /dev/zero | sha256sum")).toBe(
        `${createHash("sha256").update(Buffer.alloc(100_000)).digest("hex")}  -\n`,
      );
      const dns = await peers.dns();
      expect(await peers.runBun("dns.ts", "ask", String(SOCKS_PORT), dns, KNOWN_NAME)).toBe("192.0.2.80\n");
      expect(await peers.runBun("dns.ts", "ask", String(SOCKS_PORT), dns, "no.lab.example")).toBe("code 3\n");
      expect(await peers.route()).toBe(route);
    },
    60_000,
  );
});
