import { encodeCtrl, HEADER_BYTES } from "./pdu.ts";

/** One CTRL PDU with bytes of its own, for what is said once. */
export function ctrlPdu(payload: Uint8Array): Uint8Array {
  const pdu = new Uint8Array(HEADER_BYTES + payload.length);
  encodeCtrl(pdu, 0, payload);
  return pdu;
}
