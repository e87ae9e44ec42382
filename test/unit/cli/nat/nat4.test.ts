import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Nat4Options, Nat4Report, Nat4Watcher } from "../../../../src/app/nat/nat4.ts";
import { nat4Command } from "../../../../src/cli/nat/nat4.ts";
import { DEFAULT_STUN_SERVERS } from "../../../../src/core/nat/default-stun-servers.ts";
import type { PunchHit, PunchVerdict } from "../../../../src/core/punch/punch-event.ts";
import { PUNCH_DEFAULTS } from "../../../../src/core/punch/settings.ts";
import { fakeTerminal } from "../fake-terminal.ts";

const LOCAL = { address: "0.0.0.0", port: 4_000 };
const HIT: PunchHit = {
  ...{ socket: 0, remote: { address: "198.51.100.2", port: 40_233 }, packet: 312, ports: 155, sent: 330 },
  content: "good \u001b[2J\u202emorning",
};
const REPORT: Nat4Report = {
  ...{ role: "nat3", outcome: "confirmed", authenticated: true, publicAddress: undefined, failure: undefined },
  ...{ confirmed: { hit: HIT, local: LOCAL }, seconds: 0.31, packets: 332, ports: 160 },
};

interface Played {
  readonly report?: Partial<Nat4Report>;
  readonly environment?: Record<string, string>;
  readonly interactive?: boolean;
  play?(watcher: Nat4Watcher, options: Nat4Options): void | Promise<void>;
}

async function run(line: string, { report = {}, environment = {}, interactive = false, play }: Played = {}) {
  const terminal = fakeTerminal({ interactive });
  const asked: Nat4Options[] = [];
  let lines = 0;
  const command = nat4Command({
    environment,
    nextLine: async () => {
      lines += 1;
    },
    run: async (options, watcher) => {
      asked.push(options);
      await play?.(watcher, options);
      return { ...REPORT, ...report };
    },
  });
  const code = await command.run(line.split(" "), terminal);
  return { code, out: terminal.printed, err: terminal.complained, asked: asked[0], lines };
}

const failed = (verdict: PunchVerdict): Partial<Nat4Report> => ({
  ...{ outcome: "failed", confirmed: undefined, seconds: 20, packets: 40_960 },
  failure: { verdict, missProbability: 0.00029, packets: 40_960 },
});

