import type { Nat4Options, Nat4Progress, Nat4Report } from "../../app/nat/nat4.ts";
import { type Endpoint, formatEndpoint } from "../../core/net/endpoint.ts";
import type { DiscoveredAddress } from "../../core/punch/address-discovery.ts";
import { estimatePunch } from "../../core/punch/estimate.ts";
import type { PunchRole } from "../../core/punch/probe.ts";
import type { PunchFailure, PunchHit } from "../../core/punch/punch-event.ts";
import { quoted } from "../quoted.ts";
import { formatMs, formatNumber } from "../table.ts";

type Call = Omit<Nat4Options, "signal" | "pause">;

export const UNAUTHENTICATED =
  "Without a token hits are unauthenticated: anybody on the way could fake one (--token, the same at both ends)";

/** What the other end is called, in a sentence. */
function otherEnd(role: PunchRole): string {
  return role === "nat3" ? "nat4-send" : "nat3-send";
}

export function formatDiscovered(role: PunchRole, { address, portFixed, answers }: DiscoveredAddress): string[] {
  const seen = `public address ${formatEndpoint(address)}`;
  const told =
    role === "nat3" ? `the other end's -t is ${formatEndpoint(address)}` : `the other end's -t is ${address.address}`;
  return [`${seen} (${answers.length === 1 ? "one server" : `${answers.length} servers`} asked); ${told}`, ...advice()];

  function advice(): string[] {
    if (role === "nat3" && portFixed === false)
      return [
        `! the port changes with the destination (${answers.map((answer) => formatEndpoint(answer.address)).join(", ")}): this NAT is symmetric. Run nat4-send here and nat3-send at the other end, if that one's port is fixed`,
      ];
    if (role === "nat4" && portFixed === true)
      return [
        "! the port is the same for all destinations: this NAT is not symmetric, an ordinary hole punch would do",
      ];
    return [];
  }
}

export function formatStarted({ role, target, settings, limits }: Call, local: readonly Endpoint[]): string {
  const seconds = `${formatNumber(settings.windowMs / 1_000, settings.windowMs % 1_000 === 0 ? 0 : 1)} s`;
  const [first] = local;
  if (role === "nat4") {
    const ttl = settings.noTtl ? "the full TTL" : settings.ttl === "auto" ? "TTL 2 and rising" : `TTL ${settings.ttl}`;
    return `opening ${mappings(Math.min(local.length, limits.mappings))} towards ${formatEndpoint(target)} with ${ttl}, for ${seconds} at most`;
  }
  return `trying ports of ${target.address} from ${first === undefined ? "one socket" : formatEndpoint(first)}: ${formatNumber(settings.scanCount)} at a time, ${formatNumber(limits.mappings)} in all, for ${seconds} at most`;
}

export function formatHit(role: PunchRole, hit: PunchHit, local: Endpoint): string {
  const said = hit.content === "" ? "" : `, says ${quoted(hit.content)}`;
  const packets = (count: number) => (count === 1 ? "1 packet" : `${formatNumber(count)} packets`);
  if (role === "nat3")
    return `hit: ${formatEndpoint(hit.remote)} answered ${formatEndpoint(local)} after ${packets(hit.sent)} to ${formatNumber(hit.ports)} ports${said}`;
  return `hit: ${formatEndpoint(hit.remote)} reached ${formatEndpoint(local)} (socket ${hit.socket + 1}) with its packet ${formatNumber(hit.packet)}, after ${packets(hit.sent)} from here${said}`;
}

export function formatProgress(role: PunchRole, progress: Nat4Progress, windowMs: number): string {
  const what = role === "nat3" ? "ports tried" : "mappings open";
  const chance =
    progress.probability === undefined ? "" : `  chance of a hit by now ${formatPercent(progress.probability)}`;
  return `${progress.seconds.toFixed(1)} of ${windowMs / 1_000} s  ${formatNumber(progress.packets)} packets  ${formatNumber(progress.ports)} ${what}${chance}`;
}

