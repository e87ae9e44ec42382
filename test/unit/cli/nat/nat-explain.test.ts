import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { natExplain } from "../../../../src/cli/nat/nat-explain.ts";
import { UtError } from "../../../../src/core/error.ts";
import { LaneRates } from "../../../../src/core/tunnel/lane-rates.ts";
import { statusReport } from "../../../../src/io/http/status-report.ts";
import {
  certificateStatus,
  networkStatus,
  nodeStatus,
  pipeExplanation,
  sessionStatus,
  traversalStatus,
} from "../../io/node-status.ts";
import { fakeTerminal } from "../fake-terminal.ts";

const BUILD = { version: "0", commit: "0", bun: "0", platform: "linux-x64" };
const pipes = [pipeExplanation(), pipeExplanation({ service: "echo" }), pipeExplanation({ peer: "cabin" })];
const RELAY = nodeStatus({ role: "relay", cn: "home", sessions: [sessionStatus()] });

/** A node that says so of itself, for one question after the other. */
let answer: unknown;
let server: Bun.Server<undefined>;
let address = "";
beforeAll(() => {
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json(answer) });
  address = `127.0.0.1:${server.port}`;
});
afterAll(() => server.stop(true));

/** What it prints, or the kind and text of what it throws. */
async function explain(argv: string, says: unknown = report()): Promise<string> {
  answer = says;
  const terminal = fakeTerminal();
  try {
    expect(await natExplain.run(argv.replace("HERE", address).split(" "), terminal)).toBe(0);
    return terminal.printed.join("\n");
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return `${error.kind}: ${error.message}`.replaceAll(address, "HERE");
  }
}

function report(some: Parameters<typeof traversalStatus>[0] = { pipes, network: networkStatus() }, nodes = [RELAY]) {
  return statusReport({
    build: BUILD,
    nodes,
    rates: new LaneRates(),
    traversal: traversalStatus(some),
    certificates: certificateStatus(),
    isShuttingDown: false,
  });
}

test("every pipe to the peer, and no other", async () => {
  const text = await explain("office --status HERE");
  expect(text.split("\n").filter((line) => /^\S.*: /.test(line))).toEqual([
    "office, wireguard: over the server, because nothing has been tried yet",
    "office, echo: over the server, because nothing has been tried yet",
  ]);
  expect(text).toContain("\n  ▶ home ══▶ server 192.0.2.7:41000 ══▶ office  12.5 ms\n");
  expect(text).toContain("\n  home      port-restricted cone NAT, outside 203.0.113.7:40000\n");
});

test("--json: its pipes as the node tells of them", async () => {
  expect(JSON.parse(await explain("cabin --json --status HERE"))).toEqual({ node: "home", pipes: [pipes[2]] });
});

describe("where to ask", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "ut-explain-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function config(listen: string): Promise<string> {
    const path = join(folder, "ut.yaml");
    const tls = { ca_cert: "ca.pem", cert: "home.pem", key: "home.key" };
    const relay = [{ listen_addr: "127.0.0.1:15001", to: "office", service: "wireguard" }];
    const tcp = { server_addr: "vpn.example.com:5443" };
    await Bun.write(path, JSON.stringify({ role: "relay", tls, relay, tcp, metrics: { listen_addr: listen } }));
    return path;
  }

  test("the address of a config; every interface means this machine", async () => {
    for (const listen of [address, `0.0.0.0:${server.port}`])
      expect(await explain(`cabin --json -config ${await config(listen)}`)).toStartWith('{"node":"home"');
  });

  test("a config that takes any port does not say where", async () => {
    const path = await config("127.0.0.1:0");
    expect(await explain(`office -c ${path}`)).toBe(
      `usage.bad-value: Cannot find the node of ${path}: its metrics.listen_addr takes any free port. Its log's "start" line has it under "metrics"; give it by --status`,
    );
  });

  test("both", async () => {
    expect(await explain("office -c FILE --status HERE")).toBe(
      "usage.bad-flag: Cannot use --status with --config: either says where to ask",
    );
  });
});

describe("what cannot be explained", () => {
  test("a peer without a pipe: those that have one", async () => {
    expect([
      await explain("offise --status HERE"),
      await explain("garage --status HERE"),
      await explain("garage --status HERE", report({ pipes: [] })),
    ]).toEqual([
      "usage.bad-value: Cannot explain offise: home has pipes to cabin, office; did you mean office?",
      "usage.bad-value: Cannot explain garage: home has pipes to cabin, office",
      "usage.bad-value: Cannot explain garage: home has no pipe to anybody now",
    ]);
  });

  test("a node that is no end of pipes, or does not tell", async () => {
    const { pipes: _, ...traversal } = traversalStatus();
    expect([
      await explain("office --status HERE", report({}, [nodeStatus(), nodeStatus({ role: "client" })])),
      await explain("office --status HERE", { ...report(), traversal }),
    ]).toEqual([
      "unsupported: Cannot explain a pipe of the node at HERE: it is server and client, and only an agent or a relay has pipes to peers",
      "unsupported: Cannot explain a pipe of the node at HERE: its version does not tell of them",
    ]);
  });

  test("nobody, or somebody else, at the address", async () => {
    const closed = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
    const nobody = `127.0.0.1:${closed.port}`;
    await closed.stop(true);
    const NEXT = `Next: does ut run there? Its log's "start" line has the port under "metrics"; --config FILE takes the address from its
config, --status HOST:PORT is the address itself`;
    expect(await explain(`office --status ${nobody}`)).toMatch(
      /^io\.connect: Cannot ask http:\/\/127\.0\.0\.1:\d+\/api\/status: .*\nNext: does ut run there\?/,
    );
    expect(await explain("office --status HERE", ["something else"])).toBe(
      `io.connect: Cannot ask http://HERE/api/status: the answer, 200, is not that of a node\n${NEXT}`,
    );
  });

  test("no peer, or two", async () => {
    const refusal = "usage.bad-value: Cannot run ut nat explain: expected the certificate name of one peer";
    expect([await explain("--json"), await explain("office cabin")]).toEqual([refusal, refusal]);
  });
});
