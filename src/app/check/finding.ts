/**
 * What a check found: one line for a person, with what to do about it. `reason` is a stable name for scripts
 * (append-only), `remedy` are lines to paste or to do, the likeliest first.
 */
export type Finding =
  | { readonly verdict: "ok"; readonly text: string }
  /** It could not be looked at; `text` says because of what. */
  | { readonly verdict: "skipped"; readonly text: string }
  | Trouble;

/** `warning`: it works, or may; `failed`: traffic will not pass, or the node will not start. */
export interface Trouble {
  readonly verdict: "warning" | "failed";
  readonly reason: string;
  readonly text: string;
  readonly remedy: readonly string[];
}

export type Verdict = Finding["verdict"];

export function ok(text: string): Finding {
  return { verdict: "ok", text };
}

export function skipped(because: string): Finding {
  return { verdict: "skipped", text: because };
}

export function warning(reason: string, text: string, ...remedy: readonly string[]): Finding {
  return { verdict: "warning", reason, text, remedy };
}

export function failed(reason: string, text: string, ...remedy: readonly string[]): Finding {
  return { verdict: "failed", reason, text, remedy };
}
