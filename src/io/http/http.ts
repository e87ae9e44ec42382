import { isIP } from "node:net";
import type { CertificateStatus } from "../../core/certificate-status.ts";
import type { TraversalStatus } from "../../core/nat/traversal-status.ts";
import type { LaneRates } from "../../core/tunnel/lane-rates.ts";
import type { NodeStatus } from "../../core/tunnel/status.ts";
import type { BuildInfo } from "../build-info.ts";
import type { Log } from "../log/log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { formatHost, listenHttp, type Server } from "./http-listen.ts";
import { LiveStatus, MAX_LISTENERS } from "./live-status.ts";
import { readiness, type StatusReport, statusReport } from "./status-report.ts";

export interface HttpOptions {
  /** `metrics.listen_addr`; port 0 takes any free port. */
  readonly listen: { readonly host: string; readonly port: number };
  /** `metrics.path`. */
  readonly metricsPath: string;
  readonly metrics: Metrics;
  /** A snapshot per role of this process. */
  readonly status: () => readonly NodeStatus[];
  readonly traversal: () => TraversalStatus;
  readonly certificates: () => CertificateStatus;
  readonly build: BuildInfo;
  /** Gets `http_error` when a request fails because of this program. */
  readonly log?: Log;
  /** Once aborted `/readyz` says 503; the server itself goes on until it is disposed of, so that a drain can be seen. */
  readonly signal?: AbortSignal;
}

export interface HttpServer extends AsyncDisposable {
  /** With the port that was really bound, without a final slash: `http://127.0.0.1:5080`. */
  readonly url: string;
  readonly port: number;
}

/**
 * The status address: the status page, metrics, `/healthz` (200 while the event loop turns), `/readyz` (200 or 503,
 * JSON with the reasons), `/api/status` (`StatusReport`) and `/api/events` (the same each second, `LiveStatus`). GET and
 * HEAD only, no state, no credentials.
 *
 * What a browser could be tricked into reading (`/`, `/api`) answers only to hosts that cannot be rebound: IP addresses,
 * `localhost` and the host of `listen`. Metrics and health checks answer to any name, since a scraper may use one.
 *
 * Throws `io.bind`.
 */
