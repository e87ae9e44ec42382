import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NGINX_STREAM } from "./describe-with.ts";

/** A server program of others on a free port of 127.0.0.1, with a config of its own in a folder of its own. */
export interface ForeignServer extends AsyncDisposable {
  readonly port: number;
  /** What it has written into the file that its config calls a log. */
  log(): Promise<string>;
}

interface Layout {
  readonly folder: string;
  readonly port: number;
  readonly log: string;
}

/** nginx cannot be told to take any free port, and what was free may be somebody's by the time it starts. */
const TRIES = 3;

async function start(command: (config: string) => string[], config: (at: Layout) => string): Promise<ForeignServer> {
  for (let left = TRIES; ; left--) {
    const folder = mkdtempSync(join(tmpdir(), "ut-foreign-"));
    const at: Layout = { folder, port: await freePort(), log: join(folder, "log") };
    const path = join(folder, "config");
    writeFileSync(path, config(at));
    const child = Bun.spawn(command(path), { stdout: "ignore", stderr: "pipe" });
    const dispose = async () => {
      child.kill();
      await child.exited;
      rmSync(folder, { recursive: true });
    };
    if (await answers(at.port, child))
      return {
        port: at.port,
        log: () => Bun.file(at.log).text(),
        [Symbol.asyncDispose]: dispose,
      };
    const said = await child.stderr.text();
    await dispose();
    if (left === 1) throw new Error(`${command(path)[0]} does not start: ${said}`);
  }
}

/** nginx that looks at the name in a TLS hello and passes the connection on as it is (`ssl_preread`). */
export function nginxPassThrough(name: string, port: number): Promise<ForeignServer> {
  return start(
    (config) => ["nginx", "-c", config, "-g", "daemon off;"],
    (at) => `
load_module ${NGINX_STREAM};
worker_processes 1;
pid ${at.folder}/pid;
error_log ${at.folder}/error.log;
events {}
stream {
  log_format way '$ssl_preread_server_name $ssl_preread_alpn_protocols $status';
  access_log ${at.log} way;
  map $ssl_preread_server_name $lanes { ${name} 127.0.0.1:${port}; }
  server {
    listen 127.0.0.1:${at.port};
    ssl_preread on;
    proxy_pass $lanes;
  }
}
`,
  );
}

/** A CONNECT proxy. `lines` of its config beside those that every one has. */
export function tinyproxy(...lines: string[]): Promise<ForeignServer> {
  return start(
    (config) => ["tinyproxy", "-d", "-c", config],
    (at) => ["Listen 127.0.0.1", `Port ${at.port}`, `LogFile "${at.log}"`, "LogLevel Connect", ...lines, ""].join("\n"),
  );
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Wait until somebody listens, or the child has given up. */
async function answers(port: number, child: Bun.Subprocess): Promise<boolean> {
  while (child.exitCode === null) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (isUp) return true;
    await Bun.sleep(5);
  }
  return false;
}
