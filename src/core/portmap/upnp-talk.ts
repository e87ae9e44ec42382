import type { GatewayUrl } from "./gateway-url.ts";
import type { GatewayRequest, GatewayResult, PortMapFailed, PortMapFailureKind } from "./protocol.ts";
import { decodeAnswer, encodeCall, type SoapAnswer, type SoapValues, UPNP_ERRORS } from "./soap.ts";
import type { WanService } from "./upnp-description.ts";

/**
 * A talk with a gateway, written as it goes: what it yields is wished for, and it goes on with what came of it. It has
 * no hands, either; `Talker` runs it.
 */
export type Talk<Result> = Generator<Wish, Result, Heard>;

export type Wish =
  /** Another place where the gateway may describe itself. */
  { readonly type: "location" } | { readonly type: "request"; readonly request: Omit<GatewayRequest, "id"> };

export type Heard =
  /** Undefined: there is none that was not told yet. */
  | { readonly type: "location"; readonly url: GatewayUrl | undefined }
  | { readonly type: "result"; readonly result: GatewayResult };

/** A call that went through HTTP, or why it did not. */
export type CallResult = SoapAnswer | (GatewayResult & { readonly ok: false });

/** A gateway answers within milliseconds; old ones that write flash memory take a second or two. */
const REQUEST_TIMEOUT_MS = 3_000;

export function* nextLocation(): Talk<GatewayUrl | undefined> {
  const heard = yield { type: "location" };
  return heard.type === "location" ? heard.url : undefined;
}

export function* fetchDescription({ port, path }: GatewayUrl): Talk<GatewayResult> {
  return yield* request({ method: "GET", port, path, headers: {}, body: "", timeoutMs: REQUEST_TIMEOUT_MS });
}

export function* call({ type, control }: WanService, action: string, values: SoapValues): Talk<CallResult> {
  const { headers, body } = encodeCall(type, action, values);
  const result = yield* request({ method: "POST", ...control, headers, body, timeoutMs: REQUEST_TIMEOUT_MS });
  return result.ok ? decodeAnswer(action, result.status, result.body) : result;
}

/** Why `what` was in vain, in the mapper's words. */
export function failure(what: string, result: CallResult & { readonly ok: false }): PortMapFailed {
  switch (result.kind) {
    case "fault":
      return failed(FAULT_KINDS[result.code] ?? "bad-answer", `${what} was refused with ${faultText(result)}`);
    case "http-status":
      return failed(statusKind(result.status), `${what} was answered with HTTP status ${statusText(result.status)}`);
    case "bad-answer":
      return failed("bad-answer", `${what} was answered with something that is no answer to it`);
    case "timeout":
    case "unreachable":
      return failed("no-answer", `${what}: ${result.message}`);
    case "too-large":
    case "not-http":
      return failed("bad-answer", `${what}: ${result.message}`);
    default:
      return result satisfies never;
  }
}

export function failed(kind: PortMapFailureKind, message: string): PortMapFailed {
  return { type: "failed", kind, message };
}

const FAULT_KINDS: Readonly<Record<number, PortMapFailureKind>> = {
  401: "unsupported",
  402: "unsupported",
  501: "unsupported",
  602: "unsupported",
  606: "not-authorized",
  718: "conflict",
  724: "conflict",
  725: "unsupported",
  727: "unsupported",
  728: "no-resources",
  729: "conflict",
};

function* request(wanted: Omit<GatewayRequest, "id">): Talk<GatewayResult> {
  const heard = yield { type: "request", request: wanted };
  // Invariant: a request is answered with a result.
  return heard.type === "result" ? heard.result : { ok: false, kind: "unreachable", message: "no result" };
}

function faultText({ code, description }: { code: number; description: string }): string {
  const name = UPNP_ERRORS[code] ?? (description || "an error without a name");
  return `${name} (${code})`;
}

function statusKind(status: number): PortMapFailureKind {
  return status === 401 || status === 403 ? "not-authorized" : "bad-answer";
}

function statusText(status: number): string {
  return status >= 300 && status < 400 ? `${status}, a redirection, which is not followed` : String(status);
}
