import { describe, expect, test } from "bun:test";
import type { Lifetime } from "../../../../src/app/nat/mapping-lifetime.ts";
import type { NatSurvey, NatSurveyOptions, NatSurveyStep } from "../../../../src/app/nat/nat-survey.ts";
import { natCheck, natCheckCommand } from "../../../../src/cli/nat/nat-check.ts";
import { fakeTerminal } from "../fake-terminal.ts";
import { answered, BLOCKED, HOME, NOTHING, server } from "./nat-surveys.ts";

interface Played {
  readonly survey?: NatSurvey;
  readonly steps?: readonly NatSurveyStep[];
  readonly lifetime?: readonly Lifetime[];
  readonly interactive?: boolean;
  readonly signal?: AbortSignal;
}

/** `ut nat check` over a survey that only hands out its result. */
async function check(argv: string, { survey = HOME, steps = [], lifetime = [], ...some }: Played = {}) {
  const terminal = fakeTerminal(some);
  const asked: NatSurveyOptions[] = [];
  const command = natCheckCommand({
    async surveyNat(options, onStep) {
      asked.push(options);
      for (const step of steps) onStep(step);
      return survey;
    },
    async measureLifetime(_report, _signal, onProgress) {
      for (const known of lifetime) onProgress(known);
      return lifetime.at(-1);
    },
  });
  const code = await command.run(argv.split(" ").filter(Boolean), terminal);
  return { code, printed: terminal.printed, asked: asked[0] };
}

describe("exit codes", () => {
  test("0 for every type that was told, 1 for unknown, 130 when interrupted", async () => {
    const signal = AbortSignal.abort();
    expect([
      (await check("", { survey: HOME })).code,
      (await check("", { survey: BLOCKED })).code,
      (await check("", { survey: { ...NOTHING, reasons: ["no-server"] } })).code,
      (await check("--lifetime", { signal })).code,
    ]).toEqual([0, 0, 1, 130]);
  });
});

describe("--json", () => {
  test("the survey and nothing else, at a terminal, too", async () => {
    const { printed } = await check("--json", { interactive: true, steps: [{ type: "asking" }] });
    expect(printed.map((text) => JSON.parse(text))).toEqual([HOME]);
  });

  test("with the lifetime, as far as it is known", async () => {
    const known = { atLeastMs: 28_000, atMostMs: 31_000 };
    expect(JSON.parse((await check("--json --lifetime", { lifetime: [known] })).printed[0] ?? "")).toEqual({
      ...HOME,
      lifetime: known,
    });
    expect(JSON.parse((await check("--json --lifetime")).printed[0] ?? "")).toEqual({ ...HOME, lifetime: null });
  });
});

describe("progress", () => {
  const STEPS: NatSurveyStep[] = [
    { type: "asking" },
    { type: "test", test: "mapping" },
    { type: "server", server: server(answered(40_000)) },
    { type: "test", test: "filtering" },
    { type: "test", test: "hairpin" },
  ];

  test("a line for each step where nobody looks", async () => {
    const { printed } = await check(`--stun 203.0.113.10 --stun 203.0.113.11`, { steps: STEPS });
    expect(printed.slice(0, -1)).toEqual([
      "looking up 2 servers",
      "asking 2 servers and the gateway",
      "testing whether every destination sees the same outside port",
      "  203.0.113.10:3478: 198.51.100.2:40000",
      "testing what is let in",
      "testing whether hosts behind the same NAT reach each other from outside",
    ]);
  });

  test("a panel where somebody does, gone when the verdict comes", async () => {
    const { printed } = await check(`--stun 203.0.113.10`, { steps: STEPS.slice(0, 3), interactive: true });
    const bars = printed.map((text) => text.replace(/[█▏▎▍▌▋▊▉·]+ \d\.\d of/, "BAR of"));
    expect(bars.slice(0, -1)).toEqual([
      "\x1b[JBAR of at most 5 s\nlooking up 1 server",
      "\x1b[2A\r\x1b[JBAR of at most 5 s\nasking 1 server and the gateway",
      "\x1b[2A\r\x1b[JBAR of at most 5 s\ntesting whether every destination sees the same outside port",
      "\x1b[2A\r\x1b[JBAR of at most 5 s\n  203.0.113.10:3478: 198.51.100.2:40000\ntesting whether every destination sees the same outside port",
    ]);
    expect(bars.at(-1)).toStartWith("\x1b[3A\r\x1b[JCone NAT, port-restricted: ");
  });
});

