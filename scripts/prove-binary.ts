import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** How long one step may take; an emulated process needs seconds where a native one needs milliseconds. */
const STEP_MS = 60_000;
/** Nothing, one byte, a usual one, and the largest that UDP over IPv4 has. */
const DATAGRAM_BYTES = [0, 1, 1200, 65_507];

/**
 * Proves that a compiled `ut` does its main job: `version`, certificates, and a tunnel on loopback (server and client
 * of that binary, a UDP echo of ours) that brings datagrams of 0 to 65,507 bytes back unchanged, with metrics, and
 * ends cleanly on SIGTERM. `command` is the binary, with whatever has to stand before it. Throws on the first thing
 * that is not so, with what the processes wrote.
 */
export async function proveBinary(command: readonly string[], say: (line: string) => void): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "ut-prove-"));
  try {
    const run = async (what: string, ...args: string[]) => {
      const started = performance.now();
      const child = Bun.spawn([...command, ...args], { cwd: folder, stdout: "pipe", stderr: "pipe", stdin: "ignore" });
      const [out, err, code] = await Promise.all([
        child.stdout.text(),
        child.stderr.text(),
        within(child.exited, what),
      ]);
      if (code !== 0) throw new Error(`ut ${args.join(" ")} ended with ${code}\n${out}${err}`);
      say(`${what}: ${out.trim().split("\n")[0] ?? ""} (${seconds(started)})`);
    };
    await run("version", "version", "--json");
    await run("pki init", "pki", "init", "--dir", ".");
    await run("pki issue, server", "pki", "issue", "--dir", ".", "--cn", "gate", "--host", "127.0.0.1");
    await run("pki issue, client", "pki", "issue", "--dir", ".", "--cn", "home");
    await proveTunnel(command, folder, say);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function proveTunnel(command: readonly string[], folder: string, say: (line: string) => void): Promise<void> {
  const echo = await Bun.udpSocket({
    hostname: "127.0.0.1",
    socket: { data: (socket, data, port, address) => void socket.send(data, port, address) },
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => echo.close());

  const started = performance.now();
  const server = stack.use(
    await startNode(
      command,
      folder,
      "gate",
      `role: server
tcp: { listen_addr: "127.0.0.1:0" }
udp: { wg_udp_addr: "127.0.0.1:${echo.port}" }`,
    ),
  );
  const client = stack.use(
    await startNode(
      command,
      folder,
      "home",
      `role: client
tcp: { server_addr: "${server.listen}" }
udp: { listen_addr: "127.0.0.1:0" }`,
    ),
  );
  say(`server ${server.listen} and client ${client.listen} are up (${seconds(started)})`);

  try {
    await exchange(portOf(client.listen), say);
    for (const node of [server, client]) await proveMetrics(node);
    say(`metrics of both: ${DATAGRAM_BYTES.length} datagrams each way`);
    for (const node of [client, server]) await node.stop();
    say("both drained on SIGTERM and ended with 0");
  } catch (error) {
    throw new Error(
      `${(error as Error).message}\n${server.name}:\n${server.text()}\n${client.name}:\n${client.text()}`,
    );
  }
}

async function exchange(port: number, say: (line: string) => void): Promise<void> {
  let answered: (data: Uint8Array) => void = () => {};
  const local = await Bun.udpSocket({
    hostname: "127.0.0.1",
    connect: { hostname: "127.0.0.1", port },
    socket: { data: (_, data) => answered(new Uint8Array(data)) },
  });
  try {
    for (const bytes of DATAGRAM_BYTES) {
      const sent = new Uint8Array(bytes);
      for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(sent.subarray(at, at + 65_536));
      const started = performance.now();
      const answer = new Promise<Uint8Array>((resolve) => {
        answered = resolve;
      });
      local.send(sent);
      const received = await within(answer, `echo of ${bytes} bytes`);
      if (Buffer.compare(received, sent) !== 0)
        throw new Error(`${bytes} bytes were sent, ${received.length} other ones came back`);
      say(`${String(bytes).padStart(6)} bytes came back unchanged (${seconds(started)})`);
    }
  } finally {
    local.close();
  }
}

interface RunningNode extends AsyncDisposable {
  readonly name: string;
  /** Address that was really bound: TCP of a server, UDP of a client. */
  readonly listen: string;
  readonly metricsPort: number;
  /** What it has logged. */
  text(): string;
  /** SIGTERM, and an end with 0. */
  stop(): Promise<void>;
}

async function startNode(
  command: readonly string[],
  folder: string,
  name: string,
  settings: string,
): Promise<RunningNode> {
  const metricsPort = freePort();
  const config = `${settings}
tls: { ca_cert: ca.pem, cert: ${name}.pem, key: ${name}.key }
metrics: { listen_addr: "127.0.0.1:${metricsPort}" }
`;
  await Bun.write(join(folder, `${name}.yaml`), config);
  const child = Bun.spawn([...command, "-config", `${name}.yaml`], {
    cwd: folder,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const listening = Promise.withResolvers<string>();
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      text += decoder.decode(chunk, { stream: true });
      for (const line of text.split("\n")) {
        if (line.includes('"event":"start"')) listening.resolve(JSON.parse(line).listen[0]);
      }
    }
    text += await child.stderr.text();
    listening.reject(new Error(`${name} ended before it listened\n${text}`));
  })();
  listening.promise.catch(() => {});

  return {
    name,
    listen: await within(listening.promise, `start of ${name}`),
    metricsPort,
    text: () => text,
    async stop() {
      child.kill("SIGTERM");
      const code = await within(child.exited, `end of ${name} after SIGTERM`);
      if (code !== 0) throw new Error(`${name} ended with ${code} after SIGTERM`);
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reading;
    },
  };
}

async function proveMetrics(node: RunningNode): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${node.metricsPort}/metrics`);
  const text = await response.text();
  for (const family of ["ut_udp_in_packets_total", "ut_udp_out_packets_total"]) {
    for (const dir of ["up", "down"]) {
      const line = `${family}{client_cn="home",dir="${dir}"} ${DATAGRAM_BYTES.length}`;
      if (!text.includes(`${line}\n`)) throw new Error(`The metrics of ${node.name} lack ${line}\n${text}`);
    }
  }
}

/** A port that was free a moment ago. */
function freePort(): number {
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = listener;
  listener.stop(true);
  return port;
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`No ${what} within ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function seconds(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`;
}
