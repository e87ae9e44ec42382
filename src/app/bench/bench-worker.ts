import { errorMessage } from "../../core/error.ts";
import { buildInfo } from "../../io/build-info.ts";
import { createLog } from "../../io/log/log.ts";
import { loopbackClient, loopbackServer } from "../loopback.ts";
import type { NodeIdentity, RoleContext } from "../role.ts";
import { startClient } from "../tunnel/client.ts";
import { startServer } from "../tunnel/server.ts";
import { openUdpForwarder } from "../tunnel/udp-forwarder.ts";
import { openUdpEcho } from "../udp-echo.ts";

/** What a process of `ut bench` is told to be; once, first. */
export type BenchPart =
  | { readonly part: "client"; readonly identity: NodeIdentity; readonly serverPort: number; readonly lanes: number }
  | { readonly part: "server"; readonly identity: NodeIdentity; readonly targetPort: number }
  | { readonly part: "forwarder"; readonly targetPort: number }
  | { readonly part: "echo" };

export type BenchRequest = { readonly ask: "be"; readonly what: BenchPart } | { readonly ask: "usage" };

export type BenchAnswer =
  /** The UDP port it takes datagrams on, or the server's TCP port. */
  | { readonly answer: "port"; readonly port: number }
  | ({ readonly answer: "usage" } & BenchUsage)
  | { readonly answer: "failed"; readonly message: string };

/** Of one process, since its start. */
export interface BenchUsage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/**
 * One process of `ut bench`: becomes what its parent tells it over the IPC channel, reports what it used, and ends when
 * the channel does, so that no child outlives its parent.
 */
export async function runBenchWorker(): Promise<void> {
  await using parts = new AsyncDisposableStack();
  const ended = Promise.withResolvers<void>();
  process.on("disconnect", () => ended.resolve());
  process.on("message", (request: BenchRequest) => {
    answer(request, parts).then(send, (error: unknown) => send({ answer: "failed", message: errorMessage(error) }));
  });
  await ended.promise;
}

function send(answer: BenchAnswer): void {
  process.send?.(answer);
}

async function answer(request: BenchRequest, parts: AsyncDisposableStack): Promise<BenchAnswer> {
  if (request.ask === "usage") return { answer: "usage", ...usage() };
  return { answer: "port", port: await become(request.what, parts) };
}

async function become(what: BenchPart, parts: AsyncDisposableStack): Promise<number> {
  switch (what.part) {
    case "client": {
      const config = loopbackClient(what.serverPort, what.lanes);
      return parts.use(await startClient(config, what.identity, context("client"))).port;
    }
    case "server":
      return parts.use(await startServer(loopbackServer(what.targetPort), what.identity, context("server"))).port;
    case "forwarder":
      return parts.use(await openUdpForwarder(what.targetPort)).port;
    case "echo":
      return parts.use(await openUdpEcho()).port;
    default:
      return what satisfies never;
  }
}

function context(role: "client" | "server"): RoleContext {
  // On stderr: stdout belongs to the table.
  const destination = { write: (line: string) => void process.stderr.write(line) };
  return {
    log: createLog({ level: "error", role, destination }),
    node: `ut ${buildInfo.version}`,
    handshakeDone: () => {},
  };
}

function usage(): BenchUsage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() };
}
