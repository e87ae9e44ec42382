import type { NatKind } from "../../core/nat/direct-way.ts";
import { parseEndpoint } from "../../core/net/endpoint.ts";
import { formatMs, formatNumber } from "../table.ts";
import { advice } from "./nat-explain-advice.ts";
import { attemptLines } from "./nat-explain-attempts.ts";
import type { ExplainedNode, ExplainedPipe } from "./nat-explain-node.ts";
import { trafficPicture } from "./nat-explain-picture.ts";
import { formatMoment, formatSeconds, formatSpan } from "./nat-explain-time.ts";
import { matrixSays, natName, whyRelay, whyWaiting } from "./nat-explain-words.ts";

/** What a person reads of one pipe: the verdict in a line, a picture, both NATs, what was tried, and what comes next. */
export function formatExplanation(pipe: ExplainedPipe, node: ExplainedNode): string[] {
  const paragraphs = [
    [`${pipe.peer}, ${pipe.service}: ${verdictOf(pipe, node)}`],
    indented(trafficPicture(pipe, node)),
    indented(countLines(pipe)),
    section("NATs", natLines(pipe, node)),
    section("What was tried", attemptLines(pipe, node)),
    section("Next", nextLines(pipe, node)),
    section("What would help", advice(pipe)),
  ];
  return paragraphs.filter((lines) => lines.length > 0).flatMap((lines, i) => (i === 0 ? lines : ["", ...lines]));
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length > 0 ? [title, ...indented(lines)] : [];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

function verdictOf(pipe: ExplainedPipe, node: ExplainedNode): string {
  const { state, route, direct } = pipe;
  if (state !== "open") return `no pipe yet: ${whyWaiting(pipe.verdict)}`;
  if (direct === null)
    return `over the server, ${isTrying(pipe) ? "and going direct is being tried" : `because ${whyRelay(pipe)}`}`;
  switch (route) {
    case "direct":
      return `direct${since(pipe, node)}, ${winnerOf(direct.meta)}`;
    case "both":
      return "over both paths, as one of them may be gone";
    case "relay":
      return `over the server, because ${whyNotTaken(pipe)}`;
    default:
      return route satisfies never;
  }
}

function isTrying({ attempts }: ExplainedPipe): boolean {
  return attempts.some(({ report }) => report === null);
}

/** ` since 2026-01-31 12:00:03 UTC, 4 min ago`, where it was an attempt of this pipe that won. */
function since({ attempts, direct }: ExplainedPipe, node: ExplainedNode): string {
  const won = attempts.findLast(({ report }) => report !== null && report.winner !== null);
  if (won === undefined || won.report === null || direct?.meta.winner === "peer") return "";
  return ` since ${formatMoment(won.startedAt + won.report.elapsedMs, node)}`;
}

function winnerOf({ winner, elapsedMs, mode, role }: NonNullable<ExplainedPipe["direct"]>["meta"]): string {
  switch (winner) {
    case "ice":
      return `by ICE within ${formatSeconds(elapsedMs)}`;
    case "hardnat":
      return `by hard-NAT (${mode}, this end ${role}) within ${formatSeconds(elapsedMs)}`;
    case "peer":
      return "at an address that an earlier path led to, or that the peer moved to";
    default:
      return winner satisfies never;
  }
}

/** Both paths work, and the pipe has chosen. */
function whyNotTaken({ directRttMs, relayRttMs }: ExplainedPipe): string {
  const rtt = (ms: number | null) => (ms === null ? "unknown" : `${formatMs(ms)} ms`);
  return `the direct path, though open, is slower or loses too much (round trip ${rtt(directRttMs)}, over the server ${rtt(relayRttMs)}), or was so lately`;
}

function countLines({ counters }: ExplainedPipe): string[] {
  if (counters === null) return [];
  const { sentDirect, sentRelay, sentBoth, receivedDirect, receivedRelay } = counters;
  const line = (what: string, direct: number, relay: number) =>
    `datagrams ${what}: ${formatNumber(direct)} direct, ${formatNumber(relay)} over the server`;
  const both = sentBoth === 0 ? "" : `, of them ${formatNumber(sentBoth)} over both`;
  return [`${line("sent", sentDirect, sentRelay)}${both}`, line("received", receivedDirect, receivedRelay)];
}

function natLines(pipe: ExplainedPipe, { cn, outside }: ExplainedNode): string[] {
  const { peer, ownNat, peerNat, peerReflex } = pipe;
  if (pipe.state !== "open") return [];
  const width = Math.max(cn.length, peer.length, "together".length);
  return [
    `${cn.padEnd(width)}  ${natName(ownNat)}${outsideAt(ownNat, outside)}`,
    `${peer.padEnd(width)}  ${peerNat === null ? "not known yet" : natName(peerNat)}${outsideAt(peerNat, peerReflex)}`,
    `${"together".padEnd(width)}  ${matrixSays(pipe)}`,
  ];
}

/** Of a symmetric NAT the port is another one for everybody. */
function outsideAt(nat: NatKind | null, endpoint: string | null | undefined): string {
  if (endpoint == null) return "";
  return `, outside ${nat?.type === "symmetric" ? (parseEndpoint(endpoint)?.address ?? endpoint) : endpoint}`;
}

function nextLines(pipe: ExplainedPipe, { notReady }: ExplainedNode): string[] {
  const { state, role, direct, retryInMs, peer } = pipe;
  if (state === "opening") return ["it is being asked for now", ...notReady];
  if (state === "waiting")
    return [`asked for again in ${formatSpan(retryInMs ?? 0)}, and so on until it opens`, ...notReady];
  if (direct !== null)
    return ["should the direct path fall silent, datagrams go on over the server, and it is tried again"];
  if (isTrying(pipe)) return [MEANWHILE];
  if (role === "responder") return [`${peer}, which opened the pipe, says when it is tried again`, MEANWHILE];
  if (FINAL.has(pipe.verdict)) return ["nothing, as long as the config is as it is", MEANWHILE];
  if (retryInMs === null || retryInMs === 0) return ["tried again as soon as datagrams flow", MEANWHILE];
  return [`tried again in ${formatSpan(retryInMs)}, if datagrams flow then`, MEANWHILE];
}

const MEANWHILE = "until then they go over the server, as they do all along";

const FINAL: ReadonlySet<string> = new Set(["off", "prefers-relay", "unsupported"]);
