import { readFileSync } from "node:fs";
import { canonicalIp } from "../../core/net/ip.ts";

/** linux/ipv6_route.h. */
const RTF_ANYCAST = 0x0010_0000;
const RTF_LOCAL = 0x8000_0000;

/** Tables that every packet meets. Others have rules of their own, as that of a transparent proxy. */
const TABLES = ["Main", "Local"];

/**
 * What Linux takes for this host's own, as prefixes in text: its addresses, and whole networks that only a route makes
 * its own (`ip route add local`, as load balancers do), which no interface tells of. Empty on other systems.
 */
export function localRoutes(): string[] {
  return [...parseFibTrie(textOf("/proc/net/fib_trie")), ...parseIpv6Routes(textOf("/proc/net/ipv6_route"))];
}

/** Local routes in /proc/net/fib_trie: below the name of a table, an address and then what each length of it is. */
export function parseFibTrie(text: string): string[] {
  const prefixes = new Set<string>();
  let table = "";
  let address = "";
  for (const line of text.split("\n")) {
    table = /^(\S.*):$/.exec(line)?.[1] ?? table;
    address = /^ +\|-- ([\d.]+)$/.exec(line)?.[1] ?? address;
    const length = /^ +\/(\d+) \S+ LOCAL\b/.exec(line)?.[1];
    // Everything is local only to who sends all packets through a program.
    if (length !== undefined && length !== "0" && TABLES.includes(table)) prefixes.add(`${address}/${length}`);
  }
  return [...prefixes];
}

/** Local and anycast routes in /proc/net/ipv6_route, which names no tables: destination, its length, …, flags, device. */
export function parseIpv6Routes(text: string): string[] {
  const prefixes = new Set<string>();
  for (const line of text.split("\n")) {
    const [digits = "", length = "", , , , , , , flags = ""] = line.trim().split(/ +/);
    const address = canonicalIp((digits.match(/.{4}/g) ?? []).join(":"));
    const isOwn = (Number.parseInt(flags, 16) & (RTF_LOCAL | RTF_ANYCAST)) !== 0;
    if (address !== undefined && isOwn && length !== "00") prefixes.add(`${address}/${Number.parseInt(length, 16)}`);
  }
  return [...prefixes];
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
