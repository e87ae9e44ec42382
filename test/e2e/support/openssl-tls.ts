import { startOpenssl } from "./openssl.ts";

/** `openssl s_client` to a port of this machine: what it received until the server closed, and its exit code. */
export async function sClient(port: number, ...flags: string[]): Promise<{ out: string; code: number }> {
  const client = startOpenssl([
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-quiet",
    "-verify_return_error",
    ...flags,
  ]);
  const [out, , code] = await Promise.all([client.stdout.text(), client.stderr.text(), client.exited]);
  return { out, code };
}

export interface SServer extends AsyncDisposable {
  readonly port: number;
  /** Subject of the client's certificate, once the one client that it serves has gone. */
  peer(): Promise<string>;
}

/** `openssl s_server` for one client, which must show a certificate: answers each line with the same line reversed. */
export async function sServer(...flags: string[]): Promise<SServer> {
  const service = ["s_server", "-accept", "127.0.0.1:0", "-rev", "-naccept", "1"];
  const server = startOpenssl([...service, "-Verify", "1", "-verify_return_error", ...flags]);
  // Whether or not anybody asks: a full pipe would stop it.
  const log = server.stderr.text();
  return {
    port: await acceptPort(server.stdout),
    async peer() {
      return (/^Peer certificate: (.*)$/m.exec(await log)?.[1] ?? "").replace(" = ", "=");
    },
    async [Symbol.asyncDispose]() {
      server.kill();
      await server.exited;
    },
  };
}

/** It says `ACCEPT 127.0.0.1:45913` when it listens. */
async function acceptPort(stdout: ReadableStream<Uint8Array>): Promise<number> {
  let text = "";
  for await (const chunk of stdout) {
    text += Buffer.from(chunk).toString();
    const port = /^ACCEPT .*:(\d+)\n/m.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`openssl s_server never listened: ${text}`);
}
