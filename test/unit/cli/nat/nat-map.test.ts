import { describe, expect, test } from "bun:test";
import type { PortMappingEvent, PortMappingOptions } from "../../../../src/app/nat/port-mapping.ts";
import { nat } from "../../../../src/cli/nat/nat.ts";
import { type MapSurroundings, natMapCommand } from "../../../../src/cli/nat/nat-map.ts";
import { UtError } from "../../../../src/core/error.ts";
import type { GatewayMapping } from "../../../../src/core/portmap/protocol.ts";
import { fakeTerminal } from "../fake-terminal.ts";

const GATEWAY = { address: "10.1.0.1", interfaceName: "eth0", localAddress: "10.1.0.11" };
const EXTERNAL = { address: "203.0.113.7", port: 51_820 };
const INSTALLED = { type: "installed", protocol: "pcp", external: EXTERNAL, leaseSeconds: 7_200 } as const;
const FAILURES = [
  { protocol: "pcp", kind: "no-answer", message: "no answer within 6 s" },
  { protocol: "upnp", kind: "conflict", message: "AddPortMapping was refused" },
] as const;

interface Run {
  code: number | undefined;
  error: string | undefined;
  printed: string[];
  complained: string[];
  /** What was asked of this machine. */
  asked: unknown[];
}

/** Runs `ut nat map ARGV` beside a mapper that tells `events`; `interrupt` presses Ctrl-C after them. */
async function run(
  argv: readonly string[],
  events: readonly PortMappingEvent[] = [],
  some: Partial<MapSurroundings> & { interrupt?: boolean } = {},
): Promise<Run> {
  const asked: unknown[] = [];
  const interrupt = new AbortController();
  const terminal = fakeTerminal({ signal: interrupt.signal });
  const command = natMapCommand({
    defaultGateway: async () => GATEWAY,
    mappingOwner: async () => ({ nonceOf: () => new Uint8Array(12), problem: undefined }),
    async openPortMapping({ onEvent, owner, gateway, ...wish }: PortMappingOptions) {
      asked.push(wish);
      for (const event of events) onEvent(event);
      if (some.interrupt) interrupt.abort();
      return {
        leave: () => asked.push("leave"),
        async [Symbol.asyncDispose]() {
          asked.push("dispose");
          if (!asked.includes("leave")) onEvent({ type: "stopped", left: [] });
        },
      };
    },
    listGatewayMappings: async () => ({ type: "failed", kind: "no-answer", message: "no gateway" }),
    removeGatewayMappings: async () => [],
    ...some,
  });
  const { printed, complained } = terminal;
  try {
    return { code: await command.run(argv, terminal), error: undefined, printed, complained, asked };
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return { code: undefined, error: `${error.kind}: ${error.message}`, printed, complained, asked };
  }
}

