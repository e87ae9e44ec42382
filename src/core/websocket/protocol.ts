/** WebSocket (RFC 6455) as lanes use it: binary frames, subprotocol `ut.v1`, no extensions. */

/** Sec-WebSocket-Protocol of lanes and control connections: PDU v1. */
export const SUBPROTOCOL = "ut.v1";
/** The only version that ever came to be (RFC 6455 §4.1). */
export const WEBSOCKET_VERSION = "13";
/** Either end's head of the opening handshake, far more than any real one. */
export const MAX_HEAD_BYTES = 8 * 1024;
/**
 * Payload of one message, over all of its frames. PDUs are streamed out of it, so it bounds no memory, but no peer of
 * ours has a reason to send more.
 */
export const MAX_MESSAGE_BYTES = 1024 * 1024;
/** RFC 6455 §5.5. */
export const MAX_CONTROL_BYTES = 125;
/** Two bytes, eight of a length, four of a masking key. */
export const MAX_HEADER_BYTES = 14;
export const MASK_BYTES = 4;

export const FIN = 0x80;
export const RESERVED_BITS = 0x70;
export const OPCODE_BITS = 0x0f;
export const MASKED = 0x80;
export const LENGTH_BITS = 0x7f;
/** In place of a length: it follows in 16, or in 64 bits. */
export const LENGTH_16 = 126;
export const LENGTH_64 = 127;

/** RFC 6455 §11.8. */
export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** RFC 6455 §7.4.1. */
export const CLOSE = { normal: 1000, protocolError: 1002, unsupported: 1003, policy: 1008, tooBig: 1009 } as const;

/** How a peer can break the framing, by the `kind` of `ut_frame_err_total`, and the close code that answers it. */
export const FAULT_CODES = {
  ws_text: CLOSE.unsupported,
  ws_reserved: CLOSE.protocolError,
  ws_mask: CLOSE.protocolError,
  ws_fragment: CLOSE.protocolError,
  ws_control: CLOSE.protocolError,
  ws_length: CLOSE.protocolError,
  ws_too_large: CLOSE.tooBig,
  ws_flood: CLOSE.policy,
} as const;

export type WebSocketFault = keyof typeof FAULT_CODES;
