/**
 * A program for the lab, run in a namespace by Bun: an HTTP server of one big reproducible file, and its clients.
 *
 *   http-blob.ts serve ADDRESS BYTES SEED   prints `serving URL SHA256`; answers GET with the file, PUT with its SHA-256
 *   http-blob.ts get URL                    prints `BYTES SHA256` of what came
 *   http-blob.ts put URL BYTES SEED         prints the SHA-256 that the server saw
 */
import { createCipheriv, createHash } from "node:crypto";

const [mode, ...rest] = process.argv.slice(2);
switch (mode) {
  case "serve":
    serve(rest[0] ?? "", blob(Number(rest[1]), rest[2] ?? ""));
    break;
  case "get": {
    const body = await (await fetch(rest[0] ?? "")).bytes();
    console.log(`${body.length} ${sha256(body)}`);
    break;
  }
  case "put":
    console.log(
      await (await fetch(rest[0] ?? "", { method: "PUT", body: blob(Number(rest[1]), rest[2] ?? "") })).text(),
    );
    break;
  default:
    console.error("usage: http-blob.ts serve ADDRESS BYTES SEED | get URL | put URL BYTES SEED");
    process.exitCode = 2;
}

function serve(hostname: string, body: Uint8Array<ArrayBuffer>): void {
  const server = Bun.serve({
    hostname,
    port: 0,
    idleTimeout: 60,
    maxRequestBodySize: 1 << 30,
    fetch: async (request) => new Response(request.method === "PUT" ? sha256(await request.bytes()) : body),
  });
  console.log(`serving ${server.url.href} ${sha256(body)}`);
}

/** Bytes that no compression on the way could hide behind: AES-256-CTR of zeros under the seed. */
function blob(length: number, seed: string): Uint8Array<ArrayBuffer> {
  const cipher = createCipheriv("aes-256-ctr", createHash("sha256").update(seed).digest(), Buffer.alloc(16));
  return Uint8Array.from(cipher.update(new Uint8Array(length)));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
