import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeWith } from "./support/describe-with.ts";
import { identity } from "./support/identities.ts";
import { marked, udpEnd } from "./support/udp-end.ts";
import { configFolder, listenPort, startUt } from "./support/ut-process.ts";

/**
 * A real Prometheus with the project's scrape example and rules, only quicker, and a client whose server is not there
 * although WireGuard sends: the alert for exactly this fires, and every panel of the dashboard can be evaluated.
 */
const ROOT = join(import.meta.dir, "../..");

describeWith(["prometheus"], "Prometheus", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "ut-prometheus-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("scrapes a node, evaluates the rules, and answers every panel of the dashboard", async () => {
    await using config = await configFolder(await identity({ cn: "home" }), {
      role: "client",
      tcp: { server_addr: "127.0.0.1:1" },
      udp: { listen_addr: "127.0.0.1:0" },
    });
    await using node = startUt("-config", config.path);
    const start = await node.logged("start");
    const { port } = start.metrics as { port: number };
    using end = await udpEnd();
    const udpPort = listenPort(start);
    const sending = setInterval(() => end.sendTo(udpPort, marked(1)), 100);
    try {
      await using prometheus = await startPrometheus(folder, `127.0.0.1:${port}`);
      await prometheus.samples('up{job="ut"} == 1');
      const alerts = await prometheus.samples('ALERTS{alertstate="firing"}');
      expect(alerts.map(({ metric }) => metric)).toEqual([
        {
          __name__: "ALERTS",
          alertname: "UtTunnelDown",
          alertstate: "firing",
          client_cn: "home",
          instance: `127.0.0.1:${port}`,
          job: "ut",
          severity: "critical",
        },
      ]);
      const empty = await emptyPanels(prometheus);
      // What this node, a client alone for some seconds, has nothing of.
      expect(empty).toEqual(EMPTY_AT_A_CLIENT);
    } finally {
      clearInterval(sending);
    }
  }, 60_000);
});

const EMPTY_AT_A_CLIENT = [
  "Dropped, by reason",
  "Refused handshakes and broken frames",
  "Each lane: bytes",
  "Each lane: datagrams",
  "Each lane: round trip",
  "Each lane: sent again",
  "Datagrams by path",
  "Over the lanes: dropped",
  "Refused and survived",
  "Peers",
  "Requests and results",
  "Messages",
  "STUN",
  "Open",
  "Asked for and refused",
  "Carried",
  "Datagrams",
  "NAT",
  "Checks and changes",
  "Round trip",
  "Loss",
  "Odd answers",
  "Probes and echoes",
];

/** Titles of the panels without a single sample; throws for one that Prometheus cannot evaluate. */
async function emptyPanels(prometheus: Prometheus): Promise<string[]> {
  const { panels } = await Bun.file(join(ROOT, "config/grafana/ut-dashboard.json")).json();
  const empty: string[] = [];
  for (const { title, targets = [] } of panels as { title: string; targets?: { expr: string }[] }[]) {
    let samples = 0;
    for (const { expr } of targets) {
      const plain = expr.replaceAll("$__rate_interval", "1m").replace(/\$(?:instance|client)\b/g, ".*");
      samples += (await prometheus.query(plain)).length;
    }
    if (targets.length > 0 && samples === 0) empty.push(title);
  }
  return empty;
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

interface Prometheus extends AsyncDisposable {
  query(expression: string): Promise<readonly Sample[]>;
  /** As soon as there are any. */
  samples(expression: string): Promise<readonly Sample[]>;
}

async function startPrometheus(folder: string, target: string): Promise<Prometheus> {
  const example = await Bun.file(join(ROOT, "config/prometheus/prometheus.yml")).text();
  const rules = await Bun.file(join(ROOT, "config/prometheus/ut.rules.yml")).text();
  const quick = example.replaceAll("interval: 15s", "interval: 250ms").replaceAll("127.0.0.1:5080", target);
  await Bun.write(join(folder, "prometheus.yml"), quick);
  await Bun.write(join(folder, "ut.rules.yml"), rules.replace(/^( +for:) \w+$/gm, "$1 1s"));
  // It would listen on a port of its choice, but says that only in its log.
  const child = Bun.spawn(
    [
      "prometheus",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const { promise: address, resolve, reject } = Promise.withResolvers<string>();
  const reading = (async () => {
    let log = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      log += chunk;
      const found = /msg="Listening on" address=(\S+)/.exec(log)?.[1];
      if (found !== undefined && log.includes("Server is ready")) resolve(found);
    }
    reject(new Error(`Prometheus ended: ${log}`));
  })();
  address.catch(() => {});
  const base = `http://${await address}`;
  async function query(expression: string): Promise<readonly Sample[]> {
    const response = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(expression)}`);
    const answer = (await response.json()) as { status: string; error?: string; data: { result: readonly Sample[] } };
    if (answer.status !== "success") throw new Error(`Prometheus cannot evaluate ${expression}: ${answer.error}`);
    return answer.data.result;
  }
  return {
    query,
    async samples(expression) {
      for (const deadline = performance.now() + 40_000; performance.now() < deadline; await Bun.sleep(100)) {
        const found = await query(expression);
        if (found.length > 0) return found;
      }
      throw new Error(`waited in vain for ${expression}`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.exited;
      await reading;
    },
  };
}
