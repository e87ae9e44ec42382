import { z } from "zod";

/**
 * CTRL payloads: JSON objects with a `type`. Unknown fields are ignored, unknown types are ignored by the caller
 * (with a debug line), so that versions can differ. Source: DESIGN "The wire".
 */
export const MAX_CTRL_BYTES = 16 * 1024;

/** Capabilities that this build can use. Only what both sides named may be used. */
export const CAP_SEQ = "seq";
/** DATA with FLAG_CHANNEL: pipes between two peers. */
export const CAP_CHANNEL = "channel";
export const SUPPORTED_CAPS: readonly string[] = [CAP_SEQ, CAP_CHANNEL];

export const MAX_LANE_ID = 31;

const caps = z.array(z.string().max(32)).max(32).default([]);
/** A UUID, or "" for a session opened by a peer that says no HELLO. */
const sessionId = z.union([z.uuid(), z.literal("")]);

const hello = z.object({
  type: z.literal("hello"),
  kind: z.enum(["lane", "control"]).default("lane"),
  session_id: sessionId,
  lane_id: z.int().min(0).max(MAX_LANE_ID),
  /** Program and version of the sender, for the other side's log. */
  node: z.string().max(128).default(""),
  caps,
});

const helloAck = z.object({
  type: z.literal("hello_ack"),
  session_id: sessionId,
  /** Random per server session; a new one zeroes the sequence numbers of both directions. */
  epoch: z.int().min(0).max(0xffff_ffff),
  caps,
  /** On a control connection: the server's clock, in milliseconds since 1970, for who doubts its own. Only a hint. */
  time: z.number().min(0).optional().catch(undefined),
});

const goodbye = z.object({ type: z.literal("goodbye"), reason: z.string().max(64).default("") });

const err = z.object({ type: z.literal("err"), kind: z.string().max(64), message: z.string().max(512).default("") });

const message = z.discriminatedUnion("type", [hello, helloAck, goodbye, err]);

export type ControlMessage = z.output<typeof message>;
export type Hello = z.output<typeof hello>;
export type HelloAck = z.output<typeof helloAck>;

export type DecodedControl =
  | { ok: true; message: ControlMessage }
  | { ok: false; kind: "not-json" | "no-type" | "invalid" }
  | { ok: false; kind: "unknown-type"; type: string };

/** UTF-8 JSON. Never throws: messages are built by this program. */
export function encodeControl(value: z.input<typeof message>): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** Hostile bytes in, a verdict out. */
export function decodeControl(payload: Uint8Array): DecodedControl {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(payload));
  } catch {
    return { ok: false, kind: "not-json" };
  }
  const type = typed.safeParse(value);
  if (!type.success) return { ok: false, kind: "no-type" };
  if (!KNOWN_TYPES.has(type.data.type)) return { ok: false, kind: "unknown-type", type: type.data.type };
  const parsed = message.safeParse(value);
  return parsed.success ? { ok: true, message: parsed.data } : { ok: false, kind: "invalid" };
}

const typed = z.object({ type: z.string().max(64) });
const KNOWN_TYPES: ReadonlySet<string> = new Set(message.options.map((option) => option.shape.type.value));
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });
