import { isIP } from "node:net";
import { formatAddress } from "../../config/address.ts";
import type { UtError } from "../../core/error.ts";
import { failed, warning } from "./finding.ts";
import type { TalkedServer } from "./scene.ts";
import type { Talk } from "./server-talk.ts";

/** `203.0.113.7:5443`, with the name that led there, or behind which proxy. */
export function addressOf({ named, hop, address }: TalkedServer): string {
  const text = formatAddress({ host: address.address, port: hop.port });
  if (hop !== named) return `${formatAddress(named)} behind the proxy ${text}`;
  return isIP(named.host) === 0 ? `${text} (${named.host})` : text;
}

/** It has become clear that both ends trust each other. */
export function isTrusted({ stage }: Talk): boolean {
  return TRUSTED.has(stage);
}

const TRUSTED = new Set<Talk["stage"]>(["no-websocket", "silent", "gibberish", "refused", "greeted"]);

/** Where one address works the others are a nuisance, and else a failure. */
export function troubleOf(servers: readonly TalkedServer[], works: (talk: Talk) => boolean): typeof failed {
  return servers.some(({ talk }) => works(talk)) ? warning : failed;
}

/** An error's message ends with what to do, where there is something. */
export function adviceOf({ message }: UtError): readonly [text: string, ...remedy: string[]] {
  const [text = message, ...remedy] = message.split(/; (?=set |check )/);
  return [text, ...remedy];
}
