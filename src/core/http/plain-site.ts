import { type HttpRequest, names } from "./head.ts";

/** What a visitor gets, and whether the connection stays for another request. */
export interface PlainAnswer {
  readonly bytes: Uint8Array;
  readonly keepsOpen: boolean;
}

/** Why a request was not understood, as its status. */
export type PlainRefusal = 400 | 431;

const REASONS: Record<404 | PlainRefusal, string> = {
  400: "Bad Request",
  404: "Not Found",
  431: "Request Header Fields Too Large",
};

/**
 * The web site of a server that has none: every page is missing, for everybody and in the same words, whether or not
 * there is something behind the path for somebody else. `date` is the time as HTTP writes it (RFC 9110 §5.6.7);
 * `isLast`: there have been enough requests over this connection.
 */
export function answerVisitor(request: HttpRequest, date: string, isLast: boolean): PlainAnswer {
  // RFC 9112 §3.2.
  if (request.minor === 1 && !request.fields.has("host")) return refuseVisitor(400, date);
  const keepsOpen = !isLast && wantsMore(request) && !hasBody(request);
  return { bytes: page(404, date, keepsOpen, request.method !== "HEAD"), keepsOpen };
}

/** To what was no request. */
export function refuseVisitor(status: PlainRefusal, date: string): PlainAnswer {
  return { bytes: page(status, date, false, true), keepsOpen: false };
}

/** RFC 9112 §9.3. */
function wantsMore({ fields, minor }: HttpRequest): boolean {
  return minor === 1 ? !names(fields, "connection", "close") : names(fields, "connection", "keep-alive");
}

/** A body is never read, so nothing that follows it would be understood. */
function hasBody({ fields }: HttpRequest): boolean {
  return fields.has("transfer-encoding") || !/^0*$/.test(fields.get("content-length") ?? "");
}

function page(status: 404 | PlainRefusal, date: string, keepsOpen: boolean, withBody: boolean): Uint8Array {
  const title = `${status} ${REASONS[status]}`;
  const body = `<!DOCTYPE html>\n<html>\n<head><title>${title}</title></head>\n<body><h1>${title}</h1></body>\n</html>\n`;
  const fields: readonly (readonly [name: string, value: string | number])[] = [
    ["Date", date],
    ["Content-Type", "text/html"],
    ["Content-Length", body.length],
    ["Connection", keepsOpen ? "keep-alive" : "close"],
  ];
  const head = [`HTTP/1.1 ${title}`, ...fields.map(([name, value]) => `${name}: ${value}`)];
  return new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${withBody ? body : ""}`);
}