describe("--lifetime", () => {
  const BEGIN = "\nMeasuring how long this NAT remembers a silent port; 15 minutes at most, Ctrl-C ends it sooner";

  test("what is known grows, a line each", async () => {
    const lifetime = [
      { atLeastMs: 0, atMostMs: 60_000 },
      { atLeastMs: 15_000 },
      { atLeastMs: 28_100, atMostMs: 30_900 },
      { atLeastMs: 28_200, atMostMs: 30_900 },
    ];
    const { printed, code } = await check("--lifetime", { lifetime });
    expect([code, ...printed.slice(2)]).toEqual([
      0,
      BEGIN,
      "  a silent port is forgotten within 60 s",
      "  a silent port is remembered for at least 15 s",
      "  a silent port is remembered for 28 s, and forgotten within 31 s",
      "Lifetime: a silent port is remembered for 28 s, and forgotten within 31 s",
    ]);
  });

  test("at a terminal in place", async () => {
    const { printed } = await check("--lifetime", { lifetime: [{ atLeastMs: 15_000 }], interactive: true });
    expect(printed.slice(2).map((text) => text.replace(/[█▏▎▍▌▋▊▉·]+ \d:\d\d of/, "BAR of"))).toEqual([
      BEGIN,
      "\x1b[JBAR of at most 15:00\na silent port is remembered for at least 15 s",
      "\x1b[2A\r\x1b[JLifetime: a silent port is remembered for at least 15 s",
    ]);
  });

  test.each([
    [
      { survey: HOME },
      "Lifetime: could not be measured: what this NAT lets in does not show whether it remembers a port",
    ],
    [{ survey: BLOCKED }, "Lifetime: there is nothing to be measured"],
    [{ signal: AbortSignal.abort() }, "Lifetime: interrupted before anything was known"],
  ] as [Played, string][])("where there is none: %#", async (played, line) => {
    expect((await check("--lifetime", played)).printed.at(-1)).toBe(line);
  });
});

describe("flags", () => {
  test("the public servers, any port, IPv4", async () => {
    const { asked } = await check("");
    expect(asked?.servers[0]).toEqual({ host: "stun.l.google.com", port: 19_302 });
    expect([asked?.servers.length, asked?.family, asked?.port]).toEqual([10, 4, 0]);
  });

  test("servers in place of others, a port, IPv6 when they are all of it", async () => {
    expect((await check("--stun 203.0.113.10:3479 -stun stun.example.com --port 40000")).asked).toMatchObject({
      servers: [
        { host: "203.0.113.10", port: 3_479 },
        { host: "stun.example.com", port: 3_478 },
      ],
      family: 4,
      port: 40_000,
    });
    expect((await check("--stun 2001:db8::1")).asked?.family).toBe(6);
    expect((await check("--ipv6")).asked?.family).toBe(6);
  });

  test.each([
    ["--port 0", "Cannot use --port 0: expected a whole number from 1 to 65535"],
    ["--stun x:y", 'Cannot use address "x:y:3478"'],
    ["--config /nowhere/ut.yaml", "Cannot read config /nowhere/ut.yaml: there is no such file"],
    ["stun.example.com", 'Cannot run ut nat check: expected only flags, got "stun.example.com"'],
  ])("%s is refused", (argv, message) => {
    expect(natCheck.run(argv.split(" "), fakeTerminal())).rejects.toThrow(message);
  });
});