describe("add", () => {
  const WISH = {
    protocols: ["pcp", "nat-pmp", "upnp"],
    transport: "udp",
    internalPort: 51_820,
    externalPort: 51_820,
    leaseSeconds: 7_200,
  };

  test("holds the mapping until Ctrl-C, and tells what happens", async () => {
    const events: PortMappingEvent[] = [
      { type: "asking", protocol: "pcp" },
      { type: "refused", protocol: "pcp", kind: "unsupported", message: "answered with version 0 instead of 2" },
      { type: "asking", protocol: "nat-pmp" },
      { ...INSTALLED, protocol: "nat-pmp" },
      { ...INSTALLED, type: "renewed" },
      { type: "renewal-failed", protocol: "nat-pmp", kind: "no-answer", message: "no answer within 6 s", failures: 2 },
      { type: "revoked", external: EXTERNAL, reason: "gateway-restarted" },
      { ...INSTALLED, protocol: "nat-pmp", leaseSeconds: Number.POSITIVE_INFINITY },
      { ...INSTALLED, type: "replaced", external: { ...EXTERNAL, port: 5 } },
      { type: "unavailable", failures: [], retryMs: 30_400 },
    ];
    expect(await run(["add", "51820"], events, { interrupt: true })).toEqual({
      code: 0,
      error: undefined,
      printed: [
        "asking 10.1.0.1 by PCP",
        "  PCP: answered with version 0 instead of 2",
        "asking 10.1.0.1 by NAT-PMP",
        "mapped 203.0.113.7:51820 to UDP port 51820 of 10.1.0.11 by NAT-PMP, for 2 h",
        "renewed for 2 h",
        "renewal failed 2 times: NAT-PMP: no answer within 6 s",
        "the gateway restarted and forgot the mapping, or has another address: asking anew",
        "mapped 203.0.113.7:51820 to UDP port 51820 of 10.1.0.11 by NAT-PMP, without end",
        "renewed for 2 h, now at 203.0.113.7:5",
        "no mapping now; asking again in 30 s",
        "renewed until Ctrl-C, which removes it",
        "removed",
      ],
      complained: [],
      asked: [WISH, "dispose"],
    });
  });

  test("--once leaves it to its lease", async () => {
    const flags = ["--external", "40000", "--lease", "600", "--protocol", "upnp", "--once"];
    const { code, printed, asked } = await run(["add", "8443/tcp", ...flags], [INSTALLED]);
    expect([code, printed]).toEqual([0, ["mapped 203.0.113.7:51820 to TCP port 8443 of 10.1.0.11 by PCP, for 2 h"]]);
    expect(asked).toEqual([
      { protocols: ["upnp"], transport: "tcp", internalPort: 8_443, externalPort: 40_000, leaseSeconds: 600 },
      "leave",
      "dispose",
    ]);
  });

  test("--json is one object in a line for each thing that happens", async () => {
    const endless = { ...INSTALLED, leaseSeconds: Number.POSITIVE_INFINITY };
    const revoked = { type: "revoked", external: EXTERNAL, reason: "stopped" } as const;
    const { printed } = await run(["add", "51820", "--json"], [endless, revoked], { interrupt: true });
    expect(printed.map((line) => JSON.parse(line))).toEqual([
      { type: "installed", protocol: "pcp", external: "203.0.113.7:51820", lease_seconds: null },
      { type: "revoked", external: "203.0.113.7:51820", reason: "stopped" },
      { type: "stopped", left: [] },
    ]);
  });

  test("behind another NAT it is kept, and said to be out of reach", async () => {
    const { code, printed } = await run(
      ["add", "51820"],
      [{ ...INSTALLED, type: "behind-nat", external: { address: "100.64.0.2", port: 51_820 } }],
      { interrupt: true },
    );
    expect([code, printed[0]]).toEqual([
      0,
      "mapped 100.64.0.2:51820 to UDP port 51820 of 10.1.0.11 by PCP, but that address is not a public one: 10.1.0.1 stands behind another NAT, and the internet does not reach it",
    ]);
  });

  test("no mapping: what each protocol said, and what to try; nothing is left running", async () => {
    const { error, asked } = await run(
      ["add", "51820"],
      [{ type: "unavailable", failures: FAILURES, retryMs: 30_000 }],
    );
    expect(error).toBe(`port-map-unavailable: Cannot map UDP port 51820 of 10.1.0.11 at the gateway 10.1.0.1:
  PCP: no answer within 6 s
  UPnP: AddPortMapping was refused
Next: try another port with --external`);
    expect(asked).toEqual([WISH, "dispose"]);
  });

  test("interrupted before there was one: 130", async () => {
    const { code, printed } = await run(["add", "51820"], [{ type: "asking", protocol: "pcp" }], { interrupt: true });
    expect([code, printed]).toEqual([130, ["asking 10.1.0.1 by PCP"]]);
  });

  test("a secret that cannot be kept is told", async () => {
    const owner = { nonceOf: () => new Uint8Array(12), problem: "EROFS: read-only file system" };
    const { complained } = await run(["add", "51820", "--once"], [INSTALLED], { mappingOwner: async () => owner });
    expect(complained).toEqual([
      "ut: this mapping cannot be changed by another run of ut, as its secret cannot be kept: EROFS: read-only file system",
    ]);
  });
});

describe("list", () => {
  const MAPPINGS: GatewayMapping[] = [
    {
      transport: "udp",
      externalPort: 51_820,
      internalAddress: "10.1.0.11",
      internalPort: 51_820,
      enabled: true,
      description: "ut udp 51820",
      leaseSeconds: 3_000,
    },
    {
      transport: "tcp",
      externalPort: 443,
      internalAddress: "10.1.0.12",
      internalPort: 8_443,
      enabled: false,
      description: "",
      leaseSeconds: 0,
    },
  ];
  const listing = { type: "listed", externalAddress: undefined, mappings: MAPPINGS, isComplete: false } as const;

  test("a table", async () => {
    const { printed } = await run([], [], { listGatewayMappings: async () => listing });
    expect(printed.join("\n")).toBe(`asking 10.1.0.1 by UPnP
gateway 10.1.0.1, no external address now, 2 mappings
 external  to                lease  description
─────────  ───────────────  ──────  ────────────
51820/udp  10.1.0.11:51820  50 min  ut udp 51820
  443/tcp  10.1.0.12:8443      off
there are more, which it did not tell
told by UPnP; PCP and NAT-PMP cannot list, but most gateways keep one table`);
  });

  test("--json", async () => {
    const { printed } = await run(["--json"], [], { listGatewayMappings: async () => listing });
    expect(printed.map((line) => JSON.parse(line))).toEqual([
      {
        gateway: "10.1.0.1",
        local_address: "10.1.0.11",
        external_address: null,
        complete: false,
        mappings: [
          {
            transport: "udp",
            external_port: 51_820,
            internal_address: "10.1.0.11",
            internal_port: 51_820,
            enabled: true,
            lease_seconds: 3_000,
            description: "ut udp 51820",
          },
          {
            transport: "tcp",
            external_port: 443,
            internal_address: "10.1.0.12",
            internal_port: 8_443,
            enabled: false,
            lease_seconds: null,
            description: "",
          },
        ],
      },
    ]);
  });
});

