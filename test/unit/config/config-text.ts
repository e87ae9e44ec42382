import { parseConfig } from "../../../src/config/load.ts";
import { UtError } from "../../../src/core/error.ts";

/** Certificates that any config may have: every role needs the section. */
export const TLS = "tls: { ca_cert: /c/ca.pem, cert: /c/node.pem, key: /c/node.key }\n";

/** What a text is refused with, as `kind` and message; "accepted" where it is not. */
export function refusal(text: string): string {
  return refusalOf(() => parseConfig(text, "ut.yaml"));
}

/** The kind on the first line and the message below it. */
export function refusalOf(load: () => unknown): string {
  try {
    load();
    return "accepted";
  } catch (error) {
    if (!(error instanceof UtError)) throw error;
    return `${error.kind}\n${error.message}`;
  }
}
