import { isIP } from "node:net";
import { formatAddress } from "../../config/address.ts";
import { failed, warning } from "./finding.ts";
import type { TalkedServer } from "./scene.ts";
import type { Talk } from "./server-talk.ts";

/** `203.0.113.7:5443`, with the name that led there. */
export function addressOf({ named, address }: TalkedServer): string {
  const text = formatAddress({ host: address.address, port: named.port });
  return isIP(named.host) === 0 ? `${text} (${named.host})` : text;
}

/** Where one address works the others are a nuisance, and else a failure. */
export function troubleOf(servers: readonly TalkedServer[], works: (talk: Talk) => boolean): typeof failed {
  return servers.some(({ talk }) => works(talk)) ? warning : failed;
}

/** What a user looks for first in the words of the system: `ECONNREFUSED` and the like. */
export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
