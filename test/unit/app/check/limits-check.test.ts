import { expect, test } from "bun:test";
import { judgeFiles, judgeReceiveBuffer } from "../../../../src/app/check/limits-check.ts";
import { parseConfig } from "../../../../src/config/load.ts";

const tls = { ca_cert: "a", cert: "b", key: "c" };
const tcp = { server_addr: "a:1" };
const config = (settings: object) => parseConfig(JSON.stringify({ tls, tcp, ...settings }), "ut.yaml");

test("files: a client needs few, a server many, a scan for a hard NAT as many as it has sockets", () => {
  const fine = (text: string) => [{ verdict: "ok", text }] as never;
  expect(judgeFiles(config({ role: "client" }), 256)).toEqual(fine("256 open files are allowed, 71 may be needed"));
  expect(judgeFiles(config({ role: "server" }), 1_024)).toEqual([
    {
      verdict: "warning",
      reason: "few-files",
      text: "only 1024 open files are allowed, and 2112 may be needed",
      remedy: ["ulimit -n 2112", "in the systemd unit: LimitNOFILE=2112"],
    },
  ]);
  const agent = config({ role: "agent", hard_nat: { mode: "fallback", socket_count: 1_024 } });
  expect(judgeFiles(agent, 2_000)).toEqual(fine("2000 open files are allowed, 1095 may be needed"));
  expect(judgeFiles(agent, undefined)).toEqual([]);
});

test("receive buffer: what Linux allows by default is small", () => {
  expect(judgeReceiveBuffer(212_992)).toEqual([
    {
      verdict: "warning",
      reason: "small-receive-buffer",
      text: "UDP sockets may buffer 208 KiB only: bursts from the local WireGuard are lost",
      remedy: [
        "sudo sysctl -w net.core.rmem_max=8388608",
        'echo "net.core.rmem_max = 8388608" | sudo tee -a /etc/sysctl.d/90-ut.conf',
      ],
    },
  ]);
  expect([judgeReceiveBuffer(4 * 1024 * 1024), judgeReceiveBuffer(undefined)]).toEqual([[], []]);
});
