import { type DirectWay, directWay, type NatKind } from "../nat/direct-way.ts";
import type { PunchRole } from "../punch/probe.ts";
import { clampPunchSettings, type PunchSettings } from "../punch/settings.ts";
import type { HardNatWishes } from "../wire/offer.ts";
import type { HardNatMode, HardNatOptions } from "./peer-options.ts";

/** What both ends have said about hard-NAT in their signed offer and answer; each end makes the same of it. */
export interface HardNatTerms {
  readonly mode: HardNatMode;
  readonly assistDelayMs: number;
  readonly settings: PunchSettings;
  /** As configured, at this end and at the other. */
  readonly ownRole: "auto" | PunchRole;
  readonly peerRole: "auto" | PunchRole;
}

/** Which way this attempt goes, and what this end does if hard-NAT is part of it. */
export interface AttemptPlan {
  readonly way: DirectWay | "unknown";
  readonly mode: HardNatMode;
  readonly ice: boolean;
  /** Undefined: no hard-NAT in this attempt. */
  readonly role: PunchRole | undefined;
  /** There would be, had not both ends been configured to the same role. */
  readonly isSameRole: boolean;
}

const MAX_ASSIST_DELAY_MS = 10_000;

/** For our offer or answer; nothing at all where it is off, which is what a peer says that does not know of it. */
export function hardNatWishes({ mode, role, assistDelayMs, settings }: HardNatOptions): HardNatWishes | undefined {
  if (mode === "off") return undefined;
  return {
    mode,
    role,
    socket_count: settings.socketCount,
    scan_count: settings.scanCount,
    interval_ms: settings.intervalMs,
    batch_interval_ms: settings.batchIntervalMs,
    ttl: settings.ttl,
    no_ttl: settings.noTtl,
    window_ms: settings.windowMs,
    assist_delay_ms: assistDelayMs,
  };
}

/**
 * Off unless both ends have it on; then it is done as the initiator says, clamped: it is the one who chose to, for this
 * pipe, and the responder's yes is all that is asked of it.
 */
export function agreeHardNat(
  own: HardNatOptions,
  peer: HardNatWishes | undefined,
  role: "initiator" | "responder",
): HardNatTerms {
  const peerMode = peer?.mode ?? "off";
  const peerRole = peer?.role ?? "auto";
  const isOff = own.mode === "off" || peerMode === "off";
  if (role === "initiator" || peer === undefined) {
    const { assistDelayMs, settings } = own;
    return { mode: isOff ? "off" : own.mode, assistDelayMs, settings, ownRole: own.role, peerRole };
  }
  return {
    mode: isOff ? "off" : peerMode,
    assistDelayMs: clampDelay(peer.assist_delay_ms, own.assistDelayMs),
    settings: clampPunchSettings({
      socketCount: peer.socket_count,
      scanCount: peer.scan_count,
      intervalMs: peer.interval_ms,
      batchIntervalMs: peer.batch_interval_ms,
      ttl: peer.ttl,
      noTtl: peer.no_ttl,
      windowMs: peer.window_ms,
    }),
    ownRole: own.role,
    peerRole,
  };
}

/** The matrix (DESIGN "The direct plane") and the mode. `isSwapped`: hard-NAT with the roles the other way round. */
export function planAttempt(
  terms: HardNatTerms,
  own: NatKind,
  peer: NatKind,
  end: { readonly isInitiator: boolean; readonly isSwapped: boolean },
): AttemptPlan {
  const { mode, ownRole, peerRole } = terms;
  const way = directWay(own, peer) ?? "unknown";
  const isForced = mode === "force";
  const fits = way === "hard-nat" || (way === "unknown" && isHalfSymmetric(own, peer));
  const isWanted = isForced || (mode !== "off" && fits);
  const isSameRole = isWanted && ownRole !== "auto" && ownRole === peerRole;
  const role = chooseRole(terms, own, peer, end) ?? (isForced ? byEnd(end) : undefined);
  return { way, mode, ice: !isForced && way !== "relay", role: isWanted && !isSameRole ? role : undefined, isSameRole };
}

/** Too little is known for the matrix, but it may well be one for hard-NAT: whose filtering nobody could measure. */
function isHalfSymmetric(own: NatKind, peer: NatKind): boolean {
  return (own.type === "symmetric") !== (peer.type === "symmetric");
}

/** Configured roles go first; `auto` makes the symmetric end nat4, the second time the other one. */
function chooseRole(
  { ownRole, peerRole }: HardNatTerms,
  own: NatKind,
  peer: NatKind,
  { isSwapped }: { readonly isSwapped: boolean },
): PunchRole | undefined {
  if (ownRole !== "auto") return ownRole;
  if (peerRole !== "auto") return otherRole(peerRole);
  if (!isHalfSymmetric(own, peer)) return undefined;
  const measured = own.type === "symmetric" ? "nat4" : "nat3";
  return isSwapped ? otherRole(measured) : measured;
}

/** Forced upon two ends that are alike: nothing says who should be what, as long as they are not the same. */
function byEnd({ isInitiator, isSwapped }: { readonly isInitiator: boolean; readonly isSwapped: boolean }): PunchRole {
  return isInitiator === isSwapped ? "nat4" : "nat3";
}

function otherRole(role: PunchRole): PunchRole {
  return role === "nat3" ? "nat4" : "nat3";
}

function clampDelay(asked: number | undefined, fallback: number): number {
  if (asked === undefined || Number.isNaN(asked)) return fallback;
  return Math.min(MAX_ASSIST_DELAY_MS, Math.max(0, Math.trunc(asked)));
}
