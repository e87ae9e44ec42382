import { z } from "zod";

/**
 * What two peers sign and send each other through the server to open a pipe: an offer and its answer. The server
 * carries them and can neither change nor forge them (DESIGN "Sealed end to end").
 */
export const MAX_OFFER_BODY_BYTES = 4 * 1024;
const MAX_CERTIFICATE_BYTES = 6 * 1024;

/** On the wire: the signature covers the very text of `body`, so no canonical form of JSON is needed. */
export const signedOffer = z.object({
  /** JSON of an `OfferBody`. */
  body: z.string().max(MAX_OFFER_BODY_BYTES),
  /** PEM; intermediate certificates may follow. */
  certificate: z.string().max(MAX_CERTIFICATE_BYTES),
  /** Base64. */
  signature: z.string().max(1_024),
});

const base64 = (bytes: number) => z.base64().length(Math.ceil(bytes / 3) * 4);
const cn = z.string().regex(/^[A-Za-z0-9.-]{1,64}$/);
/** RFC 8445 §5.3 and RFC 8839 §5.4: ufrag has at least 24 bits of randomness, the password 128. */
const iceCharacters = z.string().regex(/^[A-Za-z0-9+/]*$/);

/** Parameters of hard-NAT punching as a peer wishes them; the receiver clamps each number to its own range. */
const hardNat = z.object({
  mode: z.enum(["off", "fallback", "assist", "force"]).catch("off"),
  role: z.enum(["auto", "nat3", "nat4"]).catch("auto"),
  socket_count: z.number().optional(),
  scan_count: z.number().optional(),
  interval_ms: z.number().optional(),
  batch_interval_ms: z.number().optional(),
  ttl: z.union([z.number(), z.literal("auto")]).optional(),
  no_ttl: z.boolean().optional(),
  window_ms: z.number().optional(),
  assist_delay_ms: z.number().optional(),
});

const offerBody = z.object({
  version: z.literal(1),
  kind: z.enum(["offer", "answer"]),
  from: cn,
  to: cn,
  /** X25519 public key of this exchange alone. */
  key: base64(32),
  nonce: base64(32),
  /** The number by which the sender of this finds the keys of packets that come to it. */
  session: z.int().min(0).max(0xffff_ffff),
  ice: z.object({ ufrag: iceCharacters.min(4).max(64), pwd: iceCharacters.min(22).max(128) }),
  service: z.string().max(64),
  /** A peer that does not know the field counts as `off`. */
  hard_nat: hardNat.optional(),
});

export type SignedOffer = z.output<typeof signedOffer>;
export type OfferBody = z.output<typeof offerBody>;
export type HardNatWishes = z.output<typeof hardNat>;

/** The text that is signed and sent. */
export function encodeOfferBody(body: OfferBody): string {
  return JSON.stringify(body);
}

/** Undefined for anything that is no offer of this version; never throws. */
export function decodeOfferBody(text: string): OfferBody | undefined {
  try {
    return offerBody.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