export function serveHttp(options: HttpOptions): HttpServer {
  const { listen, status, log } = options;
  const live = new LiveStatus({ nodes: status, report: (nodes, rates) => report(options, nodes, rates), log });
  const routes = routesOf(options, live);
  const server = listenHttp({
    listen,
    setting: "metrics.listen_addr",
    fetch: (request, own) => answer(request, routes, listen.host, own),
    failed(error) {
      log?.error("http_error", { err: error });
      return respond(500, "Internal error; the log of ut has more\n");
    },
  });
  live.start();
  const port = server.port ?? listen.port;
  return {
    url: `http://${formatHost(listen.host)}:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      live[Symbol.dispose]();
      await server.stop(true);
    },
  };
}

interface Route {
  /** Refuse names that DNS rebinding could have pointed here. */
  readonly guarded: boolean;
  respond(request: Request, server: Server): Response | Promise<Response>;
}

function routesOf(options: HttpOptions, live: LiveStatus): ReadonlyMap<string, Route> {
  const { metrics, metricsPath, status, signal } = options;
  return new Map<string, Route>([
    ["/", { guarded: true, respond: respondPage }],
    [
      metricsPath,
      {
        guarded: false,
        respond: async () => respond(200, await metrics.scrape(), metrics.contentType),
      },
    ],
    ["/healthz", { guarded: false, respond: () => respond(200, "ok\n") }],
    [
      "/readyz",
      {
        guarded: false,
        respond() {
          const state = readiness(status(), signal?.aborted ?? false);
          return respondJson(state.ready ? 200 : 503, state);
        },
      },
    ],
    ["/api/status", { guarded: true, respond: () => respondJson(200, report(options, status(), live.rates)) }],
    ["/api/events", { guarded: true, respond: (request, server) => respondEvents(request, server, live) }],
  ]);
}

function report(options: HttpOptions, nodes: readonly NodeStatus[], rates: LaneRates): StatusReport {
  const { build, traversal, certificates, signal } = options;
  const isShuttingDown = signal?.aborted ?? false;
  return statusReport({ build, nodes, rates, traversal: traversal(), certificates: certificates(), isShuttingDown });
}

function answer(
  request: Request,
  routes: ReadonlyMap<string, Route>,
  ownHost: string,
  server: Server,
): Response | Promise<Response> {
  // Bun makes the URL of the Host header, whatever stands in there.
  const url = URL.parse(request.url);
  if (url === null) return respond(400, "Refused: the Host header is no host\n");
  const { pathname } = url;
  const route = routes.get(pathname);
  if (route === undefined) return respond(404, `Nothing at ${pathname}; there is ${[...routes.keys()].join(", ")}\n`);
  if (request.method !== "GET" && request.method !== "HEAD") {
    const response = respond(405, `Cannot ${request.method} ${pathname}: only GET and HEAD\n`);
    response.headers.set("Allow", "GET, HEAD");
    return response;
  }
  const host = request.headers.get("host");
  if (route.guarded && !isSafeHost(host, ownHost))
    return respond(403, `Refused for host ${host}: use an IP address, localhost or the host of metrics.listen_addr\n`);
  if (route.guarded && isForeign(request.headers)) return respond(403, "Refused: the page of another site asks\n");
  return route.respond(request, server);
}

/** DNS rebinding needs a name; an address in the Host header is where the browser really went. */
function isSafeHost(header: string | null, ownHost: string): boolean {
  // HTTP/1.0 without a Host is no browser.
  if (header === null) return true;
  const host = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(header.toLowerCase());
  const name = (host?.[1] ?? host?.[2] ?? "").replace(/\.$/, "");
  return isIP(name) !== 0 || name === "localhost" || name === ownHost.toLowerCase();
}

/** Fetch Metadata: a page of another site may lead here, but ask for nothing behind its reader's back. */
function isForeign(headers: Headers): boolean {
  const site = headers.get("sec-fetch-site") ?? "none";
  return site !== "none" && site !== "same-origin" && headers.get("sec-fetch-mode") !== "navigate";
}

function respond(
  status: number,
  body: string | ReadableStream | null,
  contentType = "text/plain; charset=utf-8",
): Response {
  return new Response(body, {
    status,
    headers: {
      "Content-Type": contentType,
      "Cache-Control": "no-store",
      "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
      "Cross-Origin-Resource-Policy": "same-origin",
      "Referrer-Policy": "no-referrer",
      "X-Content-Type-Options": "nosniff",
    },
  });
}

/** Loaded when somebody looks: most nodes run without. */
async function respondPage(): Promise<Response> {
  const { STATUS_PAGE } = await import("./status-page.ts");
  const response = respond(200, STATUS_PAGE.html, "text/html; charset=utf-8");
  response.headers.set("Content-Security-Policy", STATUS_PAGE.policy);
  return response;
}

function respondEvents(request: Request, server: Server, live: LiveStatus): Response {
  if (request.method === "HEAD") return respond(200, null, EVENT_STREAM);
  const events = live.listen();
  if (events === undefined) {
    const response = respond(503, `Cannot tell more than ${MAX_LISTENERS} listeners at once; try again later\n`);
    response.headers.set("Retry-After", "10");
    return response;
  }
  // Bun would take a connection on which nothing came in for ten seconds for a dead one.
  server.timeout(request, 0);
  return respond(200, events, EVENT_STREAM);
}

const EVENT_STREAM = "text/event-stream";

function respondJson(status: number, value: unknown): Response {
  return respond(status, `${JSON.stringify(value)}\n`, "application/json");
}
