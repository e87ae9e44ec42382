import { z } from "zod";
import { parseCandidate } from "../ice/candidate.ts";
import { parseEndpoint } from "../net/endpoint.ts";
import { MAX_CTRL_BYTES } from "./control.ts";
import { signedOffer } from "./offer.ts";

/**
 * What is said on a control connection (`hello{kind: control}`), between a peer and the server: CTRL payloads of at
 * most `MAX_CTRL_BYTES`, JSON with a `type`. Unknown fields and types are ignored. Source: DESIGN "Signalling".
 *
 *     agent   → register                                        server → registered
 *     peer    → resume                                          (first on a new connection: the channels it still has)
 *     peer    → peer_info                                       (whenever what it knows of its network changes)
 *     relay   → open_p2p      server → p2p_incoming → agent     agent → p2p_accept | p2p_reject
 *     server  → p2p_opened ×2 | p2p_failed
 *     both    ⇄ candidates    server → start_punching ×2        (ICE)
 *     both    → punch_request server → punch_introduce ×2 | punch_reject       both ⇄ punch_ack        (hard-NAT)
 *     both    → p2p_result, p2p_close                           either ⇄ ping, pong
 *     anybody → find_peer     server → found_peer               (`ut check`)
 */
const cn = z.string().regex(/^[A-Za-z0-9.-]{1,64}$/);
const service = z.string().max(64);
/** The initiator's, to find the answer to its request by; unique on its connection. */
const requestId = z.int().min(1).max(0xffff_ffff);
/** The server's number of one end of a pipe; the two ends of one pipe have different ones. */
const channel = z.int().min(1).max(0xffff_ffff);
/** Which try to go direct; each end names it with the same number. */
const attempt = z.int().min(0).max(0xffff);
const milliseconds = z.number().min(0).max(600_000);
const endpoint = z
  .string()
  .max(53)
  .transform((text, context) => parseEndpoint(text) ?? invalid(context, "an address and port"));
/** What is no usable candidate is left out: another version may know more kinds. */
const candidates = z
  .array(z.string().max(256))
  .max(64)
  .transform((texts) => texts.map(parseCandidate).filter((candidate) => candidate !== undefined));

/** What a peer knows of its network, for the choice of how to go direct. Only a hint: nothing is believed for it. */
const peerInfo = z.object({
  nat: z.enum(["open", "cone", "symmetric", "blocked", "unknown"]).catch("unknown"),
  /** Null: not told, or not known. */
  filtering: z.enum(["endpoint-independent", "address-dependent", "address-and-port-dependent"]).nullable().catch(null),
  /** Where STUN saw it; the server checks it before anybody is sent there. */
  reflex: endpoint.nullable().catch(null),
  caps: z.array(z.string().max(32)).max(32).catch([]),
});

