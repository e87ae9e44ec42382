import { errorMessage } from "../core/error.ts";

/** Why the system does not let this program have an address, in words: Bun's own leave out what a person needs. */
export function bindProblem(cause: unknown): string {
  switch ((cause as { code?: unknown }).code) {
    case "EADDRINUSE":
      return "address in use";
    case "EADDRNOTAVAIL":
      return "this machine has no such address";
    case "EACCES":
      return "no permission for this port";
    default:
      return errorMessage(cause);
  }
}
