import { describe, expect, test } from "bun:test";
import { parseNetstat, parseProcNetRoute } from "../../../../src/io/system/route-table.ts";

const HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";

/** As /proc/net/route prints it: padded with blanks. */
function procNetRoute(...lines: string[]): string {
  return [HEAD, ...lines].map((line) => `${line.padEnd(127)}\n`).join("");
}

describe("/proc/net/route", () => {
  test("of a laptop on cable and Wi-Fi, with Docker: the lower metric first", () => {
    const text = procNetRoute(
      "wlp3s0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0",
      "enp0s31f6\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
      "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
      "enp0s31f6\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0",
    );
    expect(parseProcNetRoute(text, "LE")).toEqual([
      { gateway: "192.168.1.254", interfaceName: "enp0s31f6" },
      { gateway: "192.168.1.1", interfaceName: "wlp3s0" },
    ]);
  });

  test("on a machine of the other byte order", () => {
    const text = procNetRoute("eth0\t00000000\tC0A80101\t0003\t0\t0\t0\t00000000\t0\t0\t0");
    expect(parseProcNetRoute(text, "BE")).toEqual([{ gateway: "192.168.1.1", interfaceName: "eth0" }]);
  });

  test.each([
    ["no route at all", procNetRoute()],
    ["an empty file", ""],
    ["a network without a way out", procNetRoute("eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0")],
    ["a tunnel, which has no next hop", procNetRoute("ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0")],
    ["half of the internet", procNetRoute("tun0\t00000000\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0")],
    ["an unreachable route", procNetRoute("*\t00000000\t00000000\t0200\t0\t0\t-1\t00000000\t0\t0\t0")],
    ["an interface that is down", procNetRoute("eth0\t00000000\t0101A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0")],
    ["something else", "eth0 00000000 xyz 0003 0 0 0 00000000\n\0\0\0"],
  ])("%s leaves nothing", (_, text) => expect(parseProcNetRoute(text, "LE")).toEqual([]));
});

describe("netstat of macOS", () => {
  test("with Wi-Fi, a virtual machine's bridge and a VPN: the primary route first, none without a next hop", () => {
    const text = `Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            10.211.55.1        UGScIg          bridge100      !
default            192.168.178.1      UGScg                 en0
default            link#24            UCSIg               utun4
127                127.0.0.1          UCS                   lo0
127.0.0.1          127.0.0.1          UH                    lo0
169.254            link#11            UCS                   en0      !
192.168.178        link#11            UCS                   en0      !
192.168.178.1/32   link#11            UCS                   en0      !
192.168.178.1      2c:91:ab:1:2:3     UHLWIir               en0   1198
224.0.0/4          link#11            UmCS                  en0      !
255.255.255.255/32 link#11            UCS                   en0      !
`;
    expect(parseNetstat(text)).toEqual([
      { gateway: "192.168.178.1", interfaceName: "en0" },
      { gateway: "10.211.55.1", interfaceName: "bridge100" },
    ]);
  });

  test("without a network", () => {
    expect(parseNetstat("Routing tables\n\nInternet:\nDestination Gateway Flags Netif Expire\n")).toEqual([]);
  });
});