export function formatReport(report: Nat4Report, call: Call): string[] {
  const { role, confirmed, failure, packets } = report;
  if (confirmed !== undefined) {
    const { hit, local } = confirmed;
    return [
      `✓ both ways: ${formatEndpoint(local)} ⇄ ${formatEndpoint(hit.remote)}, after ${formatMs(report.seconds * 1_000)} ms and ${formatNumber(packets)} packets from here${report.authenticated ? "" : " (unauthenticated)"}`,
    ];
  }
  if (failure !== undefined)
    return [
      `✗ nothing was hit: ${formatNumber(packets)} packets in ${report.seconds.toFixed(1)} s`,
      ...verdict(role, failure, call),
    ];
  return ["Interrupted; all sockets are closed."];
}

function verdict(role: PunchRole, { verdict, missProbability }: PunchFailure, { settings, target }: Call): string[] {
  const chance = formatPercent(missProbability);
  const fixed = role === "nat3" ? "this side's port" : "the other side's port";
  const alsoFixed = role === "nat3" ? "neither side's port is fixed" : "the other side's port is not fixed either";
  switch (verdict) {
    case "both-symmetric":
      return [
        `  ${alsoFixed} (symmetric × symmetric): ${fixed} was seen to change with the destination, so no port could fit. Such a pair cannot be punched; stay on the relay`,
      ];
    case "not-by-chance":
      return [
        `  this is not chance, which would miss in ${chance} of all runs: ${alsoFixed} (symmetric × symmetric, which cannot be punched: stay on the relay), or ${otherEnd(role)} did not run over there at the same time with -t as it should be, or ${formatTarget(role, target)} is not its address`,
      ];
    case "by-chance":
      return [
        `  this may be chance, which misses in ${chance} of all runs: try again with a longer --window, more sockets (nat4-send -c, now ${settings.socketCount}) or more ports (nat3-send --max-mappings)`,
      ];
    case "wrong-token":
      return [
        "  the other side was heard, but not with this token: give both ends the same --token, or none to either",
      ];
    case "unconfirmed":
      return [
        "  a probe got through, but its answers did not: the path loses too much, or the other end stopped; try again",
      ];
    default:
      return verdict satisfies never;
  }
}

/** What `--dry-run` prints. */
export function formatEstimate({ role, settings, limits }: Call): string[] {
  const estimate = estimatePunch(settings, limits);
  const packets = role === "nat3" ? estimate.nat3Packets : estimate.nat4Packets;
  const entries = role === "nat3" ? estimate.ports : Math.min(settings.socketCount, limits.mappings);
  return [
    `dry run, nothing is sent: ${settings.socketCount} sockets at the nat4 end, ${formatNumber(settings.scanCount)} ports a batch at the nat3 end`,
    `  probability  ${formatPercent(estimate.probability)} that one of ${formatNumber(estimate.ports)} ports hits, if this is port-restricted × symmetric`,
    `  on average   ${formatNumber(estimate.expectedPorts)} ports, ${formatMs(estimate.expectedMs)} ms`,
    `  packets      ${formatNumber(packets)} from here until the deadline, at most ${formatNumber(limits.packetsPerSecond)} a second`,
    `  seconds      ${estimate.seconds} until the deadline`,
    `  NAT entries  ${formatNumber(entries)} in this side's router (home routers hold 1,024 to 4,096 in all)`,
  ];
}

function formatTarget(role: PunchRole, target: Endpoint): string {
  return role === "nat3" ? target.address : formatEndpoint(target);
}

function mappings(count: number): string {
  return count === 1 ? "1 mapping" : `${formatNumber(count)} mappings`;
}

/** `0.04 %`, `12 %`, `99.97 %`: as many digits as keep it from 0 and 100. */
function formatPercent(share: number): string {
  const percent = 100 * share;
  const rest = Math.min(percent, 100 - percent);
  if (rest < 1e-6) return `${percent < 50 ? "less than 0.000001" : "more than 99.999999"} %`;
  return `${formatNumber(percent, rest >= 1 ? 0 : Math.ceil(-Math.log10(rest)) + 1)} %`;
}