const SCHEMAS = {
  /** From a node that offers services: it is to be found under its CN from now on. */
  register: z.object({ node: z.string().max(128).catch("") }),
  registered: z.object({ lease_ms: milliseconds }),
  /** A user name and a password for Binding requests to the server's STUN port: it then knows whose address it saw. */
  stun_credential: z.object({
    username: z.string().max(64),
    password: z.string().max(64),
    port: z.int().min(0).max(65_535),
  }),
  ping: z.object({ id: z.int() }),
  pong: z.object({ id: z.int() }),
  peer_info: z.object({ info: peerInfo }),
  /** The server closes every other channel of this session, and says `p2p_close` of each that it does not know. */
  resume: z.object({ channels: z.array(channel).max(64) }),
  open_p2p: z.object({ request_id: requestId, to: cn, service, offer: signedOffer }),
  p2p_incoming: z.object({ channel, from: cn, service, offer: signedOffer, peer: peerInfo }),
  p2p_accept: z.object({ channel, answer: signedOffer }),
  p2p_reject: z.object({ channel, reason: z.string().max(64) }),
  /** To the initiator with the answer, to the target without. `rtt_ms`: the server's to each end; null: not measured. */
  p2p_opened: z.object({
    channel,
    request_id: requestId.optional(),
    answer: signedOffer.optional(),
    peer: peerInfo,
    rtt_ms: milliseconds.nullable(),
    peer_rtt_ms: milliseconds.nullable(),
  }),
  p2p_failed: z.object({
    request_id: requestId,
    reason: z.string().max(64),
    /** Whose word it is: a target's reject is not worth a retry. */
    by: z.enum(["server", "target"]).catch("server"),
  }),
  /** With what the sender knows of its network now: both ends choose the way of this attempt by the same two. */
  candidates: z.object({ channel, attempt, candidates, last: z.boolean(), peer: peerInfo }),
  start_punching: z.object({ channel, attempt, delay_ms: milliseconds }),
  /** "I want to punch as this role": the server introduces both once both have asked. */
  punch_request: z.object({
    channel,
    attempt,
    role: z.enum(["nat3", "nat4"]),
    reflex: endpoint,
  }),
  punch_introduce: z.object({
    channel,
    attempt,
    role: z.enum(["nat3", "nat4"]),
    peer_reflex: endpoint,
    delay_ms: milliseconds,
  }),
  /** Carried to the other end: this one was introduced and has begun. */
  punch_ack: z.object({ channel, attempt }),
  punch_reject: z.object({
    channel,
    attempt,
    reason: z.enum(["rate-limited", "unknown-target", "no-session", "reflex-mismatch"]),
  }),
  /** How going direct ended, for the server's counters and log. */
  p2p_result: z.object({
    channel,
    winner: z.enum(["ice", "hardnat", "none"]),
    elapsed_ms: milliseconds,
    cause: z.string().max(64),
  }),
  p2p_close: z.object({ channel, reason: z.string().max(64) }),
  /** Datagrams wait at the server for a peer that has no lanes. */
  lanes_wanted: z.object({ packets: z.int().min(0).catch(0) }),
  /** Is anybody found under this CN? */
  find_peer: z.object({ to: cn }),
  found_peer: z.object({ to: cn, registered: z.boolean() }),
} as const;

type Types = keyof typeof SCHEMAS;
/** As it was read: addresses and candidates parsed. */
export type Signal = { [Type in Types]: { type: Type } & z.output<(typeof SCHEMAS)[Type]> }[Types];
/** As it is written: addresses and candidates in text. */
export type SignalInput = { [Type in Types]: { type: Type } & z.input<(typeof SCHEMAS)[Type]> }[Types];
export type PeerInfo = z.output<typeof peerInfo>;
/** As it is written. */
export type PeerInfoInput = z.input<typeof peerInfo>;
export type PunchReject = z.output<typeof SCHEMAS.punch_reject>["reason"];

export type DecodedSignal =
  | { readonly ok: true; readonly signal: Signal }
  | { readonly ok: false; readonly kind: "too-large" | "not-json" | "no-type" | "invalid" }
  | { readonly ok: false; readonly kind: "unknown-type"; readonly type: string };

/** UTF-8 JSON. Never throws: signals are built by this program. */
export function encodeSignal(signal: SignalInput): Uint8Array {
  return encoder.encode(JSON.stringify(signal));
}

/** Hostile bytes in, a verdict out. */
export function decodeSignal(payload: Uint8Array): DecodedSignal {
  if (payload.length > MAX_CTRL_BYTES) return { ok: false, kind: "too-large" };
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch {
    return { ok: false, kind: "not-json" };
  }
  const typed = z.object({ type: z.string().max(64) }).safeParse(value);
  if (!typed.success) return { ok: false, kind: "no-type" };
  const { type } = typed.data;
  if (!Object.hasOwn(SCHEMAS, type)) return { ok: false, kind: "unknown-type", type };
  const parsed = SCHEMAS[type as Types].safeParse(value);
  return parsed.success ? { ok: true, signal: { type, ...parsed.data } as Signal } : { ok: false, kind: "invalid" };
}

function invalid(context: z.RefinementCtx, expected: string): typeof z.NEVER {
  context.addIssue({ code: "custom", message: expected });
  return z.NEVER;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
