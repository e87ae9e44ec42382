import type { z } from "zod";
import { SOCKS_SERVICE } from "../core/socks/service.ts";
import { type Address, isWildcard } from "./address.ts";
import { ANY_ROLE, isPeerRole, type Role } from "./roles.ts";
import type { Settings } from "./schema.ts";

/** Keys from the top of the file to a value. */
export type KeyPath = readonly (string | number)[];

/** What an issue knows beside its path and what was expected; the problem text is made of it. */
export interface IssueHints {
  /** A value that would have been accepted. */
  readonly suggestion?: string;
  /** The key that this one conflicts with. */
  readonly conflictsWith?: KeyPath;
  /** The role that cannot do without the key. */
  readonly neededBy?: Role;
}

const EXPECTED_RELAY = "at least one mapping with listen_addr, to and service";

type Context = z.RefinementCtx<Settings>;

/**
 * What must hold between keys. Runs on a settings tree that may have errors: a rule asks for each value through
 * `sound` and rests where one is already reported, so that a mistake is told once.
 */
export function checkRules(settings: Settings, context: Context): void {
  const roles = checkRoles(settings, context);
  checkServerAddress(settings, context, roles);
  if (roles.includes("client") && roles.includes("server")) checkUdpLoop(settings, context);
  if (roles.includes("server")) {
    checkTcpPorts(settings, context);
    checkStunPorts(settings, context);
  }
  if (roles.includes("relay")) checkRelays(settings, context, roles);
  if (roles.includes("agent")) checkServiceNames(settings, context);
  if (roles.includes("socks")) checkSocks(settings, context, roles);
  checkTtl(settings, context);
  if (roles.some(isPeerRole) || sound(settings, context, "nat", "watch") === true)
    checkP2pPort(settings, context, roles);
}

function checkRoles(settings: Settings, context: Context): readonly Role[] {
  if (isUnreadable(context, [])) return [];
  const { role, roles } = settings;
  if (role !== undefined && roles !== undefined)
    report(context, ["roles"], "either role or roles", { conflictsWith: ["role"] });
  else if (role === undefined && roles === undefined) report(context, ["role"], ANY_ROLE);
  if (isFaulty(context, ["role"]) || isFaulty(context, ["roles"])) return [];
  return roles ?? (role === undefined ? [] : [role]);
}

function checkServerAddress(settings: Settings, context: Context, roles: readonly Role[]): void {
  const neededBy = roles.find((role) => role !== "server");
  if (neededBy === undefined || isFaulty(context, ["tcp", "server_addr"])) return;
  if (settings.tcp.server_addr !== undefined) return;
  report(context, ["tcp", "server_addr"], `host:port such as "ec2.example.com:5443"`, { neededBy });
}

/** A client that listens where its own server role delivers would feed itself for ever. */
function checkUdpLoop(settings: Settings, context: Context): void {
  const listen = sound(settings, context, "udp", "listen_addr");
  const target = sound(settings, context, "udp", "wg_udp_addr");
  if (listen === undefined || target === undefined || !reaches(target, listen)) return;
  const expected = "another address, as the process would send to itself without end";
  report(context, ["udp", "wg_udp_addr"], expected, { conflictsWith: ["udp", "listen_addr"] });
}

function checkTcpPorts(settings: Settings, context: Context): void {
  const lanes = sound(settings, context, "tcp", "listen_addr");
  const status = sound(settings, context, "metrics", "listen_addr");
  if (lanes === undefined || status === undefined || !collides(lanes, status)) return;
  report(context, ["metrics", "listen_addr"], "a port of its own", { conflictsWith: ["tcp", "listen_addr"] });
}

/** Each STUN address needs a socket of its own, and one public address if there are any. */
function checkStunPorts(settings: Settings, context: Context): void {
  const path = ["server", "stun", "listen"];
  if (isFaulty(context, path)) return;
  const { listen, public_addrs } = settings.server.stun;
  for (const [index, one] of listen.entries()) {
    const other = listen.slice(0, index).findIndex((earlier) => collides(earlier, one));
    if (other !== -1) report(context, [...path, index], "a port of its own", { conflictsWith: [...path, other] });
  }
  const outside = ["server", "stun", "public_addrs"];
  if (isFaulty(context, outside) || public_addrs.length === 0 || public_addrs.length === listen.length) return;
  report(context, outside, "one public address for each entry of listen", { conflictsWith: path });
}

/** A relay without a port is none, and each port needs a socket of its own. */
function checkRelays(settings: Settings, context: Context, roles: readonly Role[]): void {
  if (isFaulty(context, ["relay"])) return;
  if (settings.relay.length === 0) report(context, ["relay"], EXPECTED_RELAY, { neededBy: "relay" });
  const local = roles.includes("client") ? sound(settings, context, "udp", "listen_addr") : undefined;
  for (const [index, { listen_addr }] of settings.relay.entries()) {
    const path = ["relay", index, "listen_addr"];
    const other = settings.relay.slice(0, index).findIndex((one) => collides(one.listen_addr, listen_addr));
    if (other !== -1) report(context, path, "a port of its own", { conflictsWith: ["relay", other, "listen_addr"] });
    else if (local !== undefined && collides(local, listen_addr))
      report(context, path, "a port of its own", { conflictsWith: ["udp", "listen_addr"] });
  }
}