describe("remove", () => {
  const gone = (protocol: "pcp" | "nat-pmp" | "upnp", ...externalPorts: number[]) =>
    ({ type: "gone", protocol, externalPorts }) as const;
  const failed = (protocol: "pcp" | "nat-pmp", kind: "no-answer" | "not-authorized") =>
    ({ type: "failed", protocol, kind, message: kind }) as const;

  test("tells what each protocol says; one that is not spoken holds nothing", async () => {
    const removals = [failed("pcp", "no-answer"), gone("nat-pmp"), gone("upnp", 40_000)];
    const { code, printed } = await run(["remove", "51820"], [], { removeGatewayMappings: async () => removals });
    expect([code, printed]).toEqual([
      0,
      [
        "asking 10.1.0.1 to remove the mappings of UDP port 51820 of 10.1.0.11",
        "  PCP: no-answer",
        "  NAT-PMP: the gateway holds none any more",
        "  UPnP: removed external port 40000",
      ],
    ]);
  });

  test("a refusal means that something may be left", async () => {
    const removals = [failed("pcp", "not-authorized"), gone("nat-pmp")];
    const { error, printed } = await run(["remove", "51820", "--json"], [], {
      removeGatewayMappings: async () => removals,
    });
    expect(error).toBe(`port-map-unavailable: Cannot remove all mappings of UDP port 51820 of 10.1.0.11 from 10.1.0.1:
  PCP: not-authorized
Next: another user or program made it, and PCP lets nobody else remove it: look there, or wait for the end of the lease`);
    expect(printed.map((line) => JSON.parse(line))).toEqual([
      { gateway: "10.1.0.1", transport: "udp", port: 51_820, removed: false, removals },
    ]);
  });
});

describe("what cannot be", () => {
  const PORT = "expected one port of this machine, 1 to 65535, such as 51820 or 8443/tcp";

  test.each([
    [["add"], `usage.bad-value: Cannot run "ut nat map add": ${PORT}`],
    [["add", "1", "2"], `usage.bad-value: Cannot run "ut nat map add": ${PORT}`],
    [["add", "0"], `usage.bad-value: Cannot use "0": ${PORT}`],
    [["remove", "65536"], `usage.bad-value: Cannot use "65536": ${PORT}`],
    [["add", "51820/sctp"], `usage.bad-value: Cannot use "51820/sctp": ${PORT}`],
    [["add", "1", "--lease", "9"], "usage.bad-value: Cannot use --lease 9: expected a whole number from 10 to 86400"],
    [["add", "1", "--protocol", "igd"], "usage.bad-value: Cannot use --protocol igd: expected pcp, nat-pmp, upnp"],
    [["51820"], 'usage.unknown-command: Cannot run "ut nat map 51820": expected add 51820, or remove 51820'],
    [["show"], 'usage.unknown-command: Cannot run "ut nat map show": expected add, remove, or nothing to list'],
  ])("%p", async (argv, error) => expect((await run(argv)).error).toBe(error));

  test("a machine without a gateway", async () =>
    expect((await run(["add", "1"], [], { defaultGateway: async () => undefined })).error).toBe(
      'port-map-unavailable: Cannot ask for port mappings: this machine has no default gateway for IPv4; look at "ip route show default"',
    ));
});

describe("ut nat", () => {
  test("--help is that of all its subcommands", async () => {
    const terminal = fakeTerminal();
    expect([await nat.run(["map", "--help"], terminal), terminal.printed]).toEqual([0, [nat.help]]);
    expect(nat.help).toContain("ut nat map add PORT[/tcp]");
  });

  test.each([[[]], [["nonsense"]]])("%p names the subcommands", (argv) =>
    expect(nat.run(argv, fakeTerminal())).rejects.toThrow('(see "ut nat --help")'),
  );
});