describe("ut nat4 nat3-send", () => {
  const play = (watcher: Nat4Watcher) => {
    const { address, port } = HIT.remote;
    watcher.discovered({ address: { address: "198.51.100.6", port: 4_000 }, portFixed: true, answers: [] });
    watcher.started([LOCAL]);
    watcher.progress({ seconds: 0.2, packets: 100, ports: 100, probability: 0.33 });
    watcher.hit({ ...HIT, remote: { address, port } }, LOCAL);
  };

  test("says what it does, who was hit after how many packets, and how it ended", async () => {
    const { code, out } = await run("nat3-send -t 198.51.100.2 -l :4000", {
      environment: { UT_NAT4_TOKEN: "x" },
      play,
    });
    expect({ code, out }).toEqual({
      code: 0,
      out: [
        "public address 198.51.100.6:4000 (0 servers asked); the other end's -t is 198.51.100.6:4000",
        "trying ports of 198.51.100.2 from 0.0.0.0:4000: 512 at a time, 2,048 in all, for 20 s at most",
        'hit: 198.51.100.2:40233 answered 0.0.0.0:4000 after 330 packets to 155 ports, says "good \\u001b[2J\\u202emorning"',
        "✓ both ways: 0.0.0.0:4000 ⇄ 198.51.100.2:40233, after 310 ms and 332 packets from here",
      ],
    });
  });

  test("without a token that is said first and last", async () => {
    const { out } = await run("nat3 -t 198.51.100.2", { report: { authenticated: false } });
    expect(out).toEqual([
      "Without a token hits are unauthenticated: anybody on the way could fake one (--token, the same at both ends)",
      "✓ both ways: 0.0.0.0:4000 ⇄ 198.51.100.2:40233, after 310 ms and 332 packets from here (unauthenticated)",
    ]);
  });

  test("a live line on a terminal, gone when it ends", async () => {
    const { out } = await run("nat3 -t 198.51.100.2 --token x", { interactive: true, play });
    expect(out.at(2)).toBe("\x1b[J0.2 of 20 s  100 packets  100 ports tried  chance of a hit by now 33 %");
    expect(out.at(3)).toStartWith("\x1b[1A\r\x1b[Jhit: ");
  });

  test("--json: one object on stdout, the rest on stderr", async () => {
    const { out, err } = await run("nat3-send -t 198.51.100.2 --json --token x", { play, interactive: true });
    expect(out.map((text) => JSON.parse(text))).toEqual([JSON.parse(JSON.stringify(REPORT))]);
    expect(err.map((text) => text.split(" ")[0])).toEqual(["public", "trying", "hit:"]);
  });

  test("--pause-after-discovery waits for Enter, others do not", async () => {
    const pause: Played = { play: async (_, options) => await options.pause() };
    expect((await run("nat3-send -t 198.51.100.2 --pause-after-discovery", pause)).lines).toBe(1);
    expect((await run("nat3-send -t 198.51.100.2 --discover-public-addr", pause)).lines).toBe(0);
  });

  test("--dry-run sends nothing", async () => {
    const { code, out, asked } = await run("nat3-send -t 198.51.100.2 --dry-run");
    expect({ code, out, asked }).toEqual({
      code: 0,
      out: [
        "dry run, nothing is sent: 256 sockets at the nat4 end, 512 ports a batch at the nat3 end",
        "  probability  99.971 % that one of 2,048 ports hits, if this is port-restricted × symmetric",
        "  on average   252 ports, 123 ms",
        "  packets      40,960 from here until the deadline, at most 2,500 a second",
        "  seconds      20 until the deadline",
        "  NAT entries  2,048 in this side's router (home routers hold 1,024 to 4,096 in all)",
      ],
      asked: undefined,
    });
    const [json = ""] = (await run("nat4-send -t 198.51.100.6:4000 -c 64 --dry-run --json")).out;
    expect(JSON.parse(json)).toMatchObject({ role: "nat4", ports: 2_048, nat4Packets: 5_120, seconds: 20 });
  });

  test.each([
    ["both-symmetric", "neither side's port is fixed (symmetric × symmetric): this side's port was seen to change"],
    ["not-by-chance", "this is not chance, which would miss in 0.029 % of all runs: neither side's port is fixed"],
    ["by-chance", "this may be chance, which misses in 0.029 % of all runs: try again with a longer --window"],
    ["wrong-token", "the other side was heard, but not with this token"],
    ["unconfirmed", "a probe got through, but its answers did not"],
  ] as const)("at the deadline, %s: 1, and what it means", async (verdict, meaning) => {
    const { code, out } = await run("nat3-send -t 198.51.100.2 --token x", { report: failed(verdict) });
    const [first, second] = (out[0] ?? "").split("\n");
    expect([code, first]).toEqual([1, "✗ nothing was hit: 40,960 packets in 20.0 s"]);
    expect(second).toStartWith(`  ${meaning}`);
  });

  test("interrupted: 130", async () => {
    const report: Partial<Nat4Report> = { outcome: "interrupted", confirmed: undefined };
    const { code, out } = await run("nat3-send -t 198.51.100.2 --token x", { report });
    expect({ code, out }).toEqual({ code: 130, out: ["Interrupted; all sockets are closed."] });
  });
});

describe("ut nat4 nat4-send", () => {
  test("says what it does and who was hit", async () => {
    const play = (watcher: Nat4Watcher) => {
      watcher.discovered({ address: { address: "198.51.100.2", port: 4_711 }, portFixed: true, answers: [] });
      watcher.started([LOCAL, LOCAL]);
      watcher.hit({ ...HIT, socket: 16, content: "", sent: 1 }, LOCAL);
    };
    const { out } = await run("nat4-send -t 198.51.100.6:4000 --token x --ttl 3", { play });
    expect(out.slice(0, 3)).toEqual([
      "public address 198.51.100.2:4711 (0 servers asked); the other end's -t is 198.51.100.2\n" +
        "! the port is the same for all destinations: this NAT is not symmetric, an ordinary hole punch would do",
      "opening 2 mappings towards 198.51.100.6:4000 with TTL 3, for 20 s at most",
      "hit: 198.51.100.2:40233 reached 0.0.0.0:4000 (socket 17) with its packet 312, after 1 packet from here",
    ]);
  });
});