/** A proxy leads somewhere, has a port of its own, and is not for strangers. */
function checkSocks(settings: Settings, context: Context, roles: readonly Role[]): void {
  if (!isFaulty(context, ["socks", "to"]) && settings.socks.to === undefined)
    report(context, ["socks", "to"], "the certificate name of an agent", { neededBy: "socks" });
  const path = ["socks", "listen_addr"];
  if (isFaulty(context, path)) return;
  const { listen_addr: listen, users } = settings.socks;
  const isOpen = !isFaulty(context, ["socks", "users"]) && Object.keys(users).length === 0;
  if (isOpen && !isLoopback(listen.host))
    report(context, path, "a loopback address, as anybody who reaches another one could use it; or set socks.users");
  const status = sound(settings, context, "metrics", "listen_addr");
  if (status !== undefined && collides(listen, status))
    report(context, path, "a port of its own", { conflictsWith: ["metrics", "listen_addr"] });
  const lanes = roles.includes("server") ? sound(settings, context, "tcp", "listen_addr") : undefined;
  if (lanes !== undefined && collides(listen, lanes))
    report(context, path, "a port of its own", { conflictsWith: ["tcp", "listen_addr"] });
}

function checkServiceNames(settings: Settings, context: Context): void {
  if (isFaulty(context, ["services", "udp"])) return;
  const { udp } = settings.services;
  for (const [index, { name }] of udp.entries()) {
    if (name === SOCKS_SERVICE)
      report(context, ["services", "udp", index, "name"], `another name: "${name}" is what ut socks asks for`);
    const other = udp.slice(0, index).findIndex((one) => one.name === name);
    if (other === -1) continue;
    const conflictsWith = ["services", "udp", other, "name"];
    report(context, ["services", "udp", index, "name"], "a name of its own", { conflictsWith });
  }
}

function checkTtl(settings: Settings, context: Context): void {
  if (isFaulty(context, ["hard_nat"]) || !settings.hard_nat.no_ttl || settings.hard_nat.ttl === "auto") return;
  report(context, ["hard_nat", "no_ttl"], "either ttl or no_ttl", { conflictsWith: ["hard_nat", "ttl"] });
}

/** The sockets of the direct plane: of different families, and beside the other UDP sockets of this process. */
function checkP2pPort(settings: Settings, context: Context, roles: readonly Role[]): void {
  const own = sound(settings, context, "p2p", "listen_addr");
  const path = ["p2p", "listen_addr"];
  if (own === undefined) return;
  const [one, other] = own;
  if (one !== undefined && other !== undefined && isV6(one) === isV6(other))
    report(context, [...path, 1], "one address of IPv4 and one of IPv6", { conflictsWith: [...path, 0] });
  const clash = (taken: Address, conflictsWith: KeyPath) => {
    // One that is of IPv6 beside one of IPv4 leaves IPv4 to others.
    if (own.some((mine) => collides(mine, taken) && (own.length === 1 || isV6(taken) || !isV6(mine))))
      report(context, path, "a port of its own", { conflictsWith });
  };
  const local = sound(settings, context, "udp", "listen_addr");
  if (roles.includes("client") && local !== undefined) clash(local, ["udp", "listen_addr"]);
  if (roles.includes("relay") && !isFaulty(context, ["relay"]))
    for (const [index, { listen_addr }] of settings.relay.entries())
      clash(listen_addr, ["relay", index, "listen_addr"]);
  if (!roles.includes("server") || isFaulty(context, ["server", "stun", "listen"])) return;
  for (const [index, stun] of settings.server.stun.listen.entries()) clash(stun, ["server", "stun", "listen", index]);
}

/** True where a datagram to `target` arrives at a socket bound to `listen`, as far as texts can tell. */
function reaches(target: Address, listen: Address): boolean {
  if (target.port !== listen.port) return false;
  return sameHost(target.host, listen.host) || (takes(listen.host, target.host) && isLoopback(target.host));
}

/** True where two listeners cannot both have their port. Port 0 takes whatever is free. */
function collides(one: Address, other: Address): boolean {
  if (one.port !== other.port || one.port === 0) return false;
  return sameHost(one.host, other.host) || takes(one.host, other.host) || takes(other.host, one.host);
}

/** True where a listener on every interface includes another host: `0.0.0.0` is IPv4 only, `::` is both. */
function takes(wildcard: string, host: string): boolean {
  if (!isWildcard(wildcard)) return false;
  return wildcard === "::" || isWildcard(host) || !host.includes(":");
}

function sameHost(one: string, other: string): boolean {
  if (one.toLowerCase() === other.toLowerCase()) return true;
  return [one, other].includes("localhost") && isLoopback(one) && isLoopback(other);
}

function isV6({ host }: Address): boolean {
  return host.includes(":");
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(?:\.\d+){3}$/.test(host);
}

/** A key's parsed value, or undefined where it, or what it stands in, is already reported as wrong. */
function sound<S extends "tcp" | "udp" | "metrics" | "p2p" | "nat", K extends keyof Settings[S] & string>(
  settings: Settings,
  context: Context,
  section: S,
  key: K,
): Settings[S][K] | undefined {
  return isFaulty(context, [section, key]) ? undefined : settings[section][key];
}

/** True where a value, what it stands in, or something in it, is reported. */
function isFaulty(context: Context, path: KeyPath): boolean {
  return (
    isUnreadable(context, path) || faults(context).some((fault) => path.every((key, index) => key === fault[index]))
  );
}

/** True where a value, or what it stands in, is reported: its type is not what it should be. */
function isUnreadable(context: Context, path: KeyPath): boolean {
  return faults(context).some((fault) => fault.every((key, index) => key === path[index]));
}

function faults(context: Context): readonly (readonly PropertyKey[])[] {
  // An unknown neighbour leaves the known keys as they are.
  return context.issues.filter(({ code }) => code !== "unrecognized_keys").map(({ path }) => path ?? []);
}

function report(context: Context, path: KeyPath, expected: string, hints: IssueHints = {}): void {
  context.addIssue({ code: "custom", path: [...path], message: expected, params: { ...hints } });
}
