import { describe, expect, test } from "bun:test";
import { judgeCongestion } from "../../../../src/app/check/congestion-check.ts";

const KEEP = `echo "net.ipv4.tcp_allowed_congestion_control = reno cubic bbr" | sudo tee -a /etc/sysctl.d/90-ut.conf`;

describe("congestion control", () => {
  test("that is there, or left to the system, or nowhere to be chosen", () => {
    const all = { allowed: ["reno", "cubic", "bbr"], available: ["reno", "cubic", "bbr"] };
    const fine = (wanted: string) => [{ verdict: "ok", text: `tcp.congestion: ${wanted} has what it needs` }] as never;
    for (const wanted of ["auto", "bbr", "cubic"] as const) expect(judgeCongestion(wanted, all)).toEqual(fine(wanted));
    expect(judgeCongestion("cubic", { ...all, allowed: ["reno", "cubic"] })).toEqual(fine("cubic"));
    expect(judgeCongestion("system", undefined)).toEqual([]);
    expect(judgeCongestion("auto", undefined)).toEqual([
      { verdict: "skipped", text: "because only Linux lets a program choose its congestion control" },
    ]);
  });

  test("that the kernel has and does not allow: a warning for auto, a failure for who asked for it", () => {
    const choices = { allowed: ["reno", "cubic"], available: ["reno", "cubic", "bbr"] };
    const finding = {
      reason: "bbr-not-allowed",
      text: "the kernel has bbr, and does not allow it to programs: lanes collapse where packets are lost",
      remedy: ["sudo sysctl -w net.ipv4.tcp_allowed_congestion_control='reno cubic bbr'", KEEP],
    };
    expect(judgeCongestion("auto", choices)).toEqual([{ verdict: "warning", ...finding }]);
    expect(judgeCongestion("bbr", choices)).toEqual([{ verdict: "failed", ...finding }]);
  });

  test("that the kernel does not have, as on most machines", () => {
    expect(judgeCongestion("auto", { allowed: ["reno", "cubic"], available: ["reno", "cubic"] })).toEqual([
      {
        verdict: "warning",
        reason: "no-bbr",
        text: "the kernel has no bbr: lanes collapse where packets are lost",
        remedy: [
          `sudo sh -c "modprobe tcp_bbr && sysctl -w net.ipv4.tcp_allowed_congestion_control='reno cubic bbr'"`,
          "echo tcp_bbr | sudo tee /etc/modules-load.d/ut.conf",
          KEEP,
        ],
      },
    ]);
  });
});
