/** What became of a request: the REP field of RFC 1928 §6, by name. */
export const REPLIES = {
  succeeded: 0,
  "general-failure": 1,
  "not-allowed": 2,
  "network-unreachable": 3,
  "host-unreachable": 4,
  refused: 5,
  "ttl-expired": 6,
  "command-not-supported": 7,
  "address-type-not-supported": 8,
} as const;

export type Reply = keyof typeof REPLIES;

const BY_CODE = new Map<number, Reply>(Object.entries(REPLIES).map(([name, code]) => [code, name as Reply]));

/** A code that nobody has given a meaning is a failure like any other. */
export function replyOf(code: number): Reply {
  return BY_CODE.get(code) ?? "general-failure";
}