describe("flags", () => {
  test("the defaults, and everything else", async () => {
    const plain = (await run("nat4 -t 198.51.100.6:4000")).asked;
    expect(plain).toMatchObject({
      ...{ role: "nat4", target: { address: "198.51.100.6", port: 4_000 }, local: { address: "0.0.0.0", port: 0 } },
      settings: { ...PUNCH_DEFAULTS, windowMs: 20_000 },
      ...{ order: "permuted", token: undefined, content: "", stunServers: [] },
      limits: { packetsPerSecond: 2_500, mappings: 2_048 },
    });
    const all =
      "nat3-send -t [2001:db8::1] --count 4096 -peer-count 64 --interval 20 --batch-interval 100 --ttl 255 -l [::1]:5000" +
      " --stun-server stun.example --stun-server [2001:db8::2]:3479 --token secret --window 500 --ports random --rate 9" +
      " hello there";
    expect((await run(all)).asked).toMatchObject({
      ...{ role: "nat3", target: { address: "2001:db8::1", port: 0 }, local: { address: "::1", port: 5_000 } },
      settings: {
        ...{ socketCount: 64, scanCount: 4_096, intervalMs: 20, batchIntervalMs: 100 },
        ...{ ttl: 255, noTtl: false, windowMs: 500 },
      },
      ...{ order: "random", token: "secret", content: "hello there" },
      stunServers: [
        { host: "stun.example", port: 3_478 },
        { host: "2001:db8::2", port: 3_479 },
      ],
      // Whoever wants batches of 4,096 ports wants them held.
      limits: { packetsPerSecond: 9, mappings: 4_096 },
    });
  });

  test("the usual STUN servers where none is named", async () => {
    const { asked } = await run("nat3 -t 198.51.100.2 --discover-public-addr");
    expect(asked?.stunServers.map(({ host, port }) => `${host}:${port}`)).toEqual([...DEFAULT_STUN_SERVERS]);
  });

  test("the token from a file, for all to see only there", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ut-nat4-"));
    const file = join(folder, "token");
    writeFileSync(file, "from a file\n");
    expect((await run(`nat3 -t 198.51.100.2 --token-file ${file}`)).asked?.token).toBe("from a file");
    rmSync(folder, { recursive: true });
    await expect(run(`nat3 -t 198.51.100.2 --token-file ${file}`)).rejects.toThrow(
      `Cannot read the token from ${file}`,
    );
  });

  test.each([
    ["", 'Cannot run "ut nat4 ": expected nat3-send or nat4-send'],
    ["nat5-send -t 198.51.100.2", 'Cannot run "ut nat4 nat5-send": expected nat3-send or nat4-send'],
    ["nat3-send", "Missing -t: the other side's public IP, which --discover-public-addr shows over there"],
    ["nat3-send -t 198.51.100.2:40", "Cannot use -t 198.51.100.2:40: expected the other side's public IP"],
    ["nat3-send -t example.org", "Cannot use -t example.org: expected the other side's public IP"],
    ["nat4-send -t 198.51.100.2", "Cannot use -t 198.51.100.2: expected the other side's public IP:PORT"],
    ["nat4-send -t 198.51.100.2:0", "Cannot use -t 198.51.100.2:0: expected the other side's public IP:PORT"],
    ["nat4-send -t 198.51.100.2:40 -c 1025", "Cannot use --count 1025: expected a whole number from 1 to 1024"],
    ["nat3-send -t 198.51.100.2 -c 4097", "Cannot use --count 4097: expected a whole number from 1 to 4096"],
    ["nat4 -t 198.51.100.2:40 --ttl 256", "Cannot use --ttl 256: expected a whole number from 1 to 255"],
    ["nat4 -t 198.51.100.2:40 --ttl 4 --no-ttl", "Cannot use --ttl 4 with --no-ttl: one of them"],
    ["nat4 -t 198.51.100.2:40 -l 10.1.0.11:65400", "256 sockets from there end at 65655, the last port is 65535"],
    ["nat4 -t 198.51.100.2:40 -l ::1", "Cannot reach 198.51.100.2 from ::1: IPv4 and IPv6 do not mix"],
    ["nat3 -t 198.51.100.2 -l eth0", "Cannot use -l eth0: expected ADDRESS, ADDRESS:PORT or :PORT"],
    ["nat3 -t 198.51.100.2 --ports odd", "Cannot use --ports odd: expected permuted or random"],
    ["nat3 -t 198.51.100.2 --token a --token-file b", "Cannot use --token and --token-file together: one of them"],
    ["nat3 -t 198.51.100.2 --token=", "Cannot use an empty token: both ends need the same words"],
    [`nat3 -t 198.51.100.2 ${"x".repeat(257)}`, "Cannot carry 257 bytes of content: 256 is the most"],
  ])("%p is refused", async (line, message) => {
    await expect(run(line)).rejects.toThrow(message);
  });
});
